using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Kernels;

public unsafe class WorkerPoolTests
{
    [Test]
    public void Every_block_runs_exactly_once([Values(1, 2, 3, 5)] int threads, [Values(0, 1, 2, 7, 64)] int blocks)
    {
        using var pool = new WorkerPool(threads);
        var counts = stackalloc int[64];
        for (var round = 1; round <= 2000; round++)
        {
            pool.Run(blocks, new CountJob(counts));
            for (var i = 0; i < 64; i++)
            {
                if (counts[i] != (i < blocks ? round : 0))
                {
                    Assert.Fail($"block {i} ran {counts[i]} times in {round} rounds");
                }
            }
        }
    }

    [Test]
    public void Whoever_fell_asleep_wakes_up()
    {
        using var pool = new WorkerPool(3);
        var counts = stackalloc int[8];
        for (var round = 0; round < 30; round++)
        {
            Thread.Sleep(round % 6);            // the workers still ask for work, or sleep already, or are about to
            pool.Run(8, new SlowJob(counts));
        }
        Assert.That(new Span<int>(counts, 8).ToArray(), Has.All.EqualTo(30));
    }

    [Test]
    public void An_exception_reaches_the_caller_after_the_other_blocks_ended([Values(1, 2, 3)] int threads)
    {
        using var pool = new WorkerPool(threads);
        var counts = stackalloc int[8];
        var job = new FailingJob(counts);
        Assert.That(() => pool.Run(8, job), Throws.InvalidOperationException.With.Message.EqualTo("block 5"));
        pool.Run(8, new CountJob(counts));
        Assert.That(counts[7], Is.GreaterThanOrEqualTo(1), "the pool works on after a failure");
    }

    [Test]
    public void A_job_within_a_job_runs_on_the_thread_of_the_outer_one([Values(1, 2)] int threads)
    {
        using var pool = new WorkerPool(threads);
        NestedJob.Pool = pool;
        var counts = stackalloc int[64];
        pool.Run(4, new NestedJob(counts));
        Assert.That(new Span<int>(counts, 8).ToArray(), Has.All.EqualTo(4));
    }

    [Test]
    public void A_dispatch_allocates_nothing()
    {
        using var pool = new WorkerPool(2);
        var counts = stackalloc int[8];
        Assert.That(Allocations.Least(() => pool.Run(8, new CountJob(counts)), times: 1000), Is.LessThan(1000 * 24),
            "less than the smallest object a dispatch");
    }

    [Test]
    public void Scratch_keeps_its_areas_apart_and_grows()
    {
        using var scratch = new Scratch();
        var kernel = scratch.ForKernel(10);
        kernel[9] = 1;
        scratch.ForProduct(10)[9] = 2;
        scratch.ForPanels(10)[9] = 3;
        scratch.ForShared(10)[9] = 4;
        Assert.Multiple(() =>
        {
            Assert.That((nint)scratch.ForKernel(5), Is.EqualTo((nint)kernel),
                "a smaller request finds the same memory");
            Assert.That(scratch.ForKernel(10)[9], Is.EqualTo(1));
            Assert.That((long)scratch.ForKernel(1 << 20) % 64, Is.Zero);
            Assert.That(scratch.ForProduct(10)[9], Is.EqualTo(2));
            Assert.That(scratch.ForPanels(10)[9], Is.EqualTo(3));
            Assert.That(scratch.ForShared(10)[9], Is.EqualTo(4));
        });
    }

    private readonly struct CountJob(int* counts) : IJob
    {
        public void Run(int block, Scratch scratch) => Interlocked.Increment(ref counts[block]);
    }

    private readonly struct SlowJob(int* counts) : IJob
    {
        public void Run(int block, Scratch scratch)
        {
            Thread.Sleep(block % 2 * 5);        // long enough for the caller to fall asleep over the last block
            Interlocked.Increment(ref counts[block]);
        }
    }

    private readonly struct FailingJob(int* counts) : IJob
    {
        public void Run(int block, Scratch scratch)
        {
            if (block == 5)
            {
                throw new InvalidOperationException("block 5");
            }
            Interlocked.Increment(ref counts[block]);
        }
    }

    private readonly struct NestedJob(int* counts) : IJob
    {
        public static WorkerPool Pool { get; set; } = null!;

        public void Run(int block, Scratch scratch) => Pool.Run(8, new CountJob(counts));
    }
}
