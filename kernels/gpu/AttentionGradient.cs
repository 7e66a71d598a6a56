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
        if (logSumExp.Length == 0)
        {
            return;
        }
        var width = q.Length / logSumExp.Length;
        // [queries, heads]
        using var corrections = Allocate<float>(dQ != null || dK != null ? logSumExp.Length : 0);
        if (corrections.Length > 0)
        {
            ForEachThread(corrections.Length, new CorrectionKernel(View(corrections), View(dY), View(y), width));
        }
        var (ofQueries, queryGroups) = TilesOf(width, offsets, queries, shape, ownsQueries: true);
        var (ofKeys, keyGroups) = TilesOf(width, offsets, queries, shape, ownsQueries: false);
        var (forQ, forK, forV) = (dQ is null ? 0 : queryGroups, dK is null ? 0 : keyGroups, dV is null ? 0 : keyGroups);
        ForEachGroup(checked(forQ + forK + forV), AttentionThreads, new AttentionGradientKernel(
            // dQ += scale·dS·K
            Part(dQ, shape.Scale, q, k, dY, v, source: k, ofQueries, ownsQueries: 1, throughScores: 1),
            // dK += scale·dSᵀ·Q
            Part(dK, shape.Scale, k, q, v, dY, source: q, ofKeys, ownsQueries: 0, throughScores: 1),
            // dV += (D ⊙ P)ᵀ·dY
            Part(dV, 1, k, q, v, dY, source: dY, ofKeys, ownsQueries: 0, throughScores: 0),
            forQ, forQ + forK, new AttentionSoftmax(View(logSumExp), View(corrections), shape.Scale)));

        // of a gradient that nobody wants, no group runs
        AttentionGradientPart Part(Accumulator? destination, float factor, DeviceBuffer<float> own,
            DeviceBuffer<float> other, DeviceBuffer<float> dOwn, DeviceBuffer<float> dOther,
            DeviceBuffer<float> source, AttentionTiles tiles, int ownsQueries, int throughScores) =>
            new(View(destination?.Buffer ?? own), destination is { } sum ? Keep(sum) : 0, factor, View(own),
                View(other), View(dOwn), View(dOther), View(source), tiles, ownsQueries, throughScores);
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
    /// The gradients of queries, keys and values beside each other: they share nothing but what
    /// they read, and one launch fills the device better than three.
    /// </summary>
    /// <param name="endOfQueries">Groups before it are the first part's.</param>
    /// <param name="endOfKeys">Groups before it are the second's, the others the third's.</param>
    /// <param name="softmax">What all of them read.</param>
    internal readonly struct AttentionGradientKernel(AttentionGradientPart ofQueries, AttentionGradientPart ofKeys,
        AttentionGradientPart ofValues, int endOfQueries, int endOfKeys, AttentionSoftmax softmax) : IGroupKernel
    {
        public void Run(int group)
        {
            var part = group < endOfQueries ? ofQueries : group < endOfKeys ? ofKeys : ofValues;
            var first = group < endOfQueries ? 0 : group < endOfKeys ? endOfQueries : endOfKeys;
            part.Run(group - first, softmax);
        }
    }

    /// <summary>
    /// From what probabilities and the gradients of the scores are computed again.
    /// </summary>
    /// <param name="logSumExp">[queries, heads]</param>
    /// <param name="corrections">[queries, heads]</param>
    /// <param name="scale">The factor on Q·Kᵀ.</param>
    internal readonly struct AttentionSoftmax(ArrayView<float> logSumExp, ArrayView<float> corrections, float scale)
    {
        /// <summary>logSumExp of a row [query, head].</summary>
        public float LogSumExp(int row) => logSumExp[row];

        /// <summary>Σⱼ Pⱼ·dPⱼ of a row.</summary>
        public float Correction(int row) => corrections[row];

        /// <summary>The probability that a score of the row stands for.</summary>
        public float Probability(float score, float logSumExp) => DeviceMath.Exp(scale * score - logSumExp);
    }

    /// <summary>
    /// destination += factor·T·source for one of the three gradients, where T is dS = P ⊙ (D ⊙
    /// dY·Vᵀ − corrections) or D ⊙ P, or its transpose where the group owns keys. P =
    /// exp(scale·Q·Kᵀ − logSumExp) is computed again in each: keeping it would take
    /// [queries, heads, length] floats.
    /// </summary>
    /// <param name="ownsQueries">
    /// 1 where the group's own rows are queries, 0 where they are keys.
    /// </param>
    /// <param name="throughScores">
    /// 1 where the gradient of the scores is needed, 0 where the probabilities suffice.
    /// </param>
    internal readonly struct AttentionGradientPart(ArrayView<float> destination, int keep, float factor,
        ArrayView<float> own, ArrayView<float> other,
        ArrayView<float> dOwn, ArrayView<float> dOther, ArrayView<float> source, AttentionTiles tiles,
        int ownsQueries, int throughScores)
    {
        public void Run(int group, in AttentionSoftmax softmax)
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
                if (throughScores != 0)
                {
                    tiles.Score(dScores, panel, dOwn, dOther, place, others);
                }
                Weigh(softmax, scores, dScores, place, rows, others);
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
        private void Weigh(in AttentionSoftmax softmax, ArrayView<float> scores, ArrayView<float> dScores,
            AttentionPlace place, int rows, int others)
        {
            var otherRows = AttentionTiles.Smaller(place.OtherLength - others, AttentionTiles.Others);
            int queries, keys, firstQuery, firstKey, quads, queryStride, keyStride;
            if (ownsQueries != 0)
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
                    var logSumExp = softmax.LogSumExp(row);
                    var correction = throughScores != 0 ? softmax.Correction(row) : 0;
                    for (var next = 0; next < 4; next++)
                    {
                        var to = i * queryStride + (key + next) * keyStride;
                        var p = softmax.Probability(scores[to], logSumExp);
                        var drop = factors.Element(next);
                        scores[to] = p * (throughScores != 0 ? drop * dScores[to] - correction : drop);
                    }
                }
            }
        }
    }
}
