using System.Collections.Concurrent;

namespace LoraScratch.Kernels;

/// <summary>
/// The pool behind a backend's buffers. It lends within the turn of a thread
/// (<see cref="DeviceGate"/>), and takes back at any time from any thread: forgotten buffers come
/// back on the finalizer's. What comes back while another thread has its turn may still be read by
/// a kernel of that turn (its buffer became unreachable after the kernel had its address), so it
/// waits for the next request: what is issued then runs after that kernel.
/// </summary>
/// <typeparam name="TMemory">
/// What the device hands out for a segment: a pointer, or a buffer object.
/// </typeparam>
/// <param name="owner">The backend, for messages.</param>
/// <param name="gate">The backend's.</param>
/// <param name="take">
/// Takes a segment of so many bytes from the device, or throws <see cref="OutOfMemoryException"/>.
/// </param>
/// <param name="release">Gives a segment back to the device.</param>
internal sealed class BufferPool<TMemory>(Type owner, DeviceGate gate, Func<long, TMemory> take,
    Action<TMemory> release) : IDisposable
{
    /// <summary>Below this the pool grows without looking for forgotten buffers first.</summary>
    private const long FirstCollection = 256L << 20;

    private readonly BlockAllocator<TMemory> blocks = new(take, release);
    // while another thread had its turn
    private readonly ConcurrentQueue<BlockAllocator<TMemory>.Block> returned = [];

    private long collectAbove = FirstCollection;
    private volatile bool disposed;

    public MemoryUse Use
    {
        get
        {
            using var turn = gate.Enter();
            TakeBack();
            return blocks.Use;
        }
    }

    public bool IsDisposed => disposed;

    /// <summary>The most that is lent counts from now on.</summary>
    public void ForgetPeak()
    {
        using var turn = gate.Enter();
        TakeBack();
        blocks.ForgetPeak();
    }

    /// <summary>Lends a block.</summary>
    /// <param name="bytes">At least so many.</param>
    /// <param name="lasting">Whether it outlives the blocks around it.</param>
    /// <exception cref="OutOfMemoryException">
    /// The device has no more memory, even after forgotten buffers were collected.
    /// </exception>
    public BlockAllocator<TMemory>.Block Allocate(long bytes, bool lasting)
    {
        using var turn = gate.Enter();
        ObjectDisposedException.ThrowIf(disposed, owner);
        TakeBack();
        if (blocks.TryAllocate(bytes, out var block, lasting))
        {
            return block;
        }
        if (blocks.Use.Reserved + BlockAllocator<TMemory>.SegmentSize(bytes) > collectAbove)
        {
            CollectForgottenBuffers();
        }
        try
        {
            return blocks.Allocate(bytes, lasting);
        }
        catch (OutOfMemoryException)
        {
            CollectForgottenBuffers();
            try
            {
                return blocks.Allocate(bytes, lasting);
            }
            catch (OutOfMemoryException e)
            {
                throw new OutOfMemoryException(
                    $"The device has no {bytes:N0} bytes left for a buffer; {blocks.Use.InUse:N0} bytes are in use. "
                    + "A smaller batch or maximum length needs less.", e);
            }
        }
    }

    public void Free(BlockAllocator<TMemory>.Block block)
    {
        if (!gate.TryEnter())
        {
            returned.Enqueue(block);
            return;
        }
        try
        {
            if (!disposed)
            {
                blocks.Free(block);
            }
        }
        finally
        {
            gate.Exit();
        }
    }

    public void Dispose()
    {
        using var turn = gate.Enter();
        if (!disposed)
        {
            disposed = true;
            blocks.ReleaseAll();
        }
    }

    private void TakeBack()
    {
        while (!disposed && returned.TryDequeue(out var block))
        {
            blocks.Free(block);
        }
    }

    /// <summary>
    /// The garbage collector sees a few dozen bytes of a buffer and not the megabytes behind it, so
    /// it is called when the pool has grown to twice what was in use after the last call: a program
    /// that disposes its buffers pays for it a handful of times, one that forgets them stays
    /// bounded.
    /// </summary>
    private void CollectForgottenBuffers()
    {
        GC.Collect();
        GC.WaitForPendingFinalizers();   // they find the gate closed, and leave their blocks in the queue
        TakeBack();
        collectAbove = Math.Max(FirstCollection, 2 * blocks.Use.InUse);
    }
}
