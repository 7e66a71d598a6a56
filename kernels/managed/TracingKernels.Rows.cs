using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels;

/// <content>Elementwise kernels, rows and columns, attention, and optimizer updates.</content>
internal sealed partial class TracingKernels
{
    public void Map<TFormula>(DeviceBuffer<float> y, DeviceBuffer<float> x) where TFormula : struct, IFormula
    {
        if (Note(nameof(Map), y.Length, [x], [y], m => Float64Kernels.Map<TFormula>(m[y], m[x])))
        {
            kernels.Map<TFormula>(y, x);
        }
    }

    public void AddMapGradient<TFormula>(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float>? x,
        DeviceBuffer<float>? y) where TFormula : struct, IFormula
    {
        if (Note(nameof(AddMapGradient), 2L * dX.Length + Added(dX), [dY, x, y], [dX.Buffer], null))
        {
            kernels.AddMapGradient<TFormula>(dX, dY, x, y);
        }
    }

    public void WeightedSum(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> a, float beta,
        DeviceBuffer<float> b)
    {
        // factors of 1 and −1 are no multiplication
        var flops = 1 + (MathF.Abs(alpha) == 1 ? 0 : 1) + (MathF.Abs(beta) == 1 ? 0 : 1);
        if (Note(nameof(WeightedSum), (long)flops * y.Length, [a, b], [y], m =>
        {
            double[] left = m[a], right = m[b];
            Float64Kernels.Write(m[y], i => alpha * left[i] + beta * right[i]);
        }))
        {
            kernels.WeightedSum(y, alpha, a, beta, b);
        }
    }

    public void AddScaled(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        if (Note(nameof(AddScaled), (MathF.Abs(alpha) == 1 ? 1L : 2L) * y.Length, [y, x], [y], m =>
        {
            double[] to = m[y], from = m[x];
            Float64Kernels.Write(to, i => to[i] + alpha * from[i]);
        }))
        {
            kernels.AddScaled(y, alpha, x);
        }
    }

    public void Scale(IReadOnlyList<DeviceBuffer<float>> ys, float alpha)
    {
        if (Note(nameof(Scale), alpha == 1 ? 0 : Elements(ys), [.. ys], [.. ys], m =>
        {
            foreach (var y in ys)
            {
                var values = m[y];
                for (var i = 0; i < values.Length; i++)
                {
                    values[i] *= alpha;
                }
            }
        }))
        {
            kernels.Scale(ys, alpha);
        }
    }

    public void Scale(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        if (Note(nameof(Scale), alpha == 1 ? 0 : y.Length, [x], [y], m =>
        {
            var from = m[x];
            Float64Kernels.Write(m[y], i => alpha * from[i]);
        }))
        {
            kernels.Scale(y, alpha, x);
        }
    }

    public void Multiply(DeviceBuffer<float> y, DeviceBuffer<float> a, DeviceBuffer<float> b)
    {
        if (Note(nameof(Multiply), y.Length, [a, b], [y], m =>
        {
            double[] left = m[a], right = m[b];
            Float64Kernels.Write(m[y], i => left[i] * right[i]);
        }))
        {
            kernels.Multiply(y, a, b);
        }
    }

    public void AddMultiply(Accumulator y, DeviceBuffer<float> a, DeviceBuffer<float> b)
    {
        if (Note(nameof(AddMultiply), y.Length + Added(y), [Read(y), a, b], [y.Buffer], m =>
        {
            double[] to = m[y.Buffer], left = m[a], right = m[b];
            Float64Kernels.Write(to, i => Before(y, to, i) + left[i] * right[i]);
        }))
        {
            kernels.AddMultiply(y, a, b);
        }
    }

    public void AddBroadcast(Accumulator y, float alpha, DeviceBuffer<float> x)
    {
        if (Note(nameof(AddBroadcast), 1 + Added(y), [Read(y), x], [y.Buffer], m =>
        {
            double[] to = m[y.Buffer], from = m[x];
            Float64Kernels.Write(to, i => Before(y, to, i) + alpha * from[0]);
        }))
        {
            kernels.AddBroadcast(y, alpha, x);
        }
    }

