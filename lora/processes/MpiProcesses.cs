using LoraScratch.Engine;

namespace LoraScratch.Lora.Processes;

/// <summary>
/// The processes that mpirun or srun started, connected by the machine's MPI library.
/// </summary>
internal sealed class MpiProcesses : ProcessGroup
{
    // MPI counts bytes in 32 bits; pieces of this size are as fast as larger ones.
    private const int MostBytes = 1 << 28;

    private readonly MpiLibrary library;
    private bool isDisposed;

    private MpiProcesses(MpiLibrary library, int rank, int size) => (this.library, Rank, Size) = (library, rank, size);

    public override int Rank { get; }

    public override int Size { get; }

    public override string Description => library.Version;

    /// <summary>
    /// Connects this process with the others that its launcher started; without a launcher, and
    /// where it started one process alone, there are no others.
    /// </summary>
    /// <param name="launcher">Of this process; null: it was started by itself.</param>
    /// <exception cref="InputException">
    /// The launcher started several, and there is no MPI library, or another than the launcher's,
    /// so that each would work alone and all would write the same files.
    /// </exception>
    public static ProcessGroup Join(Launcher? launcher)
    {
        if (launcher is null or { Size: 1 })
        {
            return Alone;
        }
        var chosen = Environment.GetEnvironmentVariable(MpiLibrary.PathVariable);
        var library = MpiLibrary.Find(launcher.Abis, chosen) ?? throw new InputException($"{launcher.Name} started "
            + $"{launcher.Size} processes, and there is no MPI library to connect them (looked for "
            + $"{string.Join(", ", launcher.Abis.SelectMany(abi => abi.Libraries))}). Install the one that the "
            + $"launcher belongs to, or name its file in the variable {MpiLibrary.PathVariable}.");
        var (rank, size) = library.Initialize();
        return size == launcher.Size ? new MpiProcesses(library, rank, size)
            : throw new InputException($"{launcher.Name} started {launcher.Size} processes, and {library.Version} "
                + $"({library.Path}) knows of {size}: it is another MPI than the launcher's. Start with the mpirun "
                + $"that belongs to it, or name the launcher's library in the variable {MpiLibrary.PathVariable}.");
    }

    public override void AllToAll(ReadOnlySpan<byte> send, Span<byte> received)
    {
        var part = send.Length / Size;
        if (part <= MostBytes / Size)
        {
            library.AllToAll(send, received, part);
            return;
        }
        throw new ArgumentException($"AllToAll: {send.Length} bytes at once; expected at most {MostBytes}.");
    }

    public override void AllGather(ReadOnlySpan<byte> mine, Span<byte> all)
    {
        if (mine.Length <= MostBytes / Size)
        {
            library.AllGather(mine, all);
            return;
        }
        var piece = MostBytes / Size;
        var received = new byte[Size * piece];
        for (var at = 0; at < mine.Length; at += piece)
        {
            var length = Math.Min(piece, mine.Length - at);
            library.AllGather(mine.Slice(at, length), received.AsSpan(0, Size * length));
            for (var rank = 0; rank < Size; rank++)
            {
                received.AsSpan(rank * length, length).CopyTo(all[(rank * mine.Length + at)..]);
            }
        }
    }

    public override void Broadcast(Span<byte> values)
    {
        for (var at = 0; at < values.Length; at += MostBytes)
        {
            library.Broadcast(values.Slice(at, Math.Min(MostBytes, values.Length - at)));
        }
    }

    public override void Abort(int code) => library.Abort(code);

    public override void Dispose()
    {
        if (!isDisposed)
        {
            isDisposed = true;
            library.Finish();
        }
    }
}
