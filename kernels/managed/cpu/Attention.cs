using System.Diagnostics;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

internal sealed unsafe partial class CpuKernels
{
    /// <inheritdoc/>
    public void Attention(DeviceBuffer<float> y, DeviceBuffer<float> logSumExp, DeviceBuffer<float> q,
        DeviceBuffer<float> k, DeviceBuffer<float> v,
        DeviceBuffer<int> offsets, AttentionShape shape)
    {
        Debug.Assert(y.Length == q.Length && k.Length == q.Length && v.Length == q.Length
            && logSumExp.Length % shape.Heads == 0);
        if (logSumExp.Length == 0)
        {
            return;
        }
        var heads = AttentionHeads(q, k, v, logSumExp, offsets, shape);
        Workers.Run((offsets.Length - 1) * shape.Heads, new AttentionJob(heads, Pointer(y)));
    }

    /// <inheritdoc/>
    public void AddAttentionGradient(Accumulator? dQ, Accumulator? dK, Accumulator? dV, DeviceBuffer<float> dY,
        DeviceBuffer<float> y,
        DeviceBuffer<float> logSumExp, DeviceBuffer<float> q, DeviceBuffer<float> k, DeviceBuffer<float> v,
        DeviceBuffer<int> offsets, AttentionShape shape)
    {
        Debug.Assert(y.Length == q.Length && k.Length == q.Length && v.Length == q.Length && dY.Length == q.Length
            && logSumExp.Length % shape.Heads == 0);
        if (logSumExp.Length == 0 || (dQ == null && dK == null && dV == null))
        {
            return;
        }
        var heads = AttentionHeads(q, k, v, logSumExp, offsets, shape);
        Workers.Run((offsets.Length - 1) * shape.Heads, new AttentionGradientJob(heads,
            new(dQ), new(dK), new(dV), Pointer(dY), Pointer(y)));
    }

    private AttentionHeads AttentionHeads(DeviceBuffer<float> q, DeviceBuffer<float> k, DeviceBuffer<float> v,
        DeviceBuffer<float> logSumExp,
        DeviceBuffer<int> offsets, AttentionShape shape) =>
        new(Pointer(q), Pointer(k), Pointer(v), Pointer(logSumExp), Pointer(offsets),
            q.Length / (logSumExp.Length / shape.Heads), shape, InstructionSet);
}

/// <summary>
/// What the forward and the backward pass of attention share: where a (sequence, head) lies, and
/// its scores.
/// </summary>
/// <param name="q">[tokens, columns]</param>
/// <param name="k">[tokens, columns]</param>
/// <param name="v">[tokens, columns]</param>
/// <param name="logSumExp">[tokens, heads]</param>
/// <param name="offsets">[sequences + 1]</param>
/// <param name="columns">heads · width</param>
/// <param name="shape">Heads, scale, dropout.</param>
internal readonly unsafe struct AttentionHeads(
    float* q, float* k, float* v, float* logSumExp, int* offsets, int columns, AttentionShape shape, InstructionSet set)
{
    private const int MaxQueries = 128;
    private const int MaxScores = 128 * 1024;           // in one matrix: two of them are 1 MiB of scratch memory

    private readonly DropoutMask mask = new(shape.Dropout, shape.Seed, set);

    public int Columns => columns;

    public int Width => columns / shape.Heads;

    public float Scale => shape.Scale;

    public bool Wide => set == InstructionSet.Avx512;

    public bool DropsOut => shape.Dropout > 0;

    /// <summary>The first token, the number of tokens and the head of a block of work.</summary>
    public (int First, int Length, int Head) Block(int block)
    {
        var (sequence, head) = Math.DivRem(block, shape.Heads);
        return (offsets[sequence], offsets[sequence + 1] - offsets[sequence], head);
    }

    /// <summary>
    /// Distance between rows of scores: whole registers, so that every row starts on a boundary.
    /// </summary>
    public static int Stride(int length) => (length + DropoutMask.Group - 1) / DropoutMask.Group * DropoutMask.Group;

    /// <summary>
    /// Queries that are worked on at once: of its own sequence alone depends how a sum over queries
    /// is cut.
    /// </summary>
    public static int Queries(int length) => Math.Clamp(MaxScores / Stride(length), 1, Math.Min(MaxQueries, length));

    /// <summary>Where (token, head) begins in a matrix of [tokens, columns].</summary>
    public int At(int token, int head) => token * columns + head * Width;

    public float* Q(int token, int head) => q + At(token, head);

    public float* K(int token, int head) => k + At(token, head);

    public float* V(int token, int head) => v + At(token, head);

    public ref float LogSumExp(int token, int head) => ref logSumExp[token * shape.Heads + head];

    /// <summary>scores = scale · Q·Kᵀ for some queries of a sequence and all its keys.</summary>
    public void Scores(float* scores, int token, int queries, int first, int length, int head, Scratch scratch) =>
        Product(scores, Stride(length), Q(token, head), columns, false, K(first, head), columns, true, queries, length,
            Width, shape.Scale, false, scratch);

    /// <summary>The dropout factors of the probabilities of one query.</summary>
    public void DropoutFactors(float* factors, int token, int length, int head) =>
        mask.Fill(factors, ((ulong)token * (ulong)shape.Heads + (ulong)head) << 16, length);

    public void Product(float* y, int yStride, float* a, int aStride, bool aTransposed, float* b, int bStride,
        bool bTransposed, int m, int n, int inner,
        float scale, bool accumulate, Scratch scratch) =>
        CpuKernels.SingleThreadProduct(set, y, yStride, a, aStride, aTransposed, b, bStride, bTransposed, m, n, inner,
            scale, accumulate, scratch);
}

/// <summary>y = (D ⊙ softmax(scale·Q·Kᵀ)) · V for one sequence and head.</summary>
internal readonly unsafe struct AttentionJob(AttentionHeads heads, float* y) : IJob
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
        var (first, length, head) = heads.Block(block);
        if (length == 0)
        {
            return;
        }
        var stride = AttentionHeads.Stride(length);
        var step = AttentionHeads.Queries(length);
        var scores = scratch.ForKernel((step + 1L) * stride);
        var factors = scores + (long)step * stride;
        for (var token = first; token < first + length; token += step)
        {
            var queries = Math.Min(step, first + length - token);
            heads.Scores(scores, token, queries, first, length, head, scratch);
            for (var i = 0; i < queries; i++)
            {
                var row = scores + (long)i * stride;                            // query token + i against every key
                var largest = Row.Largest<T>(row, length);
                var sum = Row.Exponentials<T>(row, row, length, largest);
                heads.LogSumExp(token + i, head) = largest + MathF.Log(sum);
                Row.Scale<T>(row, length, 1 / sum);
                if (!heads.DropsOut)
                {
                    continue;
                }
                heads.DropoutFactors(factors, token + i, length, head);
                Row.Multiply<T>(row, factors, length);
            }
            heads.Product(y + heads.At(token, head), heads.Columns, scores, stride, false, heads.V(first, head),
                heads.Columns, false,
                queries, heads.Width, length, 1, false, scratch);
        }
    }
}
