using LoraScratch.Kernels;

namespace LoraScratch.Tests.Kernels;


public class BlockAllocatorTests
{
    private const long Segment = BlockAllocator<int>.SegmentGranularity;
    private readonly Dictionary<int, long> _taken = [];
    private int _number, _takes;
    private BlockAllocator<int> _allocator = null!;

    [SetUp]
    public void NewDevice()
    {
        _taken.Clear();
        _number = _takes = 0;
        _allocator = new(Take, number => Assert.That(_taken.Remove(number), "a segment is given back once"));
    }

    [Test]
    public void Blocks_are_rounded_up_and_lie_side_by_side()
    {
        var first = _allocator.Allocate(1);
        var second = _allocator.Allocate(257);
        var third = _allocator.Allocate(0);
        Assert.Multiple(() =>
        {
            Assert.That((first.Offset, first.Size), Is.EqualTo((0L, 256L)));
            Assert.That((second.Offset, second.Size), Is.EqualTo((256L, 512L)));
            Assert.That((third.Offset, third.Size), Is.EqualTo((768L, 256L)));
            Assert.That(_allocator.Use, Is.EqualTo(new MemoryUse(Segment, 1024, 1024)));
        });
    }

    [TestCase(0, 1, 2)]
    [TestCase(2, 1, 0)]
    [TestCase(0, 2, 1)]
    [TestCase(1, 0, 2)]
    public void Freed_neighbours_join_in_whatever_order_they_come(int first, int second, int third)
    {
        BlockAllocator<int>.Block[] blocks = [_allocator.Allocate(Segment / 4), _allocator.Allocate(Segment / 4), _allocator.Allocate(Segment / 4)];
        var last = _allocator.Allocate(Segment / 4);
        foreach (var i in new[] { first, second, third })
        {
            _allocator.Free(blocks[i]);
        }
        var joined = _allocator.Allocate(Segment / 4 * 3);
        Assert.Multiple(() =>
        {
            Assert.That(joined.Offset, Is.Zero);
            Assert.That(last.Segment, Is.SameAs(joined.Segment));
            Assert.That(_takes, Is.EqualTo(1));
        });
    }

    [Test]
    public void A_request_larger_than_a_segment_gets_one_of_its_own()
    {
        var block = _allocator.Allocate((3 * Segment) + 1);
        Assert.That(block.Segment.Size, Is.EqualTo(4 * Segment));
    }

    [Test]
    public void A_free_segment_is_given_back_before_a_larger_one_is_taken()
    {
        _allocator.Free(_allocator.Allocate(Segment));
        _allocator.Allocate(2 * Segment);
        Assert.Multiple(() =>
        {
            Assert.That(_taken.Values, Is.EqualTo(new[] { 2 * Segment }));
            Assert.That(_allocator.Use.Reserved, Is.EqualTo(2 * Segment));
        });
    }

    [Test]
    public void A_segment_in_use_is_kept()
    {
        var small = _allocator.Allocate(1);
        _allocator.Allocate(2 * Segment);
        Assert.That(_taken, Does.ContainKey(small.Segment.Memory));
    }

    [Test]
    public void ReleaseAll_gives_everything_back()
    {
        _allocator.Allocate(1);
        _allocator.Allocate(2 * Segment);
        _allocator.ReleaseAll();
        Assert.Multiple(() =>
        {
            Assert.That(_taken, Is.Empty);
            Assert.That((_allocator.Use.Reserved, _allocator.Use.InUse), Is.EqualTo((0L, 0L)));
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
                _allocator.Free(live[victim]);
                live.RemoveAt(victim);
            }
            else
            {
                live.Add(_allocator.Allocate((long)Math.Pow(2, random.NextDouble() * 26)));
            }
            if (i % 100 == 0)
            {
                AssertDisjoint(live);
            }
        }
        foreach (var block in live)
        {
            _allocator.Free(block);
        }
        Assert.Multiple(() =>
        {
            Assert.That(_allocator.Use.InUse, Is.Zero);
            Assert.That(live.Select(block => block.Segment).Where(segment => _taken.ContainsKey(segment.Memory)), Has.All.Property("IsFree").True);
        });
    }

    [Test]
    public void A_sequence_run_again_finds_every_block_where_it_was([NUnit.Framework.Range(1, 8)] int seed)
    {
        var kept = Enumerable.Range(0, 5).Select(_ => _allocator.Allocate(Segment / 7)).ToList();   // parameters that outlive the steps
        var first = Step(seed, scale: 1);
        var takes = _takes;
        for (var step = 0; step < 3; step++)
        {
            Assert.That(Step(seed, scale: 1), Is.EqualTo(first));
        }
        Assert.That(_takes, Is.EqualTo(takes), "a step in steady state takes nothing from the device");
        Assert.That(kept, Has.Count.EqualTo(5));
    }

    [Test]
    public void Ragged_steps_stay_bounded_by_the_largest()
    {
        Step(seed: 3, scale: 1);
        var largest = _allocator.Use.Reserved;
        var random = new Random(5);
        for (var step = 0; step < 300; step++)
        {
            Step(seed: 3, scale: 0.05 + (0.95 * random.NextDouble()));
            Assert.That(_allocator.Use.Reserved, Is.LessThanOrEqualTo(largest * 5 / 4));
        }
    }

    /// <summary>Requests like those of a forward pass that keeps what a backward pass then frees, with temporaries in both.</summary>
    private List<(int Segment, long Offset)> Step(int seed, double scale)
    {
        var random = new Random(seed);
        var places = new List<(int, long)>();
        var kept = new Stack<BlockAllocator<int>.Block>();
        BlockAllocator<int>.Block Lend()
        {
            var block = _allocator.Allocate((long)(scale * random.Next(1, 12_000_000)));
            places.Add((block.Segment.Memory, block.Offset));
            return block;
        }
        for (var op = 0; op < 60; op++)
        {
            var temporary = Lend();
            kept.Push(Lend());
            _allocator.Free(temporary);
        }
        while (kept.TryPop(out var block))
        {
            var gradient = Lend();
            _allocator.Free(block);
            _allocator.Free(gradient);
        }
        return places;
    }

    private int Take(long bytes)
    {
        _takes++;
        _taken.Add(++_number, bytes);
        return _number;
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
