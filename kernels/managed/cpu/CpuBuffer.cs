namespace LoraScratch.Kernels.Cpu;

/// <summary>A block of the CPU backend's pool.</summary>
internal sealed unsafe class CpuBuffer<T> : DeviceBuffer<T> where T : unmanaged
{
    private readonly CpuMemory _memory;
    private readonly BlockAllocator<nint>.Block _block;
    private int _disposed;

    internal CpuBuffer(CpuMemory memory, int length) : base(length)
    {
        _disposed = 1;                                   // nothing to give back if the pool throws
        _memory = memory;
        _block = memory.Allocate((long)length * sizeof(T));
        _disposed = 0;
    }

    /// <summary>Gives the block of a forgotten buffer back.</summary>
    ~CpuBuffer() => GiveBack();

    /// <summary>The first element, on a boundary of <see cref="BlockAllocator{TMemory}.Granularity"/> bytes.</summary>
    /// <exception cref="ObjectDisposedException">The buffer or its backend was disposed.</exception>
    internal T* Pointer
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed != 0 || _memory.IsDisposed, this);
            return (T*)(_block.Segment.Memory + (nint)_block.Offset);
        }
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        GiveBack();
        GC.SuppressFinalize(this);
    }

    private void GiveBack()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0)
        {
            _memory.Free(_block);
        }
    }
}
