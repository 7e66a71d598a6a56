namespace LoraScratch.Kernels;

/// <summary>
/// The pool behind a backend's buffers. Thread-safe, because forgotten buffers come back on the finalizer's thread. A block that comes back
/// while a kernel still reads it (its buffer became unreachable after the kernel was issued) stays untouched until the next allocation, and only the
/// one thread that issues kernels allocates: what it issues next runs after that kernel.
/// </summary>
/// <typeparam name="TMemory">What the device hands out for a segment: a pointer, or a buffer object.</typeparam>
/// <param name="owner">The backend, for messages.</param>
/// <param name="take">Takes a segment of so many bytes from the device, or throws <see cref="OutOfMemoryException"/>.</param>
/// <param name="release">Gives a segment back to the device.</param>
internal sealed class BufferPool<TMemory>(Type owner, Func<long, TMemory> take, Action<TMemory> release) : IDisposable
{
    /// <summary>Below this the pool grows without looking for forgotten buffers first.</summary>
    private const long FirstCollection = 256L << 20;

    private readonly Lock gate = new();
    private readonly BlockAllocator<TMemory> blocks = new(take, release);

    private long collectAbove = FirstCollection;
    private volatile bool disposed;

    public MemoryUse Use
    {
        get
        {
            lock (gate)
            {
                return blocks.Use;
            }
        }
    }

    public bool IsDisposed => disposed;

    /// <summary>Lends a block.</summary>
    /// <exception cref="OutOfMemoryException">The device has no more memory, even after forgotten buffers were collected.</exception>
    public BlockAllocator<TMemory>.Block Allocate(long bytes)
    {
        lock (gate)
        {
            ObjectDisposedException.ThrowIf(disposed, owner);
            if (blocks.TryAllocate(bytes, out var block))
            {
                return block;
            }
        }
        if (Use.Reserved + BlockAllocator<TMemory>.SegmentSize(bytes) > collectAbove)
        {
            CollectForgottenBuffers();
        }
        try
        {
            return AllocateGrowing(bytes);
        }
        catch (OutOfMemoryException)
        {
            CollectForgottenBuffers();
            try
            {
                return AllocateGrowing(bytes);
            }
            catch (OutOfMemoryException e)
            {
                throw new OutOfMemoryException(
                    $"The device has no {bytes:N0} bytes left for a buffer; {Use.InUse:N0} bytes are in use. A smaller batch or maximum length needs less.", e);
            }
        }
    }

    public void Free(BlockAllocator<TMemory>.Block block)
    {
        lock (gate)
        {
            if (!disposed)
            {
                blocks.Free(block);
            }
        }
    }

    public void Dispose()
    {
        lock (gate)
        {
            if (!disposed)
            {
                disposed = true;
                blocks.ReleaseAll();
            }
        }
    }

    private BlockAllocator<TMemory>.Block AllocateGrowing(long bytes)
    {
        lock (gate)
        {
            return blocks.Allocate(bytes);
        }
    }

    /// <summary>
    /// The garbage collector sees a few dozen bytes of a buffer and not the megabytes behind it, so it is called when the pool has grown to twice
    /// what was in use after the last call: a program that disposes its buffers pays for it a handful of times, one that forgets them stays bounded.
    /// </summary>
    private void CollectForgottenBuffers()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();   // outside the lock, which the finalizers take
        collectAbove = Math.Max(FirstCollection, 2 * Use.InUse);
    }
}
