namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// The CPU as a device: SIMD kernels on pooled, aligned native memory and a pool of threads. Any
/// number of threads may use it. Kernels have ended when their call returns.
/// </summary>
internal sealed class CpuBackend : ThreadSafeBackend
{
    private readonly CpuKernels kernels;

    /// <summary>A device with its own memory and threads.</summary>
    /// <param name="threads">
    /// Threads that compute, the caller among them; 0: one for every core.
    /// </param>
    /// <param name="instructionSet">The code path; null: the best that this machine has.</param>
    /// <exception cref="ArgumentOutOfRangeException">The number of threads is negative.</exception>
    /// <exception cref="PlatformNotSupportedException">
    /// The machine lacks the instruction set.
    /// </exception>
    public CpuBackend(int threads = 0, InstructionSet? instructionSet = null)
        : this(new CpuKernels(threads, instructionSet))
    {
    }

    private CpuBackend(CpuKernels kernels) : base(kernels, kernels.Gate) => this.kernels = kernels;

    /// <summary>The code path in use.</summary>
    public InstructionSet InstructionSet => kernels.InstructionSet;

    /// <summary>Whether integer products may use AVX-VNNI; tests take it away.</summary>
    internal bool UsesVnni
    {
        get => kernels.UsesVnni;
        init => kernels.UsesVnni = value;
    }

    /// <summary>The threads that kernels run on.</summary>
    internal WorkerPool Workers => kernels.Workers;
}
