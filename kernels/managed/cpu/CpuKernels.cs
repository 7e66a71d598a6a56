using System.Diagnostics;
using LoraScratch.Kernels.Common;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// The kernels on the CPU: SIMD code on pooled, aligned native memory and a pool of threads.
/// Kernels have ended when their call returns. One thread at a time may call them:
/// <see cref="CpuBackend"/> sees to it.
/// </summary>
internal sealed unsafe partial class CpuKernels : CommonKernels<HostFloats, HostInts>, IBackend
{
    private readonly BufferPool<nint> memory;

    /// <summary>Kernels with their own memory and threads.</summary>
    /// <param name="threads">
    /// Threads that compute, the caller among them; 0: one for every core.
    /// </param>
    /// <param name="instructionSet">The code path; null: the best that this machine has.</param>
    /// <exception cref="ArgumentOutOfRangeException">The number of threads is negative.</exception>
    /// <exception cref="PlatformNotSupportedException">
    /// The machine lacks the instruction set.
    /// </exception>
    public CpuKernels(int threads = 0, InstructionSet? instructionSet = null)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(threads);
        InstructionSet = instructionSet ?? InstructionSets.Best;
        if (!InstructionSet.IsSupported())
        {
            throw new PlatformNotSupportedException(
                $"This machine cannot run {InstructionSet.Name()}; it has "
                    + $"{string.Join(", ", InstructionSets.Supported.Select(InstructionSets.Name))}. "
                + "Leave the instruction set out to get the best one.");
        }
        memory = new(typeof(CpuBackend), Gate, bytes => (nint)NativePages.Allocate(bytes),
            pages => NativePages.Free((void*)pages));
        Workers = new WorkerPool(threads == 0 ? Environment.ProcessorCount : threads);
    }

    /// <summary>What threads enter before they call a kernel.</summary>
    public DeviceGate Gate { get; } = new();

    /// <summary>The code path in use.</summary>
    public InstructionSet InstructionSet { get; }

    /// <summary>Device and code path in words, such as "CPU, AVX-512, 2 threads".</summary>
    public string Description =>
        $"CPU, {InstructionSet.Name()}, {Workers.Threads} thread{(Workers.Threads == 1 ? "" : "s")}";

    /// <summary>
    /// The code path, the width of its registers and how many products are summed at once: each has
    /// its own order of additions, whatever the number of threads.
    /// </summary>
    public string Arithmetic =>
        $"CPU, {InstructionSet.Name()}"
            + $"{(InstructionSet == InstructionSet.Portable ? $", {System.Numerics.Vector<byte>.Count} bytes" : "")}"
            + $", sums of {PackedProduct.MaxDepth}";

    /// <inheritdoc/>
    public bool UsesHostMemory => true;

    /// <summary>What the pool holds and what is lent out of it.</summary>
    public MemoryUse Memory => memory.Use;

    /// <inheritdoc/>
    public void ForgetPeak() => memory.ForgetPeak();

    /// <summary>The threads that kernels run on.</summary>
    internal WorkerPool Workers { get; }

    /// <inheritdoc/>
    public DeviceTurn TakeTurn() => Gate.Enter();

    /// <summary>Lends a buffer from the pool; its contents are undefined.</summary>
    /// <exception cref="OutOfMemoryException">The system has no more memory.</exception>
    public DeviceBuffer<T> Allocate<T>(int length, bool lasting = false) where T : unmanaged
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        return new PooledBuffer<T, nint>(memory, length, lasting);
    }

    /// <summary>Copies host memory to the start of a buffer.</summary>
    public void Upload<T>(DeviceBuffer<T> destination, ReadOnlySpan<T> source) where T : unmanaged
    {
        Debug.Assert(source.Length <= destination.Length);
        source.CopyTo(new Span<T>(Pointer(destination), destination.Length));
    }

    /// <summary>Copies the start of a buffer to host memory.</summary>
    public void Download<T>(Span<T> destination, DeviceBuffer<T> source) where T : unmanaged
    {
        Debug.Assert(destination.Length <= source.Length);
        new ReadOnlySpan<T>(Pointer(source), destination.Length).CopyTo(destination);
    }

    /// <inheritdoc/>
    public float[] DownloadFirsts(IReadOnlyList<DeviceBuffer<float>> sources) =>
        [.. sources.Select(source => *Pointer(source))];

    /// <inheritdoc/>
    public void Copy(DeviceBuffer<float> y, DeviceBuffer<float> x)
    {
        Debug.Assert(y.Length == x.Length);
        Scale(y, 1, x);
    }

    /// <summary>Does nothing: kernels on the CPU have ended when their call returns.</summary>
    public void Synchronize()
    {
    }

    /// <summary>
    /// Ends the threads and frees all memory; buffers still lent become unusable.
    /// </summary>
    public void Dispose()
    {
        Workers.Dispose();
        memory.Dispose();
    }

    /// <inheritdoc/>
    protected override HostFloats Floats(DeviceBuffer<float> buffer) => new(Pointer(buffer));

    /// <inheritdoc/>
    protected override HostInts Ints(DeviceBuffer<int> buffer) => new(Pointer(buffer));

    /// <summary>
    /// The first element of a buffer of this backend, on a boundary of
    /// <see cref="BlockAllocator{TMemory}.Granularity"/> bytes.
    /// </summary>
    internal static T* Pointer<T>(DeviceBuffer<T> buffer) where T : unmanaged
    {
        var block = ((PooledBuffer<T, nint>)buffer).Block;
        return (T*)(block.Segment.Memory + (nint)block.Offset);
    }
}
