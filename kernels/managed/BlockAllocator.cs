using System.Diagnostics;

namespace LoraScratch.Kernels;

/// <summary>
/// The bookkeeping of a memory pool: lends blocks out of large segments that a device provides, and
/// never touches the memory itself.
/// <para>
/// A request takes the first free range that holds it, in the order of segments taken and addresses
/// within them ("address-ordered first fit"); a freed block joins its free neighbours at once. Both
/// together make the layout a function of the requests alone: a later, unused segment is never
/// looked at before the earlier ones are full. So a sequence of requests that ends with everything
/// freed, run again, finds every block where it was and needs nothing from the device.
/// </para>
/// <para>
/// What outlives the blocks around it is asked for from the other end: the last free range, and its
/// end. Gradients of a model's parameters come while activations go, one layer after another; among
/// them they would leave gaps of a few megabytes, and none for the gradient of a table of words.
/// </para>
/// <para>
/// Where a request does not fit, segments that lie entirely free are given back before a new one is
/// taken, until they make up for it: what is reserved follows the largest demand seen, not the sum
/// of all the shapes that came by. A fixed sequence still settles: every exchange replaces segments
/// by a larger one, and there are only as many segments as blocks, so exchanges end.
/// </para>
/// Not thread-safe: the pool that owns it has the gate of its device.
/// </summary>
/// <typeparam name="TMemory">
/// What the device hands out for a segment: a pointer, or a buffer object.
/// </typeparam>
/// <param name="take">Takes a segment of so many bytes from the device.</param>
/// <param name="release">Gives a segment back to the device.</param>
internal sealed class BlockAllocator<TMemory>(Func<long, TMemory> take, Action<TMemory> release)
{
    /// <summary>Blocks start at multiples of this and have multiples of it as sizes.</summary>
    public const int Granularity = 256;

    /// <summary>
    /// Segments have multiples of this as sizes, so that nearly equal large requests can use the
    /// same one. Of the requests of DistilBERT's size, LoRA and everything trained, with and
    /// without activations kept, 16 and 32 MiB leave more unused.
    /// </summary>
    public const long SegmentGranularity = 24L << 20;

    private readonly List<Segment> segments = [];

    /// <summary>What is reserved, lent, and was lent at most.</summary>
    public MemoryUse Use { get; private set; }

    /// <summary>The most that is lent counts from now on.</summary>
    public void ForgetPeak() => Use = Use with { PeakInUse = Use.InUse };

    /// <summary>The segment size that a request of so many bytes would need of its own.</summary>
    public static long SegmentSize(long bytes) => RoundUp(Math.Max(bytes, 1), SegmentGranularity);

    /// <summary>Lends a block out of the segments at hand; false where none has room.</summary>
    /// <param name="bytes">At least so many.</param>
    /// <param name="block">The block.</param>
    /// <param name="lasting">Whether it outlives the blocks around it.</param>
    public bool TryAllocate(long bytes, out Block block, bool lasting = false)
    {
        var size = RoundUp(Math.Max(bytes, 1), Granularity);
        for (var i = 0; i < segments.Count; i++)
        {
            var segment = lasting ? segments[^(i + 1)] : segments[i];
            if (lasting ? segment.TryTakeLast(size, out var offset) : segment.TryTake(size, out offset))
            {
                var inUse = Use.InUse + size;
                Use = Use with { InUse = inUse, PeakInUse = Math.Max(Use.PeakInUse, inUse) };
                block = new Block(segment, offset, size);
                return true;
            }
        }
        block = default;
        return false;
    }

    /// <summary>
    /// Lends a block, taking a new segment from the device where the ones at hand have no room.
    /// </summary>
    public Block Allocate(long bytes, bool lasting = false)
    {
        if (!TryAllocate(bytes, out var block, lasting))
        {
            AddSegment(SegmentSize(bytes));
            var fits = TryAllocate(bytes, out block, lasting);
            Debug.Assert(fits, "a new segment holds the request that it was taken for");
        }
        return block;
    }

    /// <summary>Takes a block back.</summary>
    public void Free(Block block)
    {
        block.Segment.Return(block.Offset, block.Size);
        Use = Use with { InUse = Use.InUse - block.Size };
    }

