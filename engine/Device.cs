using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Engine;

/// <summary>The backend that tensors are put on when none is named.</summary>
public static class Device
{
    private static readonly Lock Choosing = new();
    private static volatile IBackend? chosen;

    /// <summary>The SIMD backend on all cores, unless another was set.</summary>
    public static IBackend Default
    {
        get => chosen ?? Choose();
        set => chosen = value;
    }

    /// <summary>The CPU as a device, with memory and threads of its own.</summary>
    /// <param name="threads">
    /// Threads that compute, the caller among them; 0: one for every core.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">The number of threads is negative.</exception>
    public static IBackend Cpu(int threads = 0) => new CpuBackend(threads);

    /// <summary>One backend, however many threads ask first.</summary>
    private static IBackend Choose()
    {
        lock (Choosing)
        {
            return chosen ??= new CpuBackend();
        }
    }

    /// <summary>Throws where two inputs of an op are on different devices.</summary>
    internal static void RequireSame(string op, string nameA, IBackend a, string nameB, IBackend b)
    {
        if (!ReferenceEquals(a, b))
        {
            throw new ArgumentException($"{op}: {nameA} is on {a.Description}, {nameB} on "
                + $"{(a.Description == b.Description ? "another backend object of that kind" : b.Description)}. "
                + "Create both with the same backend.");
        }
    }
}
