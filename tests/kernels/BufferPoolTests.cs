using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Kernels;

public class BufferPoolTests
{
    [Test]
    public void What_was_uploaded_is_downloaded([Values(0, 1, 7, 1000)] int length)
    {
        using var backend = new CpuBackend(threads: 1);
        using var buffer = backend.Allocate<int>(length);
        var values = Enumerable.Range(3, length).ToArray();
        backend.Upload<int>(buffer, values);
        var read = new int[length];
        backend.Download(read, buffer);
        Assert.That(read, Is.EqualTo(values));
    }

    [Test]
    public void Buffers_are_aligned_and_counted()
    {
        using var backend = new CpuBackend(threads: 1);
        using var first = backend.Allocate<byte>(1);
        using var second = backend.Allocate<float>(65);
        unsafe
        {
            Assert.That((long)CpuKernels.Pointer(first) % 256, Is.Zero);
            Assert.That((long)CpuKernels.Pointer(second) % 256, Is.Zero);
        }
        Assert.That(backend.Memory.InUse, Is.EqualTo(256 + 512));
    }

    [Test]
    public void A_disposed_buffer_goes_back_once_and_cannot_be_used()
    {
        using var backend = new CpuBackend(threads: 1);
        var buffer = backend.Allocate<float>(10);
        var other = backend.Allocate<float>(10);
        buffer.Dispose();
        buffer.Dispose();
        Assert.That(backend.Memory.InUse, Is.EqualTo(256));
        Assert.That(() => backend.Upload<float>(buffer, [1f]), Throws.TypeOf<ObjectDisposedException>());
        other.Dispose();
    }

    [Test]
    public void A_disposed_backend_frees_everything_and_its_buffers_cannot_be_used()
    {
        var backend = new CpuBackend(threads: 2);
        var buffer = backend.Allocate<float>(10);
        backend.Dispose();
        backend.Dispose();
        Assert.That(backend.Memory.Reserved, Is.Zero);
        Assert.That(() => backend.Upload<float>(buffer, [1f]), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => backend.Allocate<float>(1), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(buffer.Dispose, Throws.Nothing);
    }

    [Test]
    public void Forgotten_buffers_come_back()
    {
        using var backend = new CpuBackend(threads: 1);
        for (var i = 0; i < 100; i++)
        {
            Forget(backend);
        }
        Assert.That(backend.Memory.Reserved, Is.LessThan(1L << 30), "100 buffers of 64 MiB were forgotten");
    }

    [Test]
    public void A_buffer_costs_few_managed_bytes()
    {
        using var backend = new CpuBackend(threads: 1);
        backend.Allocate<float>(100).Dispose();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 100; i++)
        {
            backend.Allocate<float>(100).Dispose();
        }
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThanOrEqualTo(100 * 72),
            "the buffer object and nothing else");
    }

    [Test]
    public void An_instruction_set_that_the_machine_lacks_is_an_error()
    {
        foreach (var set in Enum.GetValues<InstructionSet>().Except(InstructionSets.Supported))
        {
            Assert.That(() => new CpuBackend(instructionSet: set), Throws.TypeOf<PlatformNotSupportedException>());
        }
        foreach (var set in InstructionSets.Supported)
        {
            using var backend = new CpuBackend(threads: 2, set);
            Assert.That(backend.Description, Is.EqualTo($"CPU, {set.Name()}, 2 threads"));
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void Forget(CpuBackend backend) => backend.Allocate<byte>(64 << 20);
}
