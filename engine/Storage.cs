using System.Diagnostics;
using LoraScratch.Kernels;

namespace LoraScratch.Engine;

/// <summary>
/// The memory of one or more tensors: taken when it is first asked for, given back to the pool when the last holder (a tensor's owner, or a recorded gradient) lets go. A weight that is replaced
/// before anybody looked at it, as a quantised checkpoint replaces those of a new model, has taken none.
/// </summary>
/// <param name="backend">Where it lies.</param> <param name="length">Elements.</param> <param name="initially">What they are at first; null: undefined.</param>
internal sealed class Storage(IBackend backend, int length, float? initially = null)
{
    private DeviceBuffer<float>? buffer;
    private int holders = 1;

    public IBackend Backend { get; } = backend;

    /// <summary>The memory; null when nobody holds it any more.</summary>
    public DeviceBuffer<float>? Buffer => IsFreed ? null : buffer ??= Take();

    /// <summary>Whether nobody holds it any more.</summary>
    public bool IsFreed => holders == 0;

    /// <summary>Whether more than one holds it.</summary>
    public bool IsShared => holders > 1;

    public Storage Retain()
    {
        Debug.Assert(!IsFreed, "the tensor has checked that its memory is still there");
        holders++;
        return this;
    }

    public void Release()
    {
        if (--holders == 0)
        {
            buffer?.Dispose();
            buffer = null;
        }
    }

    private DeviceBuffer<float> Take()
    {
        var taken = Backend.Allocate<float>(length);
        if (initially is { } value)
        {
            Backend.Fill(taken, value);
        }
        return taken;
    }
}
