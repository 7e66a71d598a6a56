using LoraScratch.Kernels;

namespace LoraScratch.Engine;

/// <summary>
/// The memory of one or more tensors: taken when it is first asked for, given back to the pool when
/// the last holder (a tensor's owner, or a recorded gradient) lets go. A weight that is replaced
/// before anybody looked at it, as a quantised checkpoint replaces those of a new model, has taken
/// none. Any thread may hold it and let go of it: a frozen weight stands in the graphs of all.
/// </summary>
/// <param name="backend">Where it lies.</param>
/// <param name="length">Elements.</param>
/// <param name="initially">What they are at first; null: undefined.</param>
/// <param name="lasting">Whether it outlives what is taken before and after it.</param>
internal sealed class Storage(IBackend backend, int length, float? initially = null, bool lasting = false)
{
    private volatile DeviceBuffer<float>? buffer;
    private int holders = 1;

    public IBackend Backend { get; } = backend;

    /// <summary>The memory; null when nobody holds it any more.</summary>
    public DeviceBuffer<float>? Buffer => IsFreed ? null : buffer ?? Take();

    /// <summary>Whether nobody holds it any more.</summary>
    public bool IsFreed => Volatile.Read(ref holders) == 0;

    /// <summary>Whether more than one holds it.</summary>
    public bool IsShared => Volatile.Read(ref holders) > 1;

    /// <summary>Adds a holder; false where nobody holds it any more.</summary>
    public bool TryRetain()
    {
        while (true)
        {
            var held = Volatile.Read(ref holders);
            if (held == 0)
            {
                return false;
            }
            if (Interlocked.CompareExchange(ref holders, held + 1, held) == held)
            {
                return true;
            }
        }
    }

    public void Release()
    {
        if (Interlocked.Decrement(ref holders) == 0)
        {
            buffer?.Dispose();
            buffer = null;
        }
    }

    private DeviceBuffer<float> Take()
    {
        using var turn = Backend.TakeTurn();            // of two threads that ask first, one takes it
        if (buffer is { } known)
        {
            return known;
        }
        var taken = Backend.Allocate<float>(length, lasting);
        if (initially is { } value)
        {
            Backend.Fill(taken, value);
        }
        buffer = taken;
        return taken;
    }
}
