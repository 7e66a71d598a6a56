using System.Diagnostics;
using ILGPU;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
{
    /// <inheritdoc/>
    public void AddAttentionGradient(Accumulator? dQ, Accumulator? dK, Accumulator? dV, DeviceBuffer<float> dY,
        DeviceBuffer<float> y,
        DeviceBuffer<float> logSumExp, DeviceBuffer<float> q, DeviceBuffer<float> k, DeviceBuffer<float> v,
        DeviceBuffer<int> offsets, AttentionQueries? queries, AttentionShape shape)
    {
        Debug.Assert(y.Length == q.Length && v.Length == k.Length && dY.Length == q.Length
            && (queries != null || k.Length == q.Length) && logSumExp.Length % shape.Heads == 0);
        // [queries, heads]
        using var corrections = Allocate<float>(dQ != null || dK != null ? logSumExp.Length : 0);
        if (corrections.Length > 0)
        {
            ForEachThread(corrections.Length,
                new CorrectionKernel(View(corrections), View(dY), View(y), q.Length / corrections.Length));
        }
        // dQ += scale·dS·K
        if (dQ is { } sumQ)
        {
            Run<GradientOfQueries>(sumQ, shape.Scale, q, k, dY, v, source: k);
        }
        // dK += scale·dSᵀ·Q
        if (dK is { } sumK)
        {
            Run<GradientOfKeys>(sumK, shape.Scale, k, q, v, dY, source: q);
        }
        // dV += (D ⊙ P)ᵀ·dY
        if (dV is { } sumV)
        {
            Run<GradientOfValues>(sumV, 1, k, q, v, dY, source: dY);
        }

        void Run<TGradient>(Accumulator destination, float factor, DeviceBuffer<float> own, DeviceBuffer<float> other,
            DeviceBuffer<float> dOwn,
            DeviceBuffer<float> dOther, DeviceBuffer<float> source) where TGradient : struct, IAttentionGradient =>
            ForEachAttentionTile(q.Length, logSumExp.Length, offsets, queries, shape, TGradient.OwnsQueries != 0,
                tiles => new AttentionGradientKernel<TGradient>(
                View(destination.Buffer), Keep(destination), factor, View(own), View(other), View(dOwn), View(dOther),
                    View(source), View(logSumExp), View(corrections), tiles, shape.Scale));
    }

    /// <summary>Of which input a kernel computes the gradient.</summary>
    internal interface IAttentionGradient
    {
        /// <summary>1 where the group's own rows are queries, 0 where they are keys.</summary>
        static abstract int OwnsQueries { get; }

        /// <summary>
        /// 1 where the gradient of the scores is needed, 0 where the probabilities suffice.
        /// </summary>
        static abstract int ThroughScores { get; }
    }

    internal readonly struct GradientOfQueries : IAttentionGradient
    {
        public static int OwnsQueries => 1;
        public static int ThroughScores => 1;
    }

    internal readonly struct GradientOfKeys : IAttentionGradient
    {
        public static int OwnsQueries => 0;
        public static int ThroughScores => 1;
    }

    internal readonly struct GradientOfValues : IAttentionGradient
    {
        public static int OwnsQueries => 0;
        public static int ThroughScores => 0;
    }

    /// <summary>
    /// corrections[query, head] = ⟨dY, Y⟩ = Σⱼ Pⱼ·dPⱼ: the softmax's own gradient.
    /// </summary>
    internal readonly struct CorrectionKernel(ArrayView<float> corrections, ArrayView<float> dY, ArrayView<float> y,
        int width) : IThreadKernel
    {
        public void At(int i)
        {
            var sum = 0f;
            for (var at = i * width; at < (i + 1) * width; at++)
            {
                sum += dY[at] * y[at];
            }
            corrections[i] = sum;
        }
    }

    /// <summary>
    /// destination += factor·T·source for one of the three gradients, where T is dS = P ⊙ (D ⊙
    /// dY·Vᵀ − corrections) or D ⊙ P, or its transpose where the group owns keys. P =
    /// exp(scale·Q·Kᵀ − logSumExp) is computed again in each: keeping it would take
    /// [queries, heads, length] floats.
    /// </summary>
    internal readonly struct AttentionGradientKernel<TGradient>(ArrayView<float> destination, int keep, float factor,
        ArrayView<float> own, ArrayView<float> other,
        ArrayView<float> dOwn, ArrayView<float> dOther, ArrayView<float> source, ArrayView<float> logSumExp,
        ArrayView<float> corrections,
        AttentionTiles tiles, float scale) : IGroupKernel where TGradient : struct, IAttentionGradient
    {
        public void Run(int group)
        {
            var place = tiles.Place(group);
            var rows = AttentionTiles.Smaller(place.Length - place.Own, AttentionTiles.Own);
            if (rows <= 0)
            {
                // a shorter sequence than the longest; true in every thread
                return;
            }
            var panel = SharedMemory.Allocate<float>(AttentionTiles.Panel);
            var scores = SharedMemory.Allocate<float>(AttentionTiles.Tile);     // Q·Kᵀ or its transpose, then T
            var dScores = SharedMemory.Allocate<float>(AttentionTiles.Tile);    // dY·Vᵀ or its transpose
            var sums = SharedMemory.Allocate<float>(AttentionTiles.Tile);
            for (var i = Group.IdxX; i < AttentionTiles.Tile; i += Group.DimX)
            {
                sums[i] = 0;
            }
            Group.Barrier();                                    // keys that no query asks have no tile to wait in
            for (var others = 0; others < place.OtherLength; others += AttentionTiles.Others)
            {
                tiles.Score(scores, panel, own, other, place, others);
                if (TGradient.ThroughScores != 0)
                {
                    tiles.Score(dScores, panel, dOwn, dOther, place, others);
                }
                Weigh(scores, dScores, place, rows, others);
                Group.Barrier();
                tiles.AddWeighted(sums, scores, panel, source, place, others);
            }
            var columns = tiles.StripColumns(place);
            for (var at = Group.IdxX; at < rows * AttentionTiles.Strip; at += Group.DimX)
            {
                int i = at / AttentionTiles.Strip, c = at % AttentionTiles.Strip;
                if (c < columns)
                {
                    var to = tiles.At(place) + i * tiles.RowLength + c;
                    destination[to] = (keep != 0 ? destination[to] : 0) + factor * sums[i * AttentionTiles.Stride + c];
                }
            }
        }

        /// <summary>
        /// Puts T in place of the scores; a thread takes four keys of a query, which share a draw
        /// of the dropout mask.
        /// </summary>
        private void Weigh(ArrayView<float> scores, ArrayView<float> dScores, AttentionPlace place, int rows,
            int others)
        {
            var otherRows = AttentionTiles.Smaller(place.OtherLength - others, AttentionTiles.Others);
            int queries, keys, firstQuery, firstKey, quads, queryStride, keyStride;
            if (TGradient.OwnsQueries != 0)
            {
                (queries, firstQuery, queryStride) = (rows, place.First + place.Own, AttentionTiles.Stride);
                (keys, firstKey, keyStride, quads) = (otherRows, others, 1, AttentionTiles.Others / 4);
            }
            else
            {
                (queries, firstQuery, queryStride) = (otherRows, place.OtherFirst + others, 1);
                (keys, firstKey, keyStride, quads) = (rows, place.Own, AttentionTiles.Stride, AttentionTiles.Own / 4);
            }
            for (var at = Group.IdxX; at < queries * quads; at += Group.DimX)
            {
                int i = at / quads, key = at % quads * 4;
                if (key < keys)
                {
                    var query = firstQuery + i;
                    var row = query * tiles.Heads + place.Head;                 // [query, head]
                    var factors = tiles.Factors(query, place.Head, firstKey + key);
                    var correction = TGradient.ThroughScores != 0 ? corrections[row] : 0;
                    var start = i * queryStride + key * keyStride;
                    Weigh(scores, dScores, start, logSumExp[row], correction, factors.X);
                    Weigh(scores, dScores, start + keyStride, logSumExp[row], correction, factors.Y);
                    Weigh(scores, dScores, start + 2 * keyStride, logSumExp[row], correction, factors.Z);
                    Weigh(scores, dScores, start + 3 * keyStride, logSumExp[row], correction, factors.W);
                }
            }
        }

        private void Weigh(ArrayView<float> scores, ArrayView<float> dScores, int at, float logSumExp, float correction,
            float factor)
        {
            var p = DeviceMath.Exp(scale * scores[at] - logSumExp);
            scores[at] = p * (TGradient.ThroughScores != 0 ? factor * dScores[at] - correction : factor);
        }
    }
}
