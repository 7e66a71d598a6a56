using System.Text.Json.Nodes;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Functions;
using LoraScratch.Kernels.Gpu;

namespace LoraScratch.Tests.Check;

/// <summary>
/// Memory runs out on purpose: that ends in a sentence, and the device computes on when memory has
/// come back.
/// </summary>
internal static class MemoryCheck
{
    private const string Section = "out_of_memory";

    /// <summary>Of a simulator, which has no end of its own.</summary>
    private const long SizeOfSimulator = 64 << 20;

    public static void Run(CheckRun run) => run.Try(Section, "taking all", () =>
    {
        using var backend = run.Options.Gpu.IsSimulated
            ? (GpuBackend)GpuDevices.OpenSimulator(GpuOptimization.O1, 8, memorySize: SizeOfSimulator) : run.Open();
        var size = backend.Kernels.MemorySize;
        var length = (int)Math.Clamp(size / 64 / sizeof(float), 1 << 20, 256 << 20);
        var (reserved, sentence) = TakeAll(backend, length, size);
        if (sentence is null)
        {
            run.Fail($"{backend.Description} has {size:N0} bytes and gave {reserved:N0}: nothing was refused.");
        }
        else if (!sentence.EndsWith('.'))
        {
            run.Fail($"Memory that runs out does not end in a sentence: '{sentence}'");
        }
        var isRight = Computes(backend);
        if (!isRight)
        {
            run.Fail("The device computes wrong after memory ran out.");
        }
        run.Add(Section, new JsonObject
        {
            ["bytes_of_device"] = size,
            ["bytes_reserved"] = reserved,
            ["message"] = sentence,
            ["computes_afterwards"] = isRight,
        }, $"  {reserved:N0} of {size:N0} bytes were given, then: {sentence ?? "nothing was refused"}");
    });

    private static (long Reserved, string? Sentence) TakeAll(GpuBackend backend, int length, long size)
    {
        var buffers = new List<DeviceBuffer<float>>();
        try
        {
            while (backend.Memory.Reserved <= size)
            {
                buffers.Add(backend.Allocate<float>(length));
            }
            return (backend.Memory.Reserved, null);
        }
        catch (Exception e) when (e is OutOfMemoryException or DeviceException)
        {
            return (backend.Memory.Reserved,
                e.InnerException is OutOfMemoryException ofDevice ? ofDevice.Message : e.Message);
        }
        finally
        {
            buffers.ForEach(buffer => buffer.Dispose());
        }
    }

    private static bool Computes(GpuBackend backend)
    {
        using var x = backend.Allocate<float>(1000);
        backend.Fill(x, 3);
        backend.Map<Square>(x, x);
        var values = new float[1000];
        backend.Download(values, x);
        return Array.TrueForAll(values, value => value == 9);
    }
}
