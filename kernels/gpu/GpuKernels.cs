using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;
using LoraScratch.Kernels.Common;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// The kernels on a GPU, compiled by ILGPU from the C# methods in this folder. Kernels run in the
/// order of the calls, on one stream and later than the calls. One thread at a time may call them:
/// <see cref="GpuBackend"/> sees to it.
/// </summary>
internal sealed partial class GpuKernels : CommonKernels<DeviceFloats, DeviceInts>, IBackend
{
    private readonly Context context;
    private readonly Accelerator accelerator;
    private readonly AcceleratorStream stream;
    private readonly Staging staging;
    private readonly BufferPool<MemoryBuffer1D<byte, Stride1D.Dense>> memory;
    private long reserved;
    private bool disposed;

    static GpuKernels() => DeviceMath.Register();

    internal GpuKernels(Device device, GpuOptimization optimization, int groupThreads, int elementThreads)
    {
        (this.groupThreads, this.elementThreads) = (groupThreads, elementThreads);
        context = NewContext(optimization);
        try
        {
            accelerator = device.CreateAccelerator(context);
            stream = accelerator.DefaultStream;
            staging = new Staging(accelerator, stream);
        }
        catch
        {
            accelerator?.Dispose();
            context.Dispose();
            throw;
        }
        MemorySize = accelerator.MemorySize;
        Gate = new DeviceGate(MakeCurrent);
        memory = new(typeof(GpuBackend), Gate, Take, GiveBack);
        Description = device switch
        {
            CudaDevice => $"CUDA, {device.Name}",
            CLDevice => $"OpenCL, {device.Name}",
            _ => $"ILGPU's simulator, groups of {groupThreads}, {optimization}",
        };
    }

    /// <summary>
    /// What threads enter before they call a kernel; the driver is told then which device the
    /// thread talks to.
    /// </summary>
    public DeviceGate Gate { get; }

    /// <summary>Driver interface and device, such as "CUDA, NVIDIA H100".</summary>
    public string Description { get; }

    /// <summary>Bytes that may be reserved: the device's memory.</summary>
    internal long MemorySize { get; init; }

    /// <summary>Bytes that were copied to the device and from it.</summary>
    internal (long Up, long Down) BytesCopied { get; private set; }

    /// <inheritdoc/>
    public bool UsesHostMemory => false;

    /// <summary>What the pool holds and what is lent out of it.</summary>
    public MemoryUse Memory => memory.Use;

    /// <inheritdoc/>
    public void ForgetPeak() => memory.ForgetPeak();

    /// <inheritdoc/>
    public DeviceTurn TakeTurn() => Gate.Enter();