    public void Dropout(DeviceBuffer<float> y, DeviceBuffer<float> x, float probability, ulong seed, MaskRows? rows)
    {
        var chosen = rows is { } some ? Host(some.Rows) : null;
        if (Note(nameof(Dropout), y.Length, [x], [y], m =>
        {
            var from = m[x];
            Float64Kernels.Write(m[y], i => from[i] * Float64Kernels.Mask(seed, Draw(i), probability));
        }))
        {
            kernels.Dropout(y, x, probability, seed, rows);
        }

        ulong Draw(int i) => chosen is null ? (ulong)i
            : (ulong)chosen[i / rows!.Value.Columns] * (ulong)rows.Value.Columns + (ulong)(i % rows.Value.Columns);
    }

    public void AddDropoutGradient(Accumulator dX, DeviceBuffer<float> dY, float probability, ulong seed,
        MaskRows? rows)
    {
        if (Note(nameof(AddDropoutGradient), dX.Length + Added(dX), [dY], [dX.Buffer], null))
        {
            kernels.AddDropoutGradient(dX, dY, probability, seed, rows);
        }
    }

    // ---------------------------------------------------------------- rows and columns

    public void PlusBias(DeviceBuffer<float> y, DeviceBuffer<float> x, DeviceBuffer<float> bias)
    {
        if (Note(nameof(PlusBias), y.Length, [x, bias], [y], m =>
        {
            double[] from = m[x], b = m[bias];
            Float64Kernels.Write(m[y], i => from[i] + b[i % b.Length]);
        }))
        {
            kernels.PlusBias(y, x, bias);
        }
    }

    public void AddColumnSums(Accumulator y, DeviceBuffer<float> x)
    {
        if (Note(nameof(AddColumnSums), x.Length - y.Length + Added(y), [Read(y), x], [y.Buffer],
            m => Float64Kernels.AddColumnSums(m[y.Buffer], m[x], y.IsEmpty)))
        {
            kernels.AddColumnSums(y, x);
        }
    }

    public void Sum(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        if (Note(nameof(Sum), x.Length, [x], [y], m => m[y][0] = alpha * m[x].Sum()))
        {
            kernels.Sum(y, alpha, x);
        }
    }

    public void AddSumOfSquares(Accumulator y, IReadOnlyList<DeviceBuffer<float>> xs)
    {
        if (Note(nameof(AddSumOfSquares), 2 * Elements(xs), [Read(y), .. xs], [y.Buffer], m => Float64Kernels.Write(
            m[y.Buffer], i => Before(y, m[y.Buffer], i) + xs.Sum(x => m[x].Sum(value => value * value)))))
        {
            kernels.AddSumOfSquares(y, xs);
        }
    }

    public void GroupSums(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        if (Note(nameof(GroupSums), x.Length, [x], [y], m => Float64Kernels.GroupSums(m[y], alpha, m[x])))
        {
            kernels.GroupSums(y, alpha, x);
        }
    }

    public void AddGroupBroadcast(Accumulator y, float alpha, DeviceBuffer<float> x)
    {
        if (Note(nameof(AddGroupBroadcast), x.Length + Added(y), [Read(y), x], [y.Buffer], m =>
        {
            double[] to = m[y.Buffer], from = m[x];
            Float64Kernels.Write(to, i => Before(y, to, i) + alpha * from[i / (to.Length / from.Length)]);
        }))
        {
            kernels.AddGroupBroadcast(y, alpha, x);
        }
    }

    public void Softmax(DeviceBuffer<float> y, DeviceBuffer<float> x, int columns)
    {
        if (Note(nameof(Softmax), 4L * x.Length, [x], [y], m => Float64Kernels.Softmax(m[y], m[x], columns)))
        {
            kernels.Softmax(y, x, columns);
        }
    }

