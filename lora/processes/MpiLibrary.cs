using System.Runtime.InteropServices;
using System.Text;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Processes;

/// <summary>
/// An MPI library of the machine, loaded when it is needed, and the functions that are used of it:
/// no reductions, whose order of sums MPI leaves open (MPI 4.1, 6.9.1), no status and no callback,
/// so that two handles are all that differs between libraries.
/// </summary>
internal sealed class MpiLibrary
{
    /// <summary>
    /// The variable that names a library file where the loader does not find the right one.
    /// </summary>
    public const string PathVariable = "LORASCRATCH_MPI";

    private const int VersionLength = 8192;                     // MPI_MAX_LIBRARY_VERSION_STRING of all libraries

    private readonly nint library, world, bytes;
    private readonly AllGatherFunction allGather;
    private readonly AllToAllFunction allToAll;
    private readonly BroadcastFunction broadcast;

    private MpiLibrary(nint library, string path, MpiAbi abi)
    {
        (this.library, Path, Abi) = (library, path, abi);
        (world, bytes) = (abi.World(library), abi.Byte(library));
        (allGather, allToAll, broadcast) = (Function<AllGatherFunction>("MPI_Allgather"),
            Function<AllToAllFunction>("MPI_Alltoall"), Function<BroadcastFunction>("MPI_Bcast"));
        Version = ReadVersion();
    }

    private delegate int InitializeFunction(nint count, nint arguments, int wanted, out int provided);

    private delegate int NumberFunction(nint communicator, out int number);

    private delegate int AbortFunction(nint communicator, int code);

    private delegate int FinalizeFunction();

    private delegate int VersionFunction(ref byte text, out int length);

    private delegate int AllGatherFunction(ref readonly byte mine, int count, nint type, ref byte all, int countOfEach,
        nint typeOfAll, nint communicator);

    private delegate int AllToAllFunction(ref readonly byte sent, int count, nint type, ref byte received,
        int countOfEach, nint typeOfReceived, nint communicator);

    private delegate int BroadcastFunction(ref byte values, int count, nint type, int root, nint communicator);

    /// <summary>The file, as the loader was asked for it.</summary>
    public string Path { get; }

    /// <summary>How it writes its handles.</summary>
    public MpiAbi Abi { get; }

    /// <summary>What the library calls itself, in a few words: "Open MPI v4.1.4".</summary>
    public string Version { get; }

    /// <summary>The first library that is there.</summary>
    /// <param name="abis">Those that would do, the best first.</param>
    /// <param name="chosen">A file to take instead; null: none.</param>
    /// <returns>Null where there is none.</returns>
    /// <exception cref="InputException">The chosen file is no MPI library.</exception>
    public static MpiLibrary? Find(IReadOnlyList<MpiAbi> abis, string? chosen = null)
    {
        if (!string.IsNullOrEmpty(chosen))
        {
            return NativeLibrary.TryLoad(chosen, out var own) && NativeLibrary.TryGetExport(own, "MPI_Allgather", out _)
                ? new MpiLibrary(own, chosen, MpiAbi.Of(own, chosen))
                : throw new InputException($"{PathVariable} is '{chosen}', and no MPI library can be loaded from "
                    + "there. Name the library's file, such as /usr/lib/libmpi.so.40, or unset it.");
        }
        foreach (var abi in abis)
        {
            foreach (var name in abi.Libraries)
            {
                if (NativeLibrary.TryLoad(name, out var loaded)
                    && (abi != MpiAbi.OpenMpi || NativeLibrary.TryGetExport(loaded, "ompi_mpi_byte", out _)))
                {
                    return new MpiLibrary(loaded, name, abi);
                }
            }
        }
        return null;
    }

    /// <summary>Begins: no other function may be called before.</summary>
    /// <returns>Rank and number of the processes.</returns>
    /// <exception cref="InputException">The library refuses.</exception>
    public (int Rank, int Size) Initialize()
    {
        Require(Function<InitializeFunction>("MPI_Init_thread")(0, 0, Abi.Serialized, out var provided),
            "MPI_Init_thread");
        if (provided < Abi.Serialized)
        {
            throw new InputException($"{Version} ({Path}) was built for programs of one thread; one is needed that "
                + "lets any thread call it (MPI_THREAD_SERIALIZED). Install one that was built with threads.");
        }
        Require(Function<NumberFunction>("MPI_Comm_rank")(world, out var rank), "MPI_Comm_rank");
        Require(Function<NumberFunction>("MPI_Comm_size")(world, out var size), "MPI_Comm_size");
        return (rank, size);
    }

    /// <summary>MPI_Allgather of bytes.</summary>
    public void AllGather(ReadOnlySpan<byte> mine, Span<byte> all) => Require(allGather(
        in MemoryMarshal.GetReference(mine), mine.Length, bytes, ref MemoryMarshal.GetReference(all), mine.Length,
        bytes, world), "MPI_Allgather");

    /// <summary>MPI_Alltoall of bytes.</summary>
    /// <param name="sent">[processes · part]</param>
    /// <param name="received">[processes · part]</param>
    /// <param name="part">Bytes for each.</param>
    public void AllToAll(ReadOnlySpan<byte> sent, Span<byte> received, int part) => Require(allToAll(
        in MemoryMarshal.GetReference(sent), part, bytes, ref MemoryMarshal.GetReference(received), part, bytes,
        world), "MPI_Alltoall");

    /// <summary>MPI_Bcast of bytes, from the first process.</summary>
    public void Broadcast(Span<byte> values) => Require(broadcast(ref MemoryMarshal.GetReference(values),
        values.Length, bytes, 0, world), "MPI_Bcast");

    /// <summary>Ends all processes.</summary>
    public void Abort(int code) => Function<AbortFunction>("MPI_Abort")(world, code);

    /// <summary>Ends the use of the library; every process must come here.</summary>
    public void Finish() => Function<FinalizeFunction>("MPI_Finalize")();

    private T Function<T>(string name) where T : Delegate =>
        Marshal.GetDelegateForFunctionPointer<T>(NativeLibrary.GetExport(library, name));

    /// <summary>
    /// "Open MPI v4.1.4, package: …" and MPICH's page of settings become a few words.
    /// </summary>
    private string ReadVersion()
    {
        if (!NativeLibrary.TryGetExport(library, "MPI_Get_library_version", out _))
        {
            return Abi.Name;
        }
        var text = new byte[VersionLength];
        Function<VersionFunction>("MPI_Get_library_version")(ref text[0], out var length);
        var line = Encoding.UTF8.GetString(text, 0, Math.Clamp(length, 0, text.Length)).Split('\n', ',', '\0')[0];
        return string.Join(' ', line.Replace("Version:", "", StringComparison.Ordinal)
            .Split((char[])[' ', '\t'], StringSplitOptions.RemoveEmptyEntries));
    }

    private void Require(int error, string function)
    {
        if (error != 0)
        {
            throw new InputException($"{function} of {Version} failed with error {error}: another process may have "
                + "ended, or the network between the machines is down.");
        }
    }
}
