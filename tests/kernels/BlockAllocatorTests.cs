using LoraScratch.Kernels;

namespace LoraScratch.Tests.Kernels;


public class BlockAllocatorTests
{
    private const long Segment = BlockAllocator<int>.SegmentGranularity;
    private readonly Dictionary<int, long> taken = [];
    private int number, takes;
    private BlockAllocator<int> allocator = null!;

    [SetUp]
    public void NewDevice()
    {
        taken.Clear();
        number = takes = 0;
        allocator = new(Take, number => Assert.That(taken.Remove(number), "a segment is given back once"));
    }

    [Test]
    public void Blocks_are_rounded_up_and_lie_side_by_side()
    {
        var first = allocator.Allocate(1);
        var second = allocator.Allocate(257);
        var third = allocator.Allocate(0);
        Assert.Multiple(() =>
        {
            Assert.That((first.Offset, first.Size), Is.EqualTo((0L, 256L)));
            Assert.That((second.Offset, second.Size), Is.EqualTo((256L, 512L)));
            Assert.That((third.Offset, third.Size), Is.EqualTo((768L, 256L)));
            Assert.That(allocator.Use, Is.EqualTo(new MemoryUse(Segment, 1024, 1024)));
        });
    }

    [TestCase(0, 1, 2)]
    [TestCase(2, 1, 0)]
    [TestCase(0, 2, 1)]
    [TestCase(1, 0, 2)]
    public void Freed_neighbours_join_in_whatever_order_they_come(int first, int second, int third)
    {
        BlockAllocator<int>.Block[] blocks =
            [allocator.Allocate(Segment / 4), allocator.Allocate(Segment / 4), allocator.Allocate(Segment / 4)];
        var last = allocator.Allocate(Segment / 4);
        foreach (var i in new[] { first, second, third })
        {
            allocator.Free(blocks[i]);
        }
        var joined = allocator.Allocate(Segment / 4 * 3);
        Assert.Multiple(() =>
        {
            Assert.That(joined.Offset, Is.Zero);
            Assert.That(last.Segment, Is.SameAs(joined.Segment));
            Assert.That(takes, Is.EqualTo(1));
        });
    }

    [Test]
    public void What_lasts_lies_at_the_other_end()
    {
        var first = allocator.Allocate(1024);
        var lasting = allocator.Allocate(1024, lasting: true);
        var next = allocator.Allocate(512, lasting: true);
        Assert.That((first.Offset, lasting.Offset, next.Offset), Is.EqualTo((0L, Segment - 1024, Segment - 1536)));
        allocator.Free(lasting);
        Assert.That(allocator.Allocate(256, lasting: true).Offset, Is.EqualTo(Segment - 256), "the last gap first");
        var other = allocator.Allocate(Segment);
        Assert.That(allocator.Allocate(Segment - 4096, lasting: true).Segment, Is.SameAs(first.Segment));
        Assert.That(other.Segment, Is.Not.SameAs(first.Segment));
    }

    /// <summary>
    /// Activations of twelve layers, freed one after another while gradients of half their size
    /// come, and at the end one of the size of two segments: it finds as much free in one piece.
    /// </summary>
    [Test]
    public void A_step_of_full_fine_tuning_takes_little_more_than_it_holds_at_once()
    {
        const long activation = Segment / 8 * 7, gradient = Segment / 16;
        for (var step = 0; step < 4; step++)
        {
            var activations = Enumerable.Range(0, 12).Select(_ => allocator.Allocate(activation)).ToArray();
            var gradients = new List<BlockAllocator<int>.Block>();
            foreach (var layer in activations.Reverse())
            {
                gradients.AddRange(Enumerable.Range(0, 7).Select(_ => allocator.Allocate(gradient, lasting: true)));
                allocator.Free(layer);
            }
            gradients.Add(allocator.Allocate(3 * Segment, lasting: true));
            gradients.ForEach(allocator.Free);
        }
        Assert.That(allocator.Use.Reserved, Is.EqualTo(12 * Segment), "14 where gradients lie among activations");
    }

    [Test]
    public void A_request_larger_than_a_segment_gets_one_of_its_own()
    {
        var block = allocator.Allocate((3 * Segment) + 1);
        Assert.That(block.Segment.Size, Is.EqualTo(4 * Segment));
    }

    [Test]
    public void A_free_segment_is_given_back_before_a_larger_one_is_taken()
    {
        allocator.Free(allocator.Allocate(Segment));
        allocator.Allocate(2 * Segment);
        Assert.Multiple(() =>
        {
            Assert.That(taken.Values, Is.EqualTo(new[] { 2 * Segment }));
            Assert.That(allocator.Use.Reserved, Is.EqualTo(2 * Segment));
        });
    }

