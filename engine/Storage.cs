using System.Diagnostics;
using LoraScratch.Kernels;

namespace LoraScratch.Engine;

/// <summary>The memory of one or more tensors, given back to the pool when the last holder (a tensor's owner, or a recorded gradient) lets go.</summary>
internal sealed class Storage(IBackend backend, int length)
{
    private int holders = 1;

    public IBackend Backend { get; } = backend;

    /// <summary>The memory; null when nobody holds it any more.</summary>
    public DeviceBuffer<float>? Buffer { get; private set; } = backend.Allocate<float>(length);

    /// <summary>Whether more than one holds it.</summary>
    public bool IsShared => holders > 1;

    public Storage Retain()
    {
        Debug.Assert(Buffer is not null, "the tensor has checked that its memory is still there");
        holders++;
        return this;
    }

    public void Release()
    {
        if (--holders == 0)
        {
            Buffer!.Dispose();
            Buffer = null;
        }
    }
}
