using LoraScratch.Engine;

namespace LoraScratch.Lora.Processes;

/// <summary>
/// The processes that mpirun or srun started, connected by the machine's MPI library.
/// </summary>
internal sealed class MpiProcesses : ProcessGroup
{
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

    public override void AllToAll(ReadOnlySpan<byte> send, Span<byte> received) =>
        library.AllToAll(send, received, send.Length / Size);

    public override void AllGather(ReadOnlySpan<byte> mine, Span<byte> all) => library.AllGather(mine, all);

    public override void Broadcast(Span<byte> values) => library.Broadcast(values);

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
