using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;
using Rows = LoraScratch.Kernels.Common.Rows<LoraScratch.Kernels.Cpu.HostFloats>;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// The gradient of one input of attention: where its elements lie, and whether they are added to. A
/// default one is not computed.
/// </summary>
internal readonly unsafe struct AttentionGradient(Accumulator? sum)
{
    public bool IsNeeded => First != null;

    public float* First { get; } = sum is { } dX ? CpuKernels.Pointer(dX.Buffer) : null;

    public bool Accumulate { get; } = sum is { IsEmpty: false };
}

/// <summary>
/// dQ, dK and dV of one sequence and head. The probabilities are computed again from the scores and
/// the log-sum-exp of the forward pass: keeping them would take [queries, heads, length] floats.
/// </summary>
internal readonly unsafe struct AttentionGradientJob(AttentionHeads heads, AttentionGradient dQ, AttentionGradient dK,
    AttentionGradient dV, float* dY, float* y, int threads) : IJob
{
    public void Run(int block, Scratch scratch)
    {
        if (heads.Wide)
        {
            Run<Lanes512>(block, scratch);
        }
        else
        {
            Run<Lanes>(block, scratch);
        }
    }

    private void Run<T>(int block, Scratch scratch) where T : struct, ILanes<T>
    {
        var (first, length, firstQuery, endQuery, head) = heads.Block(block);
        if (firstQuery == endQuery)
        {
            ClearEmpty(dK, first, length, head);
            ClearEmpty(dV, first, length, head);
            return;
        }
        int stride = AttentionHeads.Stride(length), columns = heads.Columns, width = heads.Width;
        var step = Math.Min(AttentionHeads.Queries(length), endQuery - firstQuery);
        var needsScoreGradients = dQ.IsNeeded || dK.IsNeeded;
        var dropped = scratch.ForKernel((2L * step + 1) * stride);              // scale·Q·Kᵀ, then D ⊙ P
        var dScores = dropped + (long)step * stride;                            // dY·Vᵀ, then dS
        var factors = dScores + (long)step * stride;
        new Span<float>(factors, stride).Fill(1);
        var ahead = heads.Ahead(block + threads, y, dY);
        for (var query = firstQuery; query < endQuery; query += step)
        {
            var queries = Math.Min(step, endQuery - query);
            int atQueries = heads.At(query, head), atKeys = heads.At(first, head);
            heads.Scores(dropped, query, queries, first, length, head, scratch);
            if (needsScoreGradients)
            {
                heads.Product(dScores, stride, dY + atQueries, columns, false, heads.V(first, head), columns, true,
                    queries, length, width, 1, false, scratch);
            }
            for (var i = 0; i < queries; i++)
            {
                ahead.Ask(query - firstQuery + i);
                if (heads.DropsOut)
                {
                    heads.DropoutFactors(factors, query + i, length, head);
                }
                float* scores = dropped + (long)i * stride, dScore = dScores + (long)i * stride;
                var logSumExp = heads.LogSumExp(query + i, head);
                if (needsScoreGradients)
                {
                    var at = heads.At(query + i, head);
                    var correction = Rows.Dot<T>(new(dY + at), new(y + at), width);
                    ScoreGradients<T>(dScore, scores, factors, length, logSumExp, correction);
                }
                else
                {
                    Probabilities<T>(scores, factors, length, logSumExp);
                }
            }
            // keys and values have shares of every query
            var laterQueries = query > firstQuery;
            if (dV.IsNeeded)                                                    // dV += (D ⊙ P)ᵀ·dY
            {
                heads.Product(dV.First + atKeys, columns, dropped, stride, true, dY + atQueries, columns, false,
                    length, width, queries, 1, dV.Accumulate || laterQueries, scratch);
            }
            if (dQ.IsNeeded)                                                    // dQ += scale·dS·K
            {
                heads.Product(dQ.First + atQueries, columns, dScores, stride, false, heads.K(first, head), columns,
                    false,
                    queries, width, length, heads.Scale, dQ.Accumulate, scratch);
            }
            if (dK.IsNeeded)                                                    // dK += scale·dSᵀ·Q
            {
                heads.Product(dK.First + atKeys, columns, dScores, stride, true, heads.Q(query, head), columns, false,
                    length, width, queries, heads.Scale, dK.Accumulate || laterQueries, scratch);
            }
        }
    }

    /// <summary>
    /// Keys that nobody asks have no gradient; where it is not added to, that has to be written.
    /// </summary>
    private void ClearEmpty(AttentionGradient dX, int first, int length, int head)
    {
        if (!dX.IsNeeded || dX.Accumulate)
        {
            return;
        }
        for (var row = first; row < first + length; row++)
        {
            new Span<float>(dX.First + heads.At(row, head), heads.Width).Clear();
        }
    }

    /// <summary>D ⊙ P of one query, in place of its scores.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Probabilities<T>(float* scores, float* factors, int length, float logSumExp) where T : struct,
    ILanes<T>
    {
        for (var j = 0; j < length; j += T.Width)
        {
            var p = Exponential.Value(T.Load(ref scores[j], length - j, 0) - T.Of(logSumExp));
            T.Store(ref scores[j], length - j, p * T.Load(ref factors[j]));
        }
    }

    /// <summary>
    /// D ⊙ P of one query in place of its scores, and dS = P ⊙ (D ⊙ (dY·Vᵀ) − correction) in place
    /// of dY·Vᵀ.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void ScoreGradients<T>(float* dScores, float* scores, float* factors, int length, float logSumExp,
        float correction)
        where T : struct, ILanes<T>
    {
        for (var j = 0; j < length; j += T.Width)
        {
            var p = Exponential.Value(T.Load(ref scores[j], length - j, 0) - T.Of(logSumExp));
            var kept = T.Load(ref factors[j]);
            T.Store(ref dScores[j], length - j, p * (kept * T.Load(ref dScores[j], length - j, 0) - T.Of(correction)));
            T.Store(ref scores[j], length - j, p * kept);
        }
    }
}
