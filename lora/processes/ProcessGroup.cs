using System.Runtime.InteropServices;

namespace LoraScratch.Lora.Processes;

/// <summary>
/// Processes that do one work together, each of them a rank from 0 to <see cref="Size"/> − 1. Every
/// process calls the same methods in the same order; a method returns when all have called it that
/// it needs. <see cref="Alone"/> is the group of a program that was started by itself: its methods
/// cost nothing.
/// </summary>
internal abstract class ProcessGroup : IDisposable
{
    /// <summary>One process.</summary>
    public static ProcessGroup Alone { get; } = new OneProcess();

    /// <summary>Of this process, from 0.</summary>
    public abstract int Rank { get; }

    /// <summary>How many there are.</summary>
    public abstract int Size { get; }

    /// <summary>
    /// Whether this is the process that writes files and speaks to the user.
    /// </summary>
    public bool IsFirst => Rank == 0;

    /// <summary>Whether this process has others beside it.</summary>
    public bool HasOthers => Size > 1;

    /// <summary>What connects them, for a person: "Open MPI 4.1.4".</summary>
    public abstract string Description { get; }

    /// <summary>
    /// Every process sends part i to process i, and has part i of what it gets from process i.
    /// </summary>
    /// <param name="send">[size · part]</param>
    /// <param name="received">[size · part]</param>
    public abstract void AllToAll(ReadOnlySpan<byte> send, Span<byte> received);

    /// <summary>Every process gets what each has, in the order of the ranks.</summary>
    /// <param name="mine">[part] As long in every process.</param>
    /// <param name="all">[size · part]</param>
    public abstract void AllGather(ReadOnlySpan<byte> mine, Span<byte> all);

    /// <summary>Every process gets what the first has.</summary>
    /// <param name="values">As long in every process.</param>
    public abstract void Broadcast(Span<byte> values);

    /// <summary>
    /// Ends all processes, this one too: what one cannot mend alone. Does not return where there
    /// are others.
    /// </summary>
    /// <param name="code">Exit code.</param>
    public abstract void Abort(int code);

    /// <summary>Whether it is so in any of the processes.</summary>
    public bool Any(bool here)
    {
        if (!HasOthers)
        {
            return here;
        }
        var all = new byte[Size];
        AllGather([(byte)(here ? 1 : 0)], all);
        return all.Contains((byte)1);
    }

    /// <summary>
    /// What every process has, which may differ in length, in the order of the ranks.
    /// </summary>
    public T[][] Gather<T>(ReadOnlySpan<T> mine) where T : unmanaged
    {
        if (!HasOthers)
        {
            return [mine.ToArray()];
        }
        var lengths = new int[Size];
        AllGather(BitConverter.GetBytes(mine.Length), MemoryMarshal.AsBytes(lengths.AsSpan()));
        var longest = lengths.Max();
        var (padded, all) = (new T[longest], new T[checked(Size * longest)]);
        mine.CopyTo(padded);
        AllGather(MemoryMarshal.AsBytes(padded.AsSpan()), MemoryMarshal.AsBytes(all.AsSpan()));
        return [.. lengths.Select((length, rank) => all.AsSpan(rank * longest, length).ToArray())];
    }

    /// <summary>Waits until all have come so far.</summary>
    public void Wait() => Any(false);

    /// <summary>
    /// The first and the one behind the last of some things that one process does.
    /// </summary>
    /// <param name="count">Of the things.</param>
    public (int First, int End) ShareOf(int count) => ShareOf(count, Rank);

    /// <summary>The same of any process.</summary>
    public (int First, int End) ShareOf(int count, int rank) =>
        ((int)((long)count * rank / Size), (int)((long)count * (rank + 1) / Size));

    /// <inheritdoc/>
    public abstract void Dispose();

    private sealed class OneProcess : ProcessGroup
    {
        public override int Rank => 0;

        public override int Size => 1;

        public override string Description => "one process";

        public override void AllToAll(ReadOnlySpan<byte> send, Span<byte> received) => send.CopyTo(received);

        public override void AllGather(ReadOnlySpan<byte> mine, Span<byte> all) => mine.CopyTo(all);

        public override void Broadcast(Span<byte> values)
        {
        }

        public override void Abort(int code)
        {
        }

        public override void Dispose()
        {
        }
    }
}
