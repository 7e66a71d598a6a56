namespace LoraScratch.Kernels;

/// <summary>A buffer that is a block of a <see cref="BufferPool{TMemory}"/>.</summary>
internal sealed class PooledBuffer<T, TMemory> : DeviceBuffer<T> where T : unmanaged
{
    private readonly BufferPool<TMemory> pool;
    private readonly BlockAllocator<TMemory>.Block block;
    private int disposed;

    internal unsafe PooledBuffer(BufferPool<TMemory> pool, int length, bool lasting) : base(length)
    {
        disposed = 1;                                   // nothing to give back if the pool throws
        this.pool = pool;
        block = pool.Allocate((long)length * sizeof(T), lasting);
        disposed = 0;
    }

    /// <summary>Gives the block of a forgotten buffer back.</summary>
    ~PooledBuffer() => GiveBack();

    /// <summary>
    /// Where it lies; the offset is a multiple of <see cref="BlockAllocator{TMemory}.Granularity"/>
    /// bytes.
    /// </summary>
    /// <exception cref="ObjectDisposedException">
    /// The buffer or its backend was disposed.
    /// </exception>
    internal BlockAllocator<TMemory>.Block Block
    {
        get
        {
            ObjectDisposedException.ThrowIf(disposed != 0 || pool.IsDisposed, this);
            return block;
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
        if (Interlocked.Exchange(ref disposed, 1) == 0)
        {
            pool.Free(block);
        }
    }
}
