using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// Work that is cut into numbered blocks, each of which any thread may do. Implemented by structs
/// of pointers and sizes.
/// </summary>
internal interface IJob
{
    /// <summary>Does one block.</summary>
    /// <param name="block">Which one.</param>
    /// <param name="scratch">Working memory of the thread that runs it.</param>
    void Run(int block, Scratch scratch);
}

/// <summary>
/// The threads of the CPU backend: the caller and <see cref="Threads"/> − 1 workers, which wait for
/// the next job first spinning, then yielding, then asleep. A dispatch allocates nothing. Blocks go
/// to whoever comes first; what a block computes must not depend on who that is.
/// </summary>
internal sealed unsafe class WorkerPool : IDisposable
{
    // Two kernels of a training step follow each other within microseconds, and the last blocks of a large product end
    // a tenth of a millisecond apart: whoever waits spins for the one, and for the other asks again and again, letting
    // any other thread that wants this core go first. To sleep at once is dear where the machine is a guest: its host
    // takes a core that idles away, and a thread that is woken waits for it (a training step on two cores took 1.6
    // times as long).
    private static readonly long SpinTicks = Stopwatch.Frequency * 30 / 1_000_000;      // 30 µs
    private static readonly long YieldTicks = Stopwatch.Frequency * 2 / 1_000;          // 2 ms

    [ThreadStatic]
    private static Scratch? running;   // the scratch of this thread while it runs a block, of whatever pool

    private readonly Thread[] workers;
    private readonly Scratch[] scratch;
    private readonly SemaphoreSlim wake = new(0);
    private readonly SemaphoreSlim done = new(0);
    private int sleepers;
    private volatile bool stopping;

    // The job. The ticket holds its number in the upper half and the blocks not yet claimed in the lower: a claim
    // (compare and swap) that succeeds belongs to the job of that number, which cannot end before the claimed block
    // has, so the other fields may be read after the claim.
    private long ticket;
    private void* job;
    private delegate*<void*, int, Scratch, void> run;
    private int blocks;
    private int unfinished;
    private int callerSleeps;
    private ExceptionDispatchInfo? failure;

    /// <summary>A pool of so many threads, the caller among them.</summary>
    public WorkerPool(int threads)
    {
        Threads = threads;
        scratch = new Scratch[threads];
        for (var i = 0; i < threads; i++)
        {
            scratch[i] = new Scratch();
        }
        workers = new Thread[threads - 1];
        for (var i = 0; i < workers.Length; i++)
        {
            var own = scratch[i + 1];
            workers[i] = new Thread(() => Work(own)) { IsBackground = true, Name = $"LoraScratch worker {i + 1}" };
            workers[i].Start();
        }
    }

    /// <summary>Number of threads that work, the caller included.</summary>
    public int Threads { get; }

    /// <summary>
    /// Working memory for kernels between their jobs; in a job it belongs to the blocks that the
    /// caller runs.
    /// </summary>
    public Scratch CallerScratch => scratch[0];

    /// <summary>
    /// Runs every block of a job and returns when all have ended. One block, one thread, or a call
    /// from inside a job: the blocks run here, in order. An exception in a block reaches the
    /// caller, after every other block has ended.
    /// </summary>
    public void Run<TJob>(int blocks, in TJob job) where TJob : struct, IJob
    {
        if (blocks <= 1 || Threads == 1 || running != null)
        {
            RunHere(blocks, job);
            return;
        }
        var copy = job;   // on this stack, where the workers find it until the last block has ended
        Dispatch(blocks, Unsafe.AsPointer(ref copy), &Invoke<TJob>);
    }

    /// <summary>
    /// Runs a job on a pool, or, where there is none, every block on this thread with the scratch
    /// memory given.
    /// </summary>
    public static void Run<TJob>(WorkerPool? pool, int blocks, in TJob job, Scratch scratch) where TJob : struct,
        IJob
    {
        if (pool != null)
        {
            pool.Run(blocks, job);
            return;
        }
        for (var block = 0; block < blocks; block++)
        {
            Unsafe.AsRef(in job).Run(block, scratch);
        }
    }

    /// <summary>Ends the workers and frees their scratch memory.</summary>
    public void Dispose()
    {
        if (stopping)
        {
            return;
        }
        stopping = true;
        if (workers.Length > 0)
        {
            wake.Release(workers.Length);
        }
        foreach (var worker in workers)
        {
            worker.Join();
        }
        foreach (var each in scratch)
        {
            each.Dispose();
        }
        wake.Dispose();
        done.Dispose();
    }

