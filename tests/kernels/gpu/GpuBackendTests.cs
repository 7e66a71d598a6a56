using LoraScratch.Kernels;
using LoraScratch.Kernels.Functions;
using LoraScratch.Kernels.Gpu;

namespace LoraScratch.Tests.Kernels;

/// <summary>The memory of the GPU backend.</summary>
[TestFixtureSource(typeof(Gpus), nameof(Gpus.Fixtures))]
public class GpuBackendTests(GpuCase gpu)
{
    private IBackend backend = null!;

    [SetUp]
    public void Open()
    {
        backend = gpu.Open(groupThreads: 256, simulated: GpuOptimization.O2);
    }

    [TearDown]
    public void Close() => backend?.Dispose();

    /// <summary>Longer than the page-locked memory that copies pass through, too.</summary>
    [Test]
    public void What_was_uploaded_is_downloaded([Values(0, 1, 7, 1000, 2_100_000)] int length)
    {
        using var other = backend.Allocate<float>(3);
        using var buffer = backend.Allocate<int>(length);
        var values = Enumerable.Range(3, length).ToArray();
        backend.Upload<int>(buffer, values);
        var read = new int[length];
        backend.Download(read, buffer);
        Assert.That(read.AsSpan().SequenceEqual(values));
    }

    [Test]
    public void Many_uploads_in_a_row_keep_their_values()
    {
        var buffers = Enumerable.Range(0, 40).Select(_ => backend.Allocate<float>(50_000)).ToList();
        var values = new float[50_000];
        for (var i = 0; i < buffers.Count; i++)
        {
            Array.Fill(values, i);                       // the memory behind the upload before
            backend.Upload<float>(buffers[i], values);
        }
        for (var i = 0; i < buffers.Count; i++)
        {
            backend.Download(values, buffers[i]);
            Assert.That(values.AsSpan().IndexOfAnyExcept(i), Is.EqualTo(-1), $"buffer {i}");
        }
    }

    [Test]
    public void Buffers_of_one_segment_do_not_touch()
    {
        var buffers = Enumerable.Range(0, 10).Select(i => backend.Allocate<float>(60 + i)).ToList();
        foreach (var (buffer, i) in buffers.Select((buffer, i) => (buffer, i)))
        {
            backend.Fill(buffer, i);
        }
        backend.Map<Square>(buffers[3], buffers[3]);
        foreach (var (buffer, i) in buffers.Select((buffer, i) => (buffer, i)))
        {
            var values = new float[buffer.Length];
            backend.Download(values, buffer);
            Assert.That(values, Is.All.EqualTo(i == 3 ? 9f : i));
        }
    }

    [Test]
    public void Empty_buffers_are_no_work()
    {
        using var empty = backend.Allocate<float>(0);
        backend.Fill(empty, 1);
        backend.Copy(empty, empty);
        backend.Scale(empty, 2, empty);
        backend.Synchronize();
    }

    [Test]
    public void A_disposed_buffer_or_backend_cannot_be_used()
    {
        var (buffer, kept) = (backend.Allocate<float>(10), backend.Allocate<float>(10));
        buffer.Dispose();
        buffer.Dispose();
        Assert.That(() => backend.Fill(buffer, 1), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(backend.Memory.InUse, Is.EqualTo(256));
        backend.Dispose();
        backend.Dispose();
        Assert.That(() => backend.Fill(kept, 1), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(kept.Dispose, Throws.Nothing);
    }
}