    public void AddSoftmaxGradient(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float> y, int columns)
    {
        if (Note(nameof(AddSoftmaxGradient), 4L * y.Length + Added(dX), [dY, y], [dX.Buffer], null))
        {
            kernels.AddSoftmaxGradient(dX, dY, y, columns);
        }
    }

    public void CrossEntropy(DeviceBuffer<float> losses, DeviceBuffer<float> logits, DeviceBuffer<int> labels)
    {
        var chosen = trace.IsRecorded ? Host(labels) : [];
        if (Note(nameof(CrossEntropy), 3L * logits.Length + 2L * losses.Length, [logits], [losses],
            m => Float64Kernels.CrossEntropy(m[losses], m[logits], chosen)))
        {
            kernels.CrossEntropy(losses, logits, labels);
        }
    }

    public void AddCrossEntropyGradient(Accumulator dLogits, DeviceBuffer<float> dLosses, DeviceBuffer<float> logits,
        DeviceBuffer<int> labels)
    {
        if (Note(nameof(AddCrossEntropyGradient), 5L * logits.Length + dLosses.Length + Added(dLogits),
            [dLosses, logits], [dLogits.Buffer], null))
        {
            kernels.AddCrossEntropyGradient(dLogits, dLosses, logits, labels);
        }
    }

    public void LayerNorm(DeviceBuffer<float> y, DeviceBuffer<float> mean, DeviceBuffer<float> rstd,
        DeviceBuffer<float> x, DeviceBuffer<float> gamma, DeviceBuffer<float> beta, float epsilon)
    {
        if (Note(nameof(LayerNorm), 8L * x.Length, [x, gamma, beta], [y, mean, rstd],
            m => Float64Kernels.LayerNorm(m[y], m[mean], m[rstd], m[x], m[gamma], m[beta], epsilon)))
        {
            kernels.LayerNorm(y, mean, rstd, x, gamma, beta, epsilon);
        }
    }

    public void LayerNormOfSum(DeviceBuffer<float> y, DeviceBuffer<float> x, DeviceBuffer<float> mean,
        DeviceBuffer<float> rstd, DeviceBuffer<float> u, DeviceBuffer<float> v, DeviceBuffer<float> gamma,
        DeviceBuffer<float> beta, float epsilon)
    {
        if (Note(nameof(LayerNormOfSum), 9L * x.Length, [u, v, gamma, beta], [y, x, mean, rstd], m =>
        {
            double[] first = m[u], second = m[v];
            Float64Kernels.Write(m[x], i => first[i] + second[i]);
            Float64Kernels.LayerNorm(m[y], m[mean], m[rstd], m[x], m[gamma], m[beta], epsilon);
        }))
        {
            kernels.LayerNormOfSum(y, x, mean, rstd, u, v, gamma, beta, epsilon);
        }
    }

    public void AddLayerNormGradient(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float> x,
        DeviceBuffer<float> mean, DeviceBuffer<float> rstd, DeviceBuffer<float> gamma)
    {
        if (Note(nameof(AddLayerNormGradient), 10L * x.Length + Added(dX), [dY, x, mean, rstd, gamma], [dX.Buffer],
            null))
        {
            kernels.AddLayerNormGradient(dX, dY, x, mean, rstd, gamma);
        }
    }

    public void AddLayerNormGammaGradient(Accumulator dGamma, DeviceBuffer<float> dY, DeviceBuffer<float> x,
        DeviceBuffer<float> mean, DeviceBuffer<float> rstd)
    {
        if (Note(nameof(AddLayerNormGammaGradient), 4L * x.Length - dGamma.Length + Added(dGamma),
            [dY, x, mean, rstd], [dGamma.Buffer], null))
        {
            kernels.AddLayerNormGammaGradient(dGamma, dY, x, mean, rstd);
        }
    }