    [Test]
    public void A_segment_in_use_is_kept()
    {
        var small = allocator.Allocate(1);
        allocator.Allocate(2 * Segment);
        Assert.That(taken, Does.ContainKey(small.Segment.Memory));
    }

    [Test]
    public void ReleaseAll_gives_everything_back()
    {
        allocator.Allocate(1);
        allocator.Allocate(2 * Segment);
        allocator.ReleaseAll();
        Assert.Multiple(() =>
        {
            Assert.That(taken, Is.Empty);
            Assert.That((allocator.Use.Reserved, allocator.Use.InUse), Is.EqualTo((0L, 0L)));
        });
    }

    [Test]
    public void Random_requests_never_overlap_and_all_of_it_coalesces([NUnit.Framework.Range(1, 8)] int seed)
    {
        var random = new Random(seed);
        var live = new List<BlockAllocator<int>.Block>();
        for (var i = 0; i < 4000; i++)
        {
            if (live.Count > 0 && random.Next(100) < (i / 500 % 2 == 0 ? 40 : 60))   // growing and shrinking in turn
            {
                var victim = random.Next(live.Count);
                allocator.Free(live[victim]);
                live.RemoveAt(victim);
            }
            else
            {
                live.Add(allocator.Allocate((long)Math.Pow(2, random.NextDouble() * 26)));
            }
            if (i % 100 == 0)
            {
                AssertDisjoint(live);
            }
        }
        foreach (var block in live)
        {
            allocator.Free(block);
        }
        Assert.Multiple(() =>
        {
            Assert.That(allocator.Use.InUse, Is.Zero);
            Assert.That(live.Select(block => block.Segment).Where(segment => taken.ContainsKey(segment.Memory)),
                Has.All.Property("IsFree").True);
        });
    }

    [Test]
    public void A_sequence_run_again_finds_every_block_where_it_was([NUnit.Framework.Range(1, 8)] int seed)
    {
        // parameters that outlive the steps
        var kept = Enumerable.Range(0, 5).Select(_ => allocator.Allocate(Segment / 7)).ToList();
        var first = Step(seed, scale: 1);
        var before = takes;
        for (var step = 0; step < 3; step++)
        {
            Assert.That(Step(seed, scale: 1), Is.EqualTo(first));
        }
        Assert.That(takes, Is.EqualTo(before), "a step in steady state takes nothing from the device");
        Assert.That(kept, Has.Count.EqualTo(5));
    }

    [Test]
    public void Ragged_steps_stay_bounded_by_the_largest()
    {
        Step(seed: 3, scale: 1);
        var largest = allocator.Use.Reserved;
        var random = new Random(5);
        for (var step = 0; step < 300; step++)
        {
            Step(seed: 3, scale: 0.05 + (0.95 * random.NextDouble()));
            Assert.That(allocator.Use.Reserved, Is.LessThanOrEqualTo(largest * 5 / 4));
        }
    }

    /// <summary>
    /// Requests like those of a forward pass that keeps what a backward pass then frees, with
    /// temporaries in both.
    /// </summary>
    private List<(int Segment, long Offset)> Step(int seed, double scale)
    {
        var random = new Random(seed);
        var places = new List<(int, long)>();
        var kept = new Stack<BlockAllocator<int>.Block>();
        BlockAllocator<int>.Block Lend()
        {
            var block = allocator.Allocate((long)(scale * random.Next(1, 12_000_000)));
            places.Add((block.Segment.Memory, block.Offset));
            return block;
        }
        for (var op = 0; op < 60; op++)
        {
            var temporary = Lend();
            kept.Push(Lend());
            allocator.Free(temporary);
        }
        while (kept.TryPop(out var block))
        {
            var gradient = Lend();
            allocator.Free(block);
            allocator.Free(gradient);
        }
        return places;
    }

    private int Take(long bytes)
    {
        takes++;
        taken.Add(++number, bytes);
        return number;
    }

    private static void AssertDisjoint(List<BlockAllocator<int>.Block> blocks)
    {
        foreach (var segment in blocks.GroupBy(block => block.Segment))
        {
            var end = 0L;
            foreach (var block in segment.OrderBy(block => block.Offset))
            {
                Assert.That(block.Offset, Is.GreaterThanOrEqualTo(end));
                end = block.Offset + block.Size;
            }
            Assert.That(end, Is.LessThanOrEqualTo(segment.Key.Size));
        }
    }
}
