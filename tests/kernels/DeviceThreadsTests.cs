using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Threads;

/// <summary>
/// Many threads on one device: every kernel has its turn, and what one thread gives back no other
/// one finds too early.
/// </summary>
public class DeviceThreadsTests
{
    private static IEnumerable<TestCaseData> Devices()
    {
        foreach (var threads in new[] { 2, 8, 64 })
        {
            yield return new TestCaseData(new BackendCase("CPU, 2 threads", () => new CpuBackend(2)), threads, 60)
                .SetArgDisplayNames("CPU, 2 threads", $"{threads} callers");
            yield return new TestCaseData(new BackendCase("CPU, 1 thread", () => new CpuBackend(1)), threads, 60)
                .SetArgDisplayNames("CPU, 1 thread", $"{threads} callers");
        }
        var simulator = new BackendCase("the GPU's kernels, simulated",
            () => GpuCase.Simulator.Open(groupThreads: 4));
        yield return new TestCaseData(simulator, 8, 2).SetArgDisplayNames("the GPU's kernels, simulated", "8 callers")
            .In(Categories.Simulator);
        foreach (var gpu in Gpus.Backends)
        {
            yield return new TestCaseData(gpu, 8, 20).SetArgDisplayNames($"{gpu}", "8 callers").In(gpu.Category);
        }
    }

    /// <summary>As the finalizer's, which gives memory back.</summary>
    [Test]
    public void A_device_is_disposed_after_a_short_turn_of_another_thread_and_not_while_one_computes()
    {
        var backend = new CpuBackend(1);
        using ManualResetEventSlim begun = new(), ended = new();
        var computing = new Thread(() => Hold(() => ended.Wait()));
        computing.Start();
        begun.Wait();
        Assert.That(backend.Dispose, Throws.InvalidOperationException.With.Message.Contains("another thread"));
        ended.Set();
        computing.Join();

        begun.Reset();
        var brief = new Thread(() => Hold(() => Thread.Sleep(20)));
        brief.Start();
        begun.Wait();
        Assert.That(backend.Dispose, Throws.Nothing);
        brief.Join();

        void Hold(Action wait)
        {
            using var turn = backend.TakeTurn();
            begun.Set();
            wait();
        }
    }

    [TestCaseSource(nameof(Devices))]
    public void Every_thread_gets_the_results_that_it_would_get_alone(BackendCase device, int threads, int rounds)
    {
        using var backend = device.Backend;
        var expected = Enumerable.Range(0, threads).Select(seed => Compute(backend, seed)).ToArray();
        var wrong = 0;
        Callers.Run(threads, caller =>
        {
            for (var round = 0; round < rounds; round++)
            {
                if (!Compute(backend, caller).AsSpan().SequenceEqual(expected[caller]))
                {
                    Interlocked.Increment(ref wrong);
                }
            }
        });
        Assert.That(wrong, Is.Zero, $"of {threads * rounds} results");
    }

    [Test]
    public void A_turn_keeps_the_kernels_of_other_threads_out()
    {
        using var backend = new CpuBackend(threads: 2);
        using var y = backend.Allocate<float>(1);
        using var other = backend.Allocate<float>(1);
        Task late;
        using (backend.TakeTurn())
        {
            backend.Fill(y, 1);
            late = Task.Run(() => backend.Fill(other, 2));
            Assert.That(late.Wait(50), Is.False, "the other thread waits");
            backend.Fill(y, 3);
        }
        Assert.That(late.Wait(TimeSpan.FromSeconds(20)));
    }

    [Test]
    public void A_device_on_which_another_thread_computes_cannot_be_disposed()
    {
        var backend = new CpuBackend(threads: 2);
        using (backend.TakeTurn())
        {
            var disposing = Task.Run(backend.Dispose);
            Assert.That(() => disposing.GetAwaiter().GetResult(),
                Throws.InvalidOperationException.With.Message.Contains("another thread computes on it"));
        }
        backend.Dispose();
    }

    [Test]
    public void What_another_thread_gives_back_during_a_turn_is_counted_and_lent_again()
    {
        using var backend = new CpuBackend(threads: 1);
        var forgotten = backend.Allocate<float>(1000);
        using (backend.TakeTurn())
        {
            Task.Run(forgotten.Dispose).Wait();             // as the finalizer's thread does it
            // within the same turn: its kernels come after those before it
            using var next = backend.Allocate<float>(1000);
            Assert.That(backend.Memory.InUse, Is.EqualTo(4096));
        }
        Assert.That(backend.Memory.InUse, Is.Zero);
    }

    /// <summary>
    /// Products large and small, rows, sums and copies, in buffers that are taken and given back on
    /// the way.
    /// </summary>
    private static float[] Compute(IBackend backend, int seed)
    {
        const int Rows = 24, Inner = 40, Columns = 56;
        var random = new Random(seed);
        var values = Enumerable.Range(0, Rows * Inner + Inner * Columns).Select(_ => random.NextSingle() - 0.5f)
            .ToArray();
        using var a = backend.Allocate<float>(Rows * Inner);
        using var b = backend.Allocate<float>(Inner * Columns);
        backend.Upload<float>(a, values.AsSpan(0, a.Length));
        backend.Upload<float>(b, values.AsSpan(a.Length));
        using var y = backend.Allocate<float>(Rows * Columns);
        backend.Product(new Matrix(y, Rows, Columns), new Matrix(a, Rows, Inner), new Matrix(b, Inner, Columns));
        using (var rows = backend.Allocate<float>(y.Length))
        {
            backend.Softmax(rows, y, Columns);
            backend.AddScaled(y, 0.5f, rows);
        }
        using var gram = backend.Allocate<float>(Rows * Rows);
        backend.Product(new Matrix(gram, Rows, Rows), new Matrix(y, Rows, Columns), new Matrix(y, Rows, Columns).T);
        using var sum = backend.Allocate<float>(1);
        backend.Sum(sum, 1, gram);
        var result = new float[gram.Length + 1];
        backend.Download(result.AsSpan(1), gram);
        backend.Download(result.AsSpan(0, 1), sum);
        return result;
    }
}