    public void Gather(DeviceBuffer<float> y, DeviceBuffer<float> table, DeviceBuffer<int> indices, int columns)
    {
        var chosen = trace.IsRecorded ? Host(indices) : [];
        if (Note(nameof(Gather), 0, [table], [y], m =>
        {
            var from = m[table];
            Float64Kernels.Write(m[y], i => from[chosen[i / columns] * columns + i % columns]);
        }))
        {
            kernels.Gather(y, table, indices, columns);
        }
    }

    public void AddScatter(Accumulator dTable, DeviceBuffer<float> dY, DeviceBuffer<int> indices, int columns)
    {
        if (Note(nameof(AddScatter), dY.Length, [dY], [dTable.Buffer], null))
        {
            kernels.AddScatter(dTable, dY, indices, columns);
        }
    }

    // ---------------------------------------------------------------- attention

    public void Attention(DeviceBuffer<float> y, DeviceBuffer<float> logSumExp, DeviceBuffer<float> q,
        DeviceBuffer<float> k, DeviceBuffer<float> v, DeviceBuffer<int> offsets, AttentionQueries? queries,
        AttentionShape shape)
    {
        var bounds = Host(offsets);
        var (asking, tokens) = Asking(queries, bounds);
        // Q·Kᵀ and P·V, and the softmax
        var flops = Pairs(asking, bounds) * (4L * k.Length / bounds[^1] + 4L * shape.Heads);
        if (Note(nameof(Attention), flops, [q, k, v], [y, logSumExp],
            m => Float64Kernels.Attention(m[y], m[logSumExp], m[q], m[k], m[v], bounds, asking, tokens, shape)))
        {
            kernels.Attention(y, logSumExp, q, k, v, offsets, queries, shape);
        }
    }

    public void AddAttentionGradient(Accumulator? dQ, Accumulator? dK, Accumulator? dV, DeviceBuffer<float> dY,
        DeviceBuffer<float> y, DeviceBuffer<float> logSumExp, DeviceBuffer<float> q, DeviceBuffer<float> k,
        DeviceBuffer<float> v, DeviceBuffer<int> offsets, AttentionQueries? queries, AttentionShape shape)
    {
        var bounds = Host(offsets);
        // Q·Kᵀ again, dY·Vᵀ where dS is wanted, and a product for each gradient
        var products = 1 + (dQ is null && dK is null ? 0 : 1) + (dQ is null ? 0 : 1) + (dK is null ? 0 : 1)
            + (dV is null ? 0 : 1);
        var flops = Pairs(Asking(queries, bounds).Offsets, bounds)
            * (2L * products * k.Length / bounds[^1] + 4L * shape.Heads);
        if (Note(nameof(AddAttentionGradient), flops, [dY, y, logSumExp, q, k, v],
            [dQ?.Buffer, dK?.Buffer, dV?.Buffer], null))
        {
            kernels.AddAttentionGradient(dQ, dK, dV, dY, y, logSumExp, q, k, v, offsets, queries, shape);
        }
    }

    // ---------------------------------------------------------------- optimizer updates

    public void SgdStep(IReadOnlyList<SgdParameter> parameters, SgdStep step)
    {
        if (Note(nameof(SgdStep), 4 * Elements(parameters.Select(each => each.Weights)),
            [.. parameters.SelectMany(each => new[] { each.Weights, each.Gradient, each.Velocity })],
            [.. parameters.SelectMany(each => new[] { each.Weights, each.Velocity })], null))
        {
            kernels.SgdStep(parameters, step);
        }
    }

    public void AdamStep(IReadOnlyList<AdamParameter> parameters, AdamStep step)
    {
        if (Note(nameof(AdamStep), 14 * Elements(parameters.Select(each => each.Weights)),
            [.. parameters.SelectMany(each => new[] { each.Weights, each.Gradient, each.Mean, each.Square })],
            [.. parameters.SelectMany(each => new[] { each.Weights, each.Mean, each.Square })], null))
        {
            kernels.AdamStep(parameters, step);
        }
    }
}
