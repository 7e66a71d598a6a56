using System.Diagnostics;
using LoraScratch.Kernels.Functions;
using Rows = LoraScratch.Kernels.Common.Rows<LoraScratch.Kernels.Cpu.HostFloats>;

namespace LoraScratch.Kernels.Cpu;

internal sealed unsafe partial class CpuKernels
{
    /// <inheritdoc/>
    public void Attention(DeviceBuffer<float> y, DeviceBuffer<float> logSumExp, DeviceBuffer<float> q,
        DeviceBuffer<float> k, DeviceBuffer<float> v,
        DeviceBuffer<int> offsets, AttentionQueries? queries, AttentionShape shape)
    {
        Debug.Assert(y.Length == q.Length && v.Length == k.Length && (queries != null || k.Length == q.Length)
            && logSumExp.Length % shape.Heads == 0);
        if (logSumExp.Length == 0)
        {
            return;
        }
        var heads = AttentionHeads(q, k, v, logSumExp, offsets, queries, shape);
        Workers.Run(heads.Blocks, new AttentionJob(heads, Pointer(y), Workers.Threads));
    }

    /// <inheritdoc/>
    public void AddAttentionGradient(Accumulator? dQ, Accumulator? dK, Accumulator? dV, DeviceBuffer<float> dY,
        DeviceBuffer<float> y,
        DeviceBuffer<float> logSumExp, DeviceBuffer<float> q, DeviceBuffer<float> k, DeviceBuffer<float> v,
        DeviceBuffer<int> offsets, AttentionQueries? queries, AttentionShape shape)
    {
        Debug.Assert(y.Length == q.Length && v.Length == k.Length && dY.Length == q.Length
            && (queries != null || k.Length == q.Length) && logSumExp.Length % shape.Heads == 0);
        if (logSumExp.Length == 0 || (dQ == null && dK == null && dV == null))
        {
            return;
        }
        var heads = AttentionHeads(q, k, v, logSumExp, offsets, queries, shape);
        Workers.Run(heads.Blocks, new AttentionGradientJob(heads,
            new(dQ), new(dK), new(dV), Pointer(dY), Pointer(y), Workers.Threads));
    }

    private AttentionHeads AttentionHeads(DeviceBuffer<float> q, DeviceBuffer<float> k, DeviceBuffer<float> v,
        DeviceBuffer<float> logSumExp,
        DeviceBuffer<int> offsets, AttentionQueries? queries, AttentionShape shape) =>
        new(Pointer(q), Pointer(k), Pointer(v), Pointer(logSumExp), Pointer(offsets),
            Pointer(queries?.Offsets ?? offsets), queries is { } some ? Pointer(some.Tokens) : null,
            q.Length / (logSumExp.Length / shape.Heads), shape, InstructionSet, (offsets.Length - 1) * shape.Heads);
}

