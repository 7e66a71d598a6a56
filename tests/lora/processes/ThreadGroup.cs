using System.Runtime.ExceptionServices;
using LoraScratch.Lora.Processes;

namespace LoraScratch.Tests.Lora.Processes;

/// <summary>Threads of one process in the place of processes.</summary>
internal sealed class ThreadGroup : ProcessGroup
{
    private readonly Meeting meeting;

    private ThreadGroup(int rank, Meeting meeting) => (Rank, this.meeting) = (rank, meeting);

    public override int Rank { get; }

    public override int Size => meeting.Slots.Length;

    public override string Description => "threads";

    /// <summary>Does the work on so many threads, each with its own group.</summary>
    /// <returns>What each of them came to.</returns>
    public static T[] Run<T>(int size, Func<ProcessGroup, T> work)
    {
        using var meeting = new Meeting(size);
        var (results, failure) = (new T[size], (ExceptionDispatchInfo?)null);
        var threads = Enumerable.Range(0, size).Select(rank => new Thread(() =>
        {
            try
            {
                results[rank] = work(new ThreadGroup(rank, meeting));
            }
            catch (Exception e)
            {
                Interlocked.CompareExchange(ref failure, ExceptionDispatchInfo.Capture(e), null);
                meeting.End.Cancel();                           // who waits for this one waits in vain
            }
        })).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        failure?.Throw();
        return results;
    }

    public override void AllToAll(ReadOnlySpan<byte> send, Span<byte> received)
    {
        var part = send.Length / Size;
        var all = Exchange(send.ToArray());
        for (var rank = 0; rank < Size; rank++)
        {
            all[rank].AsSpan(Rank * part, part).CopyTo(received[(rank * part)..]);
        }
        meeting.Come();
    }

    public override void AllGather(ReadOnlySpan<byte> mine, Span<byte> all)
    {
        var slots = Exchange(mine.ToArray());
        for (var rank = 0; rank < Size; rank++)
        {
            Assert.That(slots[rank], Has.Length.EqualTo(mine.Length), "as long in every process");
            slots[rank].CopyTo(all[(rank * mine.Length)..]);
        }
        meeting.Come();
    }

    public override void Broadcast(Span<byte> values)
    {
        Exchange(values.ToArray())[0].CopyTo(values);
        meeting.Come();
    }

    public override void Abort(int code) => meeting.End.Cancel();

    public override void Dispose()
    {
    }

    private byte[][] Exchange(byte[] mine)
    {
        meeting.Slots[Rank] = mine;
        meeting.Come();
        return meeting.Slots;
    }

    private sealed class Meeting(int size) : IDisposable
    {
        private readonly Barrier barrier = new(size);

        public byte[][] Slots { get; } = new byte[size][];

        public CancellationTokenSource End { get; } = new();

        public void Come() => barrier.SignalAndWait(End.Token);

        public void Dispose()
        {
            barrier.Dispose();
            End.Dispose();
        }
    }
}
