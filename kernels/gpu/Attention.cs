using System.Diagnostics;
using ILGPU;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
{
    /// <inheritdoc/>
    public void Attention(DeviceBuffer<float> y, DeviceBuffer<float> logSumExp, DeviceBuffer<float> q,
        DeviceBuffer<float> k, DeviceBuffer<float> v,
        DeviceBuffer<int> offsets, AttentionQueries? queries, AttentionShape shape)
    {
        Debug.Assert(y.Length == q.Length && v.Length == k.Length && (queries != null || k.Length == q.Length)
            && logSumExp.Length % shape.Heads == 0);
        if (logSumExp.Length > 0)
        {
            var (tiles, groups) = TilesOf(q.Length / logSumExp.Length, offsets, queries, shape, ownsQueries: true);
            ForEachGroup(groups, AttentionThreads, new AttentionKernel(View(y), View(logSumExp), View(q), View(k),
                View(v), tiles, shape.Scale));
        }
    }

    private int AttentionThreads => Math.Min(groupThreads, AttentionTiles.Threads);

    /// <summary>
    /// A group for every block of rows and strip of columns of every sequence and head.
    /// </summary>
    /// <param name="width">Columns of a head.</param>
    /// <param name="offsets">[sequences + 1]</param>
    /// <param name="queries">Which tokens ask; null: all.</param>
    /// <param name="shape">Of the call.</param>
    /// <param name="ownsQueries">Whether the rows are queries; else they are keys.</param>
    private (AttentionTiles Tiles, int Groups) TilesOf(int width, DeviceBuffer<int> offsets, AttentionQueries? queries,
        AttentionShape shape, bool ownsQueries)
    {
        ArrayView<int> keys = View(offsets), asking = queries is { } some ? View(some.Offsets) : keys;
        var longest = ownsQueries ? queries?.Longest ?? shape.LongestSequence : shape.LongestSequence;
        int blocks = Pieces(longest, AttentionTiles.Own), strips = Pieces(width, AttentionTiles.Strip);
        var tiles = new AttentionTiles(ownsQueries ? asking : keys, ownsQueries ? keys : asking,
            queries is { } few ? View(few.Tokens) : keys, queries is null ? 0 : 1, blocks, strips, shape.Heads, width,
            new DropoutMask(shape.Dropout, shape.Seed), shape.Dropout > 0 ? 1 : 0);
        return (tiles, checked((offsets.Length - 1) * shape.Heads * strips * blocks));
        static int Pieces(int count, int piece) => (count + piece - 1) / piece;
    }

    /// <summary>
    /// y = (D ⊙ softmax(scale·Q·Kᵀ)) · V. The softmax is formed as the keys come by: a row keeps
    /// its largest score so far, m, and the sums of exp(s − m) and of exp(s − m)·v; where a tile
    /// has a larger score m′, both sums are first multiplied by exp(m − m′).
    /// </summary>
    internal readonly struct AttentionKernel(ArrayView<float> y, ArrayView<float> logSumExp, ArrayView<float> q,
        ArrayView<float> k, ArrayView<float> v,
        AttentionTiles tiles, float scale) : IGroupKernel
    {
        // four keys, or four columns, are one thread's work between the products
        private const int Quads = AttentionTiles.Others / 4;

        public void Run(int group)
        {
            var place = tiles.Place(group);
            var queries = AttentionTiles.Smaller(place.Length - place.Own, AttentionTiles.Own);
            if (queries <= 0)
            {
                // a shorter sequence than the longest; true in every thread
                return;
            }
            var panel = SharedMemory.Allocate<float>(AttentionTiles.Panel);
            var scores = SharedMemory.Allocate<float>(AttentionTiles.Tile);
            var sums = SharedMemory.Allocate<float>(AttentionTiles.Tile);       // Σⱼ D·exp(sⱼ − m)·vⱼ
            var parts = SharedMemory.Allocate<float>(AttentionTiles.Own * (Quads + 1));
            var largest = SharedMemory.Allocate<float>(AttentionTiles.Own);     // m
            var total = SharedMemory.Allocate<float>(AttentionTiles.Own);       // Σⱼ exp(sⱼ − m)
            var shrink = SharedMemory.Allocate<float>(AttentionTiles.Own);      // exp(m − m′)
            for (var i = Group.IdxX; i < AttentionTiles.Tile; i += Group.DimX)
            {
                sums[i] = 0;
            }
            for (var i = Group.IdxX; i < queries; i += Group.DimX)
            {
                largest[i] = float.NegativeInfinity;
                total[i] = 0;
            }
            for (var others = 0; others < place.OtherLength; others += AttentionTiles.Others)
            {
                var keys = AttentionTiles.Smaller(place.OtherLength - others, AttentionTiles.Others);
                tiles.Score(scores, panel, q, k, place, others);
                for (var i = Group.IdxX; i < queries; i += Group.DimX)
                {
                    var top = largest[i];
                    for (var j = 0; j < keys; j++)
                    {
                        var score = scale * scores[i * AttentionTiles.Stride + j];
                        top = score > top ? score : top;
                    }
                    shrink[i] = DeviceMath.Exp(largest[i] - top);
                    largest[i] = top;
                }
                Group.Barrier();
                for (var at = Group.IdxX; at < queries * Quads; at += Group.DimX)
                {
                    int i = at / Quads, quad = at % Quads;
                    var start = i * AttentionTiles.Stride + 4 * quad;
                    for (var j = start; j < start + 4; j++)
                    {
                        sums[j] *= shrink[i];
                    }
                    parts[i * (Quads + 1) + quad] = Exponentials(scores, start, keys - 4 * quad, largest[i],
                        place.First + place.Own + i, place.Head, others + 4 * quad);
                }
                Group.Barrier();
                for (var i = Group.IdxX; i < queries; i += Group.DimX)
                {
                    var sum = total[i] * shrink[i];
                    for (var quad = 0; quad < Quads; quad++)
                    {
                        sum += parts[i * (Quads + 1) + quad];
                    }
                    total[i] = sum;
                }
                tiles.AddWeighted(sums, scores, panel, v, place, others);
            }
            Write(sums, largest, total, place, queries);
        }

        /// <summary>
        /// Replaces up to four scores of a query by D·exp(score − m); the result is their sum
        /// without D.
        /// </summary>
        private float Exponentials(ArrayView<float> scores, int start, int count, float top, int query, int head,
            int key)
        {
            if (count <= 0)
            {
                return 0;
            }
            var factors = tiles.Factors(query, head, key);
            var sum = Weigh(scores, start, top, factors.X);
            sum += count > 1 ? Weigh(scores, start + 1, top, factors.Y) : 0;
            sum += count > 2 ? Weigh(scores, start + 2, top, factors.Z) : 0;
            sum += count > 3 ? Weigh(scores, start + 3, top, factors.W) : 0;
            return sum;
        }

        private float Weigh(ArrayView<float> scores, int at, float top, float factor)
        {
            // the largest exponent is 0, it cannot overflow
            var e = DeviceMath.Exp(scale * scores[at] - top);
            scores[at] = factor * e;
            return e;
        }

        private void Write(ArrayView<float> sums, ArrayView<float> largest, ArrayView<float> total,
            AttentionPlace place, int queries)
        {
            var columns = tiles.StripColumns(place);
            for (var at = Group.IdxX; at < queries * AttentionTiles.Strip; at += Group.DimX)
            {
                int i = at / AttentionTiles.Strip, c = at % AttentionTiles.Strip;
                if (c < columns)
                {
                    y[tiles.At(place) + i * tiles.RowLength + c] = sums[i * AttentionTiles.Stride + c] / total[i];
                }
            }
            if (place.Strip == 0)
            {
                for (var i = Group.IdxX; i < queries; i += Group.DimX)
                {
                    logSumExp[(place.First + place.Own + i) * tiles.Heads + place.Head] = largest[i]
                        + MathF.Log(total[i]);
                }
            }
        }
    }
}