/// <summary>
/// What the forward and the backward pass of attention share: where a (sequence, head) lies, and
/// its scores.
/// </summary>
/// <param name="q">[queries, columns]</param>
/// <param name="k">[tokens, columns]</param>
/// <param name="v">[tokens, columns]</param>
/// <param name="logSumExp">[queries, heads]</param>
/// <param name="offsets">[sequences + 1]</param>
/// <param name="queryOffsets">[sequences + 1]; the same where every token asks</param>
/// <param name="tokens">[queries]: the token of each; null where every token asks</param>
/// <param name="columns">heads · width</param>
/// <param name="shape">Heads, scale, dropout.</param>
/// <param name="set">The instructions of products and masks.</param>
/// <param name="blocks">sequences · heads</param>
internal readonly unsafe struct AttentionHeads(
    float* q, float* k, float* v, float* logSumExp, int* offsets, int* queryOffsets, int* tokens, int columns,
    AttentionShape shape, InstructionSet set, int blocks)
{
    private const int MaxQueries = 128;
    private const int MaxScores = 128 * 1024;           // in one matrix: two of them are 1 MiB of scratch memory

    private readonly DropoutMask mask = new(shape.Dropout, shape.Seed, set);

    /// <summary>Blocks of work: one for every sequence and head.</summary>
    public int Blocks => blocks;

    public int Columns => columns;

    public int Width => columns / shape.Heads;

    public float Scale => shape.Scale;

    public bool Wide => set == InstructionSet.Avx512;

    public bool DropsOut => shape.Dropout > 0;

    /// <summary>
    /// A block of work: its sequence's first token and number of tokens, its first query and the
    /// query after its last one, and its head.
    /// </summary>
    public (int First, int Length, int FirstQuery, int EndQuery, int Head) Block(int block)
    {
        var (sequence, head) = Math.DivRem(block, shape.Heads);
        return (offsets[sequence], offsets[sequence + 1] - offsets[sequence], queryOffsets[sequence],
            queryOffsets[sequence + 1], head);
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

    /// <summary>Where (row, head) begins in a matrix of [rows, columns].</summary>
    public int At(int row, int head) => row * columns + head * Width;

    public float* Q(int query, int head) => q + At(query, head);

    public float* K(int token, int head) => k + At(token, head);

    public float* V(int token, int head) => v + At(token, head);

    public ref float LogSumExp(int query, int head) => ref logSumExp[query * shape.Heads + head];

    /// <summary>
    /// The rows that a block reads, to be asked for while the thread that will probably do it does
    /// the one before.
    /// </summary>
    /// <param name="block">Which one; past the last: there are none.</param>
    /// <param name="y">Another matrix of queries; null: none.</param>
    /// <param name="dY">Another one; null: none.</param>
    public HeadAhead Ahead(int block, float* y, float* dY)
    {
        if (block >= Blocks)
        {
            return default;
        }
        var (first, length, query, end, head) = Block(block);
        var atQueries = At(query, head);
        return new(Q(query, head), y == null ? null : y + atQueries, dY == null ? null : dY + atQueries,
            K(first, head), V(first, head), end - query, length, columns, Width);
    }

    /// <summary>scores = scale · Q·Kᵀ for some queries of a sequence and all its keys.</summary>
    public void Scores(float* scores, int query, int queries, int first, int length, int head, Scratch scratch) =>
        Product(scores, Stride(length), Q(query, head), columns, false, K(first, head), columns, true, queries, length,
            Width, shape.Scale, false, scratch);

    /// <summary>The dropout factors of the probabilities of one query.</summary>
    public void DropoutFactors(float* factors, int query, int length, int head)
    {
        var token = (ulong)(tokens == null ? query : tokens[query]);
        mask.Fill(factors, (token * (ulong)shape.Heads + (ulong)head) << 16, length);
    }

    public void Product(float* y, int yStride, float* a, int aStride, bool aTransposed, float* b, int bStride,
        bool bTransposed, int m, int n, int inner,
        float scale, bool accumulate, Scratch scratch) =>
        CpuKernels.SingleThreadProduct(set, y, yStride, a, aStride, aTransposed, b, bStride, bTransposed, m, n, inner,
            scale, accumulate, scratch);
}

/// <summary>y = (D ⊙ softmax(scale·Q·Kᵀ)) · V for one sequence and head.</summary>
internal readonly unsafe struct AttentionJob(AttentionHeads heads, float* y, int threads) : IJob
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
            return;
        }
        var stride = AttentionHeads.Stride(length);
        var step = Math.Min(AttentionHeads.Queries(length), endQuery - firstQuery);
        var scores = scratch.ForKernel((step + 1L) * stride);
        var factors = scores + (long)step * stride;
        var ahead = heads.Ahead(block + threads, null, null);
        for (var query = firstQuery; query < endQuery; query += step)
        {
            var queries = Math.Min(step, endQuery - query);
            heads.Scores(scores, query, queries, first, length, head, scratch);
            for (var i = 0; i < queries; i++)
            {
                ahead.Ask(query - firstQuery + i);
                var row = scores + (long)i * stride;                            // query + i against every key
                var largest = Rows.Largest<T>(new(row), length);
                var sum = Rows.Exponentials<T>(new(row), new(row), length, largest);
                heads.LogSumExp(query + i, head) = largest + MathF.Log(sum);
                Rows.Scale<T>(new(row), length, 1 / sum);
                if (!heads.DropsOut)
                {
                    continue;
                }
                heads.DropoutFactors(factors, query + i, length, head);
                Rows.Multiply<T>(new(row), new(factors), length);
            }
            heads.Product(y + heads.At(query, head), heads.Columns, scores, stride, false, heads.V(first, head),
                heads.Columns, false,
                queries, heads.Width, length, 1, false, scratch);
        }
    }
}
