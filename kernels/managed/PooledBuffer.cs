namespace LoraScratch.Kernels;

/// <summary>A buffer that is a block of a <see cref="BufferPool{TMemory}"/>.</summary>
internal sealed class PooledBuffer<T, TMemory> : DeviceBuffer<T> where T : unmanaged
{
    private readonly BufferPool<TMemory> _pool;
    private readonly BlockAllocator<TMemory>.Block _block;
    private int _disposed;

    internal unsafe PooledBuffer(BufferPool<TMemory> pool, int length) : base(length)
    {
        _disposed = 1;                                   // nothing to give back if the pool throws
        _pool = pool;
        _block = pool.Allocate((long)length * sizeof(T));
        _disposed = 0;
    }

    /// <summary>Gives the block of a forgotten buffer back.</summary>
    ~PooledBuffer() => GiveBack();

    /// <summary>Where it lies; the offset is a multiple of <see cref="BlockAllocator{TMemory}.Granularity"/> bytes.</summary>
    /// <exception cref="ObjectDisposedException">The buffer or its backend was disposed.</exception>
    internal BlockAllocator<TMemory>.Block Block
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed != 0 || _pool.IsDisposed, this);
            return _block;
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
            _pool.Free(_block);
        }
    }
}