    /// <summary>Lends a buffer from the pool; its contents are undefined.</summary>
    /// <exception cref="OutOfMemoryException">The device has no more memory.</exception>
    public DeviceBuffer<T> Allocate<T>(int length, bool lasting = false) where T : unmanaged
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        return new PooledBuffer<T, MemoryBuffer1D<byte, Stride1D.Dense>>(memory, length, lasting);
    }

    /// <summary>
    /// Copies host memory to the start of a buffer, in order with the kernels; the host memory may
    /// be changed after the call.
    /// </summary>
    public void Upload<T>(DeviceBuffer<T> destination, ReadOnlySpan<T> source) where T : unmanaged
    {
        Debug.Assert(source.Length <= destination.Length);
        try
        {
            BeforeWork?.Invoke(nameof(Upload));
            var bytes = MemoryMarshal.AsBytes(source);
            staging.Upload(Bytes(destination), bytes);
            BytesCopied = (BytesCopied.Up + bytes.Length, BytesCopied.Down);
        }
        catch (Exception e) when (e.IsDriverError())
        {
            throw Failed(WorkOf("a copy to the device"), e);
        }
    }

    /// <summary>
    /// Waits for the kernels before it and copies the start of a buffer to host memory.
    /// </summary>
    public void Download<T>(Span<T> destination, DeviceBuffer<T> source) where T : unmanaged
    {
        Debug.Assert(destination.Length <= source.Length);
        Download(MemoryMarshal.AsBytes(destination), [Bytes(source)]);
    }

    /// <inheritdoc/>
    public float[] DownloadFirsts(IReadOnlyList<DeviceBuffer<float>> sources)
    {
        var values = new float[sources.Count];
        Download(MemoryMarshal.AsBytes(values.AsSpan()), [.. sources.Select(Bytes)]);
        return values;
    }

    private void Download(Span<byte> destination, IReadOnlyList<ArrayView<byte>> sources)
    {
        try
        {
            BeforeWork?.Invoke(nameof(Download));
            if (OnlyCounts)
            {
                destination.Clear();
                return;
            }
            staging.Download(destination, sources);
            BytesCopied = (BytesCopied.Up, BytesCopied.Down + destination.Length);
        }
        catch (Exception e) when (e.IsDriverError())
        {
            throw Failed(WorkOf("a copy to the host"), e);
        }
    }

    /// <inheritdoc/>
    public void Copy(DeviceBuffer<float> y, DeviceBuffer<float> x)
    {
        Debug.Assert(y.Length == x.Length);
        if (x.Length > 0)
        {
            BeforeWork?.Invoke(nameof(Copy));
            View(x).CopyTo(stream, View(y));
        }
    }

    /// <summary>Waits until every kernel issued so far has ended.</summary>
    /// <exception cref="DeviceException">A kernel failed.</exception>
    public void Synchronize()
    {
        try
        {
            BeforeWork?.Invoke(nameof(Synchronize));
            stream.Synchronize();
        }
        catch (Exception e) when (e.IsDriverError())
        {
            throw Failed(WorkOf("waiting for the device"), e);
        }
    }

    /// <summary>
    /// Waits for the device and frees its memory; buffers still lent become unusable.
    /// </summary>
    public void Dispose()
    {
        if (disposed)
        {
            return;
        }
        disposed = true;
        foreach (var step in (Action[])[stream.Synchronize, memory.Dispose, staging.Dispose, accelerator.Dispose,
            context.Dispose])
        {
            try
            {
                step();
            }
            catch (Exception e) when (e.IsDriverError())
            {
                // The device is lost: the exception that told so is on its way, and this one must not take its place.
            }
        }
    }

    /// <summary>ILGPU with the functions that kernels use, without a device.</summary>
    internal static Context NewContext(GpuOptimization optimization) => Context.Create(builder =>
        builder.EnableAlgorithms()
        .Optimize(optimization == GpuOptimization.O2 ? OptimizationLevel.O2 : OptimizationLevel.O1));

    /// <inheritdoc/>
    protected override DeviceFloats Floats(DeviceBuffer<float> buffer) => new(View(buffer));

    /// <inheritdoc/>
    protected override DeviceInts Ints(DeviceBuffer<int> buffer) => new(View(buffer));

    /// <summary>
    /// The elements of a buffer of this backend; they start on a boundary of
    /// <see cref="BlockAllocator{TMemory}.Granularity"/> bytes.
    /// </summary>
    private static ArrayView<T> View<T>(DeviceBuffer<T> buffer) where T : unmanaged => Bytes(buffer).Cast<T>();

    private static ArrayView<byte> Bytes<T>(DeviceBuffer<T> buffer) where T : unmanaged
    {
        var block = ((PooledBuffer<T, MemoryBuffer1D<byte, Stride1D.Dense>>)buffer).Block;
        ArrayView<byte> segment = block.Segment.Memory.View;
        return segment.SubView(block.Offset, (long)buffer.Length * Unsafe.SizeOf<T>());
    }

    /// <summary>
    /// Takes a segment. OpenCL gives what it does not have and fails at a launch, so the device's
    /// size is the bound.
    /// </summary>
    private MemoryBuffer1D<byte, Stride1D.Dense> Take(long bytes)
    {
        if (reserved + bytes > MemorySize)
        {
            throw new OutOfMemoryException(
                $"{Description} has {MemorySize:N0} bytes of memory, of which {reserved:N0} are reserved: {bytes:N0} "
                    + "more do not fit.");
        }
        try
        {
            var segment = accelerator.Allocate1D<byte>(bytes);
            reserved += bytes;
            return segment;
        }
        catch (Exception e) when (e.IsOutOfMemory())
        {
            throw new OutOfMemoryException($"{Description} has no {bytes:N0} bytes left ({e.Code()}).", e);
        }
        catch (Exception e) when (e.IsDriverError())
        {
            throw Failed(WorkOf("taking memory"), e);
        }
    }

    private void GiveBack(MemoryBuffer1D<byte, Stride1D.Dense> segment)
    {
        reserved -= segment.LengthInBytes;
        segment.Dispose();
    }

    /// <summary>CUDA computes on the device that was made current on the calling thread.</summary>
    private void MakeCurrent()
    {
        try
        {
            accelerator.Bind();
        }
        catch (Exception e) when (e.IsDriverError())
        {
            throw Failed("making the device current", e);
        }
    }
}
