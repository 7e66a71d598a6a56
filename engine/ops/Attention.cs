using LoraScratch.Kernels;

namespace LoraScratch.Engine;

public static partial class Ops
{
    /// <summary>
    /// Multi-head attention within each sequence of a packed batch (Vaswani et al. 2017, arXiv
    /// 1706.03762): per sequence and head, Y = (D ⊙ P)·V, P = softmax(Q·Kᵀ/√width) with the dropout
    /// mask D. No padding exists and no token sees another sequence. The probabilities are not
    /// stored: the gradient computes them again from each row's log Σ exp (as in FlashAttention,
    /// arXiv 2205.14135).
    /// </summary>
    /// <param name="q">[tokens, heads · width]</param>
    /// <param name="k">The same shape.</param>
    /// <param name="v">The same shape.</param>
    /// <param name="offsets">Where each sequence begins.</param>
    /// <param name="heads">Number of heads; divides the columns.</param>
    /// <param name="dropout">Probability of dropping an attention probability, in [0, 1).</param>
    /// <param name="seed">Names the dropout mask.</param>
    /// <returns>[tokens, heads · width]</returns>
    /// <exception cref="ShapeMismatchException">
    /// Shapes differ, the heads do not divide the columns, or the offsets do not end at the tokens.
    /// </exception>
    public static Tensor Attention(Tensor q, Tensor k, Tensor v, SequenceOffsets offsets, int heads, float dropout = 0,
        ulong seed = 0)
    {
        Shape.RequireEqual(nameof(Attention), "q", q, "k", k);
        Shape.RequireEqual(nameof(Attention), "q", q, "v", v);
        return Attention(q, k, v, offsets, rows: null, heads, dropout, seed);
    }

    /// <summary>
    /// The same where some tokens ask only: row i of Q and Y is token rows[i], and has the numbers
    /// and the dropout mask that it would have among all of them. Every token of its sequence
    /// answers.
    /// </summary>
    /// <param name="q">[rows, heads · width]; [tokens, heads · width] where rows is null</param>
    /// <param name="k">[tokens, heads · width]</param>
    /// <param name="v">The same shape as k.</param>
    /// <param name="offsets">Where each sequence begins.</param>
    /// <param name="rows">Which tokens ask, made for these offsets; null: all of them.</param>
    /// <param name="heads">Number of heads; divides the columns.</param>
    /// <param name="dropout">Probability of dropping an attention probability, in [0, 1).</param>
    /// <param name="seed">Names the dropout mask.</param>
    /// <returns>The shape of q.</returns>
    /// <exception cref="ShapeMismatchException">
    /// Shapes differ, the heads do not divide the columns, or the offsets do not end at the tokens.
    /// </exception>
    internal static Tensor Attention(Tensor q, Tensor k, Tensor v, SequenceOffsets offsets, SequenceRows? rows,
        int heads, float dropout, ulong seed)
    {
        Shape.RequireEqual(nameof(Attention), "k", k, "v", v);
        Device.RequireSame(nameof(Attention), "q", q.Backend, "offsets", offsets.Backend);
        RequireProbability(dropout);
        if (q.Shape.Rank != 2 || heads < 1 || q.Shape.Columns % heads != 0)
        {
            throw new ShapeMismatchException($"Attention: q {q.Shape} needs shape [tokens, heads · width], and "
                + $"{heads} heads must divide the columns.");
        }
        if (offsets.Tokens != k.Shape.Rows)
        {
            throw new ShapeMismatchException($"Attention: k {k.Shape} has {k.Shape.Rows} tokens, but the sequences' "
                + $"offsets end at {offsets.Tokens}.");
        }
        if (rows is not null && (q.Shape.Rows != rows.Count || q.Shape.Columns != k.Shape.Columns
            || rows.Offsets.Count != offsets.Count))
        {
            throw new ShapeMismatchException($"Attention: q {q.Shape} needs a row for each of the {rows.Count} chosen "
                + $"tokens of {rows.Offsets.Count - 1} sequences, and the columns of k {k.Shape}, which has "
                + $"{offsets.Sequences} sequences.");
        }
        // The kernel adds to dQ, dK and dV at once, so one tensor in two roles needs a gradient for each role; the
        // views' gradients then add up in it.
        k = ReferenceEquals(k, q) ? k.Reshape(k.Shape) : k;
        v = ReferenceEquals(v, q) || ReferenceEquals(v, k) ? v.Reshape(v.Shape) : v;
        var shape = new AttentionShape(heads, 1 / MathF.Sqrt(q.Shape.Columns / heads), offsets.Longest, dropout, seed);
        var y = Tensor.Result(q.Shape, q.Backend,
            equation: "Y = (D ⊙ P)·V, P = softmax(Q·Kᵀ/√width)");
        // only the gradient reads it, and holds it
        using var logSumExp = Tensor.Empty(new Shape(q.Shape.Rows, heads), q.Backend);
        AttentionQueries? queries =
            rows is null ? null : new AttentionQueries(rows.Offsets.Data, rows.Data, rows.Longest);
        y.Backend.Attention(y.Data, logSumExp.Data, q.Data, k.Data, v.Data, offsets.Data, queries, shape);
        return y.GradientFor([q, k, v],
            "dP = D ⊙ (dY·Vᵀ); dS = P ⊙ (dP − rowsum(dY ⊙ Y)); dQ += dS·K/√width; dK += dSᵀ·Q/√width; dV += (D⊙P)ᵀ·dY",
            (dY, gradients) => dY.Backend
                .AddAttentionGradient(gradients[0]?.Data, gradients[1]?.Data, gradients[2]?.Data,
                dY.Data, y.Data, logSumExp.Data, q.Data, k.Data, v.Data, offsets.Data, queries, shape),
            needs: [q, k, v, y, logSumExp]);
    }
}
