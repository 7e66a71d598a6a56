using ILGPU;
using ILGPU.Runtime;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// Page-locked host memory that copies pass through: the driver copies from it while the program
/// goes on, which it cannot do from memory that the garbage collector may move. Uploads take its
/// pieces in turn and wait for the device only when all are used, not once in many steps for token
/// ids.
/// </summary>
internal sealed class Staging(Accelerator accelerator, AcceleratorStream stream) : IDisposable
{
    private const int Size = 4 << 20;

    // a place of its own: what uploads have put into theirs may not have left yet
    private const int SizeOfSmall = 4096;

    private readonly PageLockedArray1D<byte> memory =
        accelerator.AllocatePageLocked1D<byte>(Size + SizeOfSmall, uninitialized: true);
    private int used;

    /// <summary>
    /// Copies to the start of a view, after what the stream was given before; the source may be
    /// changed after the call.
    /// </summary>
    public void Upload(ArrayView<byte> destination, ReadOnlySpan<byte> source)
    {
        for (var done = 0; done < source.Length;)
        {
            var count = Math.Min(source.Length - done, Size);
            if (used + count > Size)
            {
                stream.Synchronize();                       // the copies before have left
                used = 0;
            }
            var piece = memory.Span.Slice(used, count);
            source.Slice(done, count).CopyTo(piece);
            destination.SubView(done, count).CopyFromCPUUnsafeAsync(stream, ref piece[0], count);
            used += (count + 63) / 64 * 64;                // whole cache lines
            done += count;
        }
    }

    /// <summary>
    /// Waits once for the stream and copies as many bytes from the start of each view.
    /// </summary>
    /// <param name="destination">All of them, one after another.</param>
    /// <param name="sources">What they are copied from.</param>
    public void Download(Span<byte> destination, IReadOnlyList<ArrayView<byte>> sources)
    {
        var size = destination.Length / Math.Max(1, sources.Count);
        if (destination.Length > SizeOfSmall)
        {
            for (var i = 0; i < sources.Count; i++)
            {
                Download(destination.Slice(i * size, size), sources[i]);
            }
            return;
        }
        var piece = memory.Span.Slice(Size, destination.Length);
        for (var i = 0; i < sources.Count && size > 0; i++)
        {
            sources[i].SubView(0, size).CopyToCPUUnsafeAsync(stream, ref piece[i * size], size);
        }
        stream.Synchronize();
        used = 0;
        piece.CopyTo(destination);
    }

    /// <summary>Waits for the stream and copies the start of a view.</summary>
    private void Download(Span<byte> destination, ArrayView<byte> source)
    {
        stream.Synchronize();
        used = 0;
        var piece = memory.Span;
        for (var done = 0; done < destination.Length;)
        {
            var count = Math.Min(destination.Length - done, Size);
            source.SubView(done, count).CopyToCPUUnsafeAsync(stream, ref piece[0], count);
            stream.Synchronize();
            piece[..count].CopyTo(destination[done..]);
            done += count;
        }
    }

    public void Dispose() => memory.Dispose();
}
