using LoraScratch.Lora.Data;

namespace LoraScratch.Tests.Text;

public class BatchTests
{
    // Example i has i % 5 + 1 tokens, all of them i.
    private static EncodedExample[] Examples(int count) =>
        [.. Enumerable.Range(0, count).Select(i => new EncodedExample([.. Enumerable.Repeat(i, i % 5 + 1)], i % 2))];

    [Test]
    public void Rows_are_packed_one_after_the_other_without_padding()
    {
        var batch = PackedBatch.Of([new([101, 7, 102], 1), new([101, 102], 0), new([5], TextExample.NoLabel)]);
        Assert.That(batch.TokenIds, Is.EqualTo(new[] { 101, 7, 102, 101, 102, 5 }));
        Assert.That(batch.Positions, Is.EqualTo(new[] { 0, 1, 2, 0, 1, 0 }));
        Assert.That(batch.Offsets, Is.EqualTo(new[] { 0, 3, 5, 6 }));
        Assert.That(batch.Labels, Is.EqualTo(new[] { 1, 0, -1 }));
        Assert.That((batch.Rows, batch.Tokens), Is.EqualTo((3, 6)));
    }

    [Test]
    public void Every_example_comes_once_an_epoch_and_the_last_batch_is_smaller([Values] bool shuffle)
    {
        var sampler = new BatchSampler(Examples(23), batchSize: 4, seed: 5, shuffle);
        var batches = sampler.Epoch(0).ToList();
        Assert.That(batches, Has.Count.EqualTo(sampler.BatchesPerEpoch).And.Count.EqualTo(6));
        Assert.That(batches.Select(b => b.Rows), Is.EqualTo(new[] { 4, 4, 4, 4, 4, 3 }));
        var order = batches.SelectMany(b => b.Offsets.SkipLast(1).Select(o => b.TokenIds[o])).ToArray();
        Assert.That(order, shuffle ? Is.EquivalentTo(Enumerable.Range(0, 23)) : Is.EqualTo(Enumerable.Range(0, 23)));
        Assert.That(order, shuffle ? Is.Not.Ordered : Is.Ordered);
        foreach (var batch in batches)
        {
            for (var row = 0; row < batch.Rows; row++)
            {
                var tokens = batch.TokenIds[batch.Offsets[row]..batch.Offsets[row + 1]];
                Assert.That(tokens, Is.EqualTo(Enumerable.Repeat(tokens[0], tokens[0] % 5 + 1)));
                Assert.That(batch.Labels[row], Is.EqualTo(tokens[0] % 2));
            }
        }
    }

    [Test]
    public void Another_epoch_has_another_order_and_the_same_epoch_the_same()
    {
        var sampler = new BatchSampler(Examples(100), 10, seed: 5);
        var again = new BatchSampler(Examples(100), 10, seed: 5);
        Assert.That(Ids(again.Epoch(3)), Is.EqualTo(Ids(sampler.Epoch(3))));
        Assert.That(Ids(sampler.Epoch(4)), Is.Not.EqualTo(Ids(sampler.Epoch(3))));
        Assert.That(Ids(new BatchSampler(Examples(100), 10, seed: 6).Epoch(3)), Is.Not.EqualTo(Ids(sampler.Epoch(3))));
    }

    [Test]
    public void An_epoch_can_be_entered_in_the_middle([Values(0, 1, 6, 9, 10, 20)] int firstBatch)
    {
        var sampler = new BatchSampler(Examples(100), 10, seed: 5);
        Assert.That(Ids(sampler.Epoch(2, firstBatch)), Is.EqualTo(Ids(sampler.Epoch(2).Skip(firstBatch))));
    }

    [Test]
    public void No_examples_and_no_rows_are_errors()
    {
        Assert.That(() => new BatchSampler([], 4), Throws.ArgumentException);
        Assert.That(() => new BatchSampler(Examples(1), 0), Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    private static int[] Ids(IEnumerable<PackedBatch> batches) => [.. batches.SelectMany(b => b.TokenIds)];
}