    private static void Invoke<TJob>(void* job, int block, Scratch scratch) where TJob : struct, IJob =>
        Unsafe.AsRef<TJob>(job).Run(block, scratch);

    private void RunHere<TJob>(int blocks, in TJob job) where TJob : struct, IJob
    {
        var outer = running;
        running = outer ?? scratch[0];
        try
        {
            for (var block = 0; block < blocks; block++)
            {
                Unsafe.AsRef(in job).Run(block, running);
            }
        }
        finally
        {
            running = outer;
        }
    }

    private void Dispatch(int blocks, void* job, delegate*<void*, int, Scratch, void> run)
    {
        Debug.Assert(unfinished == 0, "one thread at a time may issue kernels");
        this.job = job;
        this.run = run;
        this.blocks = blocks;
        failure = null;
        Volatile.Write(ref unfinished, blocks);
        var number = (ticket >> 32) + 1;
        // a full fence: what stands above is seen with the ticket
        Interlocked.Exchange(ref ticket, (number << 32) | (uint)blocks);
        WakeSleepers(blocks - 1);

        RunClaimedBlocks(scratch[0]);
        WaitForLastBlock();
        this.job = null;
        failure?.Throw();
    }

    private void RunClaimedBlocks(Scratch scratch)
    {
        running = scratch;
        while (TryClaim(out var block))
        {
            try
            {
                run(job, block, scratch);
            }
            catch (Exception e)
            {
                Interlocked.CompareExchange(ref failure, ExceptionDispatchInfo.Capture(e), null);
            }
            // The last block wakes the caller if that has left a note; it leaves one before it looks at the count a
            // last time.
            if (Interlocked.Decrement(ref unfinished) == 0 && Interlocked.Exchange(ref callerSleeps, 0) == 1)
            {
                done.Release();
            }
        }
        running = null;
    }

    private bool TryClaim(out int block)
    {
        while (true)
        {
            var ticket = Volatile.Read(ref this.ticket);
            var unclaimed = (int)(uint)ticket;
            if (unclaimed == 0)
            {
                block = -1;
                return false;
            }
            if (Interlocked.CompareExchange(ref this.ticket, ticket - 1, ticket) == ticket)
            {
                block = blocks - unclaimed;
                return true;
            }
        }
    }

    private void WaitForLastBlock()
    {
        if (WaitAwake(static pool => Volatile.Read(ref pool.unfinished) == 0))
        {
            return;
        }
        while (Volatile.Read(ref unfinished) > 0)
        {
            Interlocked.Exchange(ref callerSleeps, 1);
            // A note that is gone when it is no longer needed was taken by a worker, whose release must not be left for
            // a later job.
            if (Volatile.Read(ref unfinished) > 0 || Interlocked.Exchange(ref callerSleeps, 0) == 0)
            {
                done.Wait();
            }
        }
    }

    private void Work(Scratch scratch)
    {
        while (!stopping)
        {
            RunClaimedBlocks(scratch);
            if (!WaitAwake(static pool => (uint)Volatile.Read(ref pool.ticket) != 0 || pool.stopping))
            {
                Sleep();
            }
        }
    }

    private void Sleep()
    {
        Interlocked.Increment(ref sleepers);
        var workCame = (uint)Volatile.Read(ref ticket) != 0;
        if (workCame && TryTakeSleeper())
        {
            return;
        }
        wake.Wait();
    }

    private void WakeSleepers(int atMost)
    {
        var woken = 0;
        while (woken < atMost && TryTakeSleeper())
        {
            woken++;
        }
        if (woken > 0)
        {
            wake.Release(woken);
        }
    }

    /// <summary>
    /// Strikes one thread off the count of sleepers; whoever does so owes that thread a release, or
    /// is that thread.
    /// </summary>
    private bool TryTakeSleeper()
    {
        while (true)
        {
            var sleepers = Volatile.Read(ref this.sleepers);
            if (sleepers == 0)
            {
                return false;
            }
            if (Interlocked.CompareExchange(ref this.sleepers, sleepers - 1, sleepers) == sleepers)
            {
                return true;
            }
        }
    }

    /// <summary>
    /// Waits without sleeping, for as long as that is worth it; false: the condition still does not
    /// hold.
    /// </summary>
    private bool WaitAwake(Func<WorkerPool, bool> condition)
    {
        var start = Stopwatch.GetTimestamp();
        while (!condition(this))
        {
            var waited = Stopwatch.GetTimestamp() - start;
            if (waited < SpinTicks)
            {
                Thread.SpinWait(8);
            }
            else if (waited < YieldTicks)
            {
                Thread.Yield();
            }
            else
            {
                return false;
            }
        }
        return true;
    }
}
