using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace LoraScratch.Lora.Processes;

/// <summary>
/// Adds up vectors of numbers over all processes, in the order of a <see cref="SumTree"/>. Each
/// process adds up one slice of all vectors, and gives its sum to the others: it sends nearly twice
/// the bytes of a vector, however many processes there are. These are the two halves of an
/// all-reduce (Thakur, Rabenseifner and Gropp 2005, section 4).
/// </summary>
/// <param name="processes">Who has the parts.</param>
/// <param name="mostFloats">Sent at once at most; bounds the memory beside the vectors.</param>
internal sealed class SumExchange(ProcessGroup processes, int mostFloats = 1 << 22)
{
    private float[] sent = [], received = [], whole = [];       // kept from one exchange to the next

    /// <summary>Bytes that this process has sent to others so far.</summary>
    public long BytesSent { get; private set; }

    /// <summary>
    /// Seconds that the exchange has taken so far, once all processes had come to it.
    /// </summary>
    public double Seconds { get; private set; }

    /// <summary>Adds up.</summary>
    /// <param name="parts">Number of parts of all processes together.</param>
    /// <param name="length">Of a vector.</param>
    /// <param name="mine">
    /// [nodes of this process][length] The nodes that <see cref="SumTree.Nodes"/> leaves of its
    /// share of the parts (<see cref="ProcessGroup.ShareOf(int)"/>).
    /// </param>
    /// <param name="sum">[length] The sum; may be the first of <paramref name="mine"/>.</param>
    public void Add(int parts, int length, IReadOnlyList<float[]> mine, float[] sum)
    {
        processes.Wait();                                       // who is late costs the others time, not the network
        var clock = Stopwatch.StartNew();
        var nodes = Enumerable.Range(0, processes.Size).Select(rank => processes.ShareOf(parts, rank))
            .Select(share => SumTree.Nodes(share.First, share.End)).ToArray();
        var most = nodes.Max(each => each.Count);
        var part = Math.Max(1, Math.Min((length + processes.Size - 1) / processes.Size,
            mostFloats / processes.Size / most));               // of a slice of one piece
        if (sent.Length != processes.Size * most * part)
        {
            (sent, received) = (new float[processes.Size * most * part], new float[processes.Size * most * part]);
        }
        whole = whole.Length == processes.Size * part ? whole : new float[processes.Size * part];
        for (var at = 0; at < length; at += processes.Size * part)
        {
            for (var rank = 0; rank < processes.Size; rank++)
            {
                var first = at + rank * part;
                var count = Math.Clamp(length - first, 0, part);
                for (var node = 0; node < mine.Count && count > 0; node++)
                {
                    mine[node].AsSpan(first, count).CopyTo(sent.AsSpan((rank * most + node) * part));
                }
            }
            processes.AllToAll(MemoryMarshal.AsBytes(sent.AsSpan()), MemoryMarshal.AsBytes(received.AsSpan()));
            var slice = Slice(parts, nodes, received, most, part);
            processes.AllGather(MemoryMarshal.AsBytes<float>(slice.Span), MemoryMarshal.AsBytes(whole.AsSpan()));
            whole.AsSpan(0, Math.Min(whole.Length, length - at)).CopyTo(sum.AsSpan(at));
            BytesSent += sizeof(float) * (long)(processes.Size - 1) * part * (most + 1);
        }
        Seconds += clock.Elapsed.TotalSeconds;
    }

    /// <summary>
    /// The sum of the slices that all processes sent, in the memory of one of them.
    /// </summary>
    private static Memory<float> Slice(int parts, IReadOnlyList<SumNode>[] nodes, float[] received, int most, int part)
    {
        var known = new Dictionary<SumNode, Memory<float>>();
        for (var rank = 0; rank < nodes.Length; rank++)
        {
            for (var node = 0; node < nodes[rank].Count; node++)
            {
                known[nodes[rank][node]] = received.AsMemory((rank * most + node) * part, part);
            }
        }
        return SumTree.Total(parts, known, Add);
    }

    // a training calls it too seldom for the JIT to find out that it is worth the trouble
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static Memory<float> Add(Memory<float> left, Memory<float> right)
    {
        var to = left.Span;
        var from = right.Span;
        var i = 0;
        for (; i <= to.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            (new Vector<float>(to[i..]) + new Vector<float>(from[i..])).CopyTo(to[i..]);
        }
        for (; i < to.Length; i++)
        {
            to[i] += from[i];
        }
        return left;
    }
}