    /// <summary>Gives every segment back to the device, lent or not.</summary>
    public void ReleaseAll()
    {
        foreach (var segment in segments)
        {
            release(segment.Memory);
        }
        segments.Clear();
        Use = Use with { Reserved = 0, InUse = 0 };
    }

    private void AddSegment(long size)
    {
        var released = 0L;
        for (var i = segments.Count - 1; i >= 0 && released < size; i--)
        {
            var segment = segments[i];
            if (segment.IsFree)
            {
                segments.RemoveAt(i);
                Use = Use with { Reserved = Use.Reserved - segment.Size };
                released += segment.Size;
                release(segment.Memory);
            }
        }
        segments.Add(new Segment(take(size), size));
        Use = Use with { Reserved = Use.Reserved + size };
    }

    private static long RoundUp(long value, long multiple) => (value + multiple - 1) / multiple * multiple;

    /// <summary>A lent block.</summary>
    /// <param name="Segment">Where it lies.</param>
    /// <param name="Offset">Bytes from the segment's start.</param>
    /// <param name="Size">Bytes, rounded up.</param>
    public readonly record struct Block(Segment Segment, long Offset, long Size);

    /// <summary>
    /// One piece of device memory with its free ranges in the order of addresses, no two of which
    /// touch.
    /// </summary>
    public sealed class Segment
    {
        private readonly List<(long Offset, long Size)> free;

        internal Segment(TMemory memory, long size)
        {
            Memory = memory;
            Size = size;
            free = [(0, size)];
        }

        /// <summary>The device's memory.</summary>
        public TMemory Memory { get; }

        /// <summary>Bytes.</summary>
        public long Size { get; }

        /// <summary>True when no block of it is lent.</summary>
        public bool IsFree => free.Count == 1 && free[0].Size == Size;

        internal bool TryTake(long size, out long offset)
        {
            for (var i = 0; i < free.Count; i++)
            {
                var range = free[i];
                if (range.Size < size)
                {
                    continue;
                }
                offset = range.Offset;
                if (range.Size == size)
                {
                    free.RemoveAt(i);
                }
                else
                {
                    free[i] = (range.Offset + size, range.Size - size);
                }
                return true;
            }
            offset = 0;
            return false;
        }

        internal bool TryTakeLast(long size, out long offset)
        {
            for (var i = free.Count - 1; i >= 0; i--)
            {
                var range = free[i];
                if (range.Size < size)
                {
                    continue;
                }
                offset = range.Offset + range.Size - size;
                if (range.Size == size)
                {
                    free.RemoveAt(i);
                }
                else
                {
                    free[i] = (range.Offset, range.Size - size);
                }
                return true;
            }
            offset = 0;
            return false;
        }

        internal void Return(long offset, long size)
        {
            var next = FirstFreeAfter(offset);
            var joinsNext = next < free.Count && offset + size == free[next].Offset;
            var joinsPrevious = next > 0 && free[next - 1].Offset + free[next - 1].Size == offset;
            Debug.Assert(next == free.Count || offset + size <= free[next].Offset, "a block was freed twice");
            Debug.Assert(next == 0 || free[next - 1].Offset + free[next - 1].Size <= offset, "a block was freed twice");
            if (joinsPrevious && joinsNext)
            {
                free[next - 1] = (free[next - 1].Offset, free[next - 1].Size + size + free[next].Size);
                free.RemoveAt(next);
            }
            else if (joinsPrevious)
            {
                free[next - 1] = (free[next - 1].Offset, free[next - 1].Size + size);
            }
            else if (joinsNext)
            {
                free[next] = (offset, size + free[next].Size);
            }
            else
            {
                free.Insert(next, (offset, size));
            }
        }

        private int FirstFreeAfter(long offset)
        {
            int low = 0, high = free.Count;
            while (low < high)
            {
                var middle = (low + high) / 2;
                if (free[middle].Offset < offset)
                {
                    low = middle + 1;
                }
                else
                {
                    high = middle;
                }
            }
            return low;
        }
    }
}
