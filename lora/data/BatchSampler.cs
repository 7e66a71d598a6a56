namespace LoraScratch.Lora.Data;

/// <summary>
/// Cuts examples into batches, epoch by epoch. The order of an epoch is a function of the seed and
/// the epoch's number alone, so training resumed in the middle sees the batches that it would have
/// seen. Each example comes once an epoch; the last batch may be smaller.
/// </summary>
internal sealed class BatchSampler
{
    private readonly IReadOnlyList<EncodedExample> examples;
    private readonly ulong seed;
    private readonly bool shuffle;

    /// <param name="examples">The examples, at least one.</param>
    /// <param name="batchSize">Rows in a batch.</param>
    /// <param name="seed">The seed of the order.</param>
    /// <param name="shuffle">If false, every epoch has the order of the examples.</param>
    /// <exception cref="ArgumentException">No example, or a batch size below 1.</exception>
    public BatchSampler(IReadOnlyList<EncodedExample> examples, int batchSize, ulong seed = 0, bool shuffle = true)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(batchSize, 1);
        if (examples.Count == 0)
        {
            throw new ArgumentException("There is no example to make batches of.", nameof(examples));
        }
        (this.examples, BatchSize, this.seed, this.shuffle) = (examples, batchSize, seed, shuffle);
    }

    /// <summary>Rows in a batch; the last one of an epoch may have fewer.</summary>
    public int BatchSize { get; }

    /// <summary>Batches in an epoch.</summary>
    public int BatchesPerEpoch => (int)(((long)examples.Count + BatchSize - 1) / BatchSize);

    /// <summary>The batches of an epoch, made as they are asked for.</summary>
    /// <param name="epoch">The number of the epoch, from 0.</param>
    /// <param name="firstBatch">Batches before this one are skipped without being made.</param>
    public IEnumerable<PackedBatch> Epoch(int epoch, int firstBatch = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(epoch);
        ArgumentOutOfRangeException.ThrowIfNegative(firstBatch);
        return Batches();

        IEnumerable<PackedBatch> Batches()
        {
            var order = shuffle ? Permutation.Random(examples.Count, seed, (uint)epoch) : null;
            var rows = new EncodedExample[Math.Min(BatchSize, examples.Count)];
            for (var first = (long)firstBatch * BatchSize; first < examples.Count; first += BatchSize)
            {
                var count = (int)Math.Min(BatchSize, examples.Count - first);
                var numbers = new int[count];
                for (var i = 0; i < count; i++)
                {
                    numbers[i] = order is null ? (int)first + i : order[first + i];
                    rows[i] = examples[numbers[i]];
                }
                yield return PackedBatch.Of(rows.AsSpan(0, count)) with { RowIndices = numbers };
            }
        }
    }
}
