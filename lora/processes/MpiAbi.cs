using System.Runtime.InteropServices;

namespace LoraScratch.Lora.Processes;

/// <summary>
/// How a family of MPI libraries writes its handles. The functions have the same names and the same
/// order of arguments in all of them; a handle is a pointer to an exported object in Open MPI, a
/// number of 32 bits in MPICH and its relatives, and a small pointer in the standard ABI of MPI 5.0
/// (MPI Forum 2025, chapter 20). Passed as a machine word each of them reaches its library whole.
/// </summary>
/// <param name="Name">For a person, where the library does not say it.</param>
/// <param name="Libraries">File names under which the loader finds it, the best first.</param>
/// <param name="World">MPI_COMM_WORLD in a loaded library.</param>
/// <param name="Byte">MPI_BYTE in it.</param>
/// <param name="Serialized">MPI_THREAD_SERIALIZED.</param>
internal sealed record MpiAbi(string Name, IReadOnlyList<string> Libraries, Func<nint, nint> World,
    Func<nint, nint> Byte, int Serialized)
{
    /// <summary>The standard ABI: MPICH 5, Open MPI 6.</summary>
    public static MpiAbi Standard { get; } =
        new("MPI 5 ABI", ["libmpi_abi.so.0", "libmpi_abi.so"], _ => 0x101, _ => 0x247, 2048);

    /// <summary>Open MPI 3 to 5.</summary>
    public static MpiAbi OpenMpi { get; } = new("Open MPI", ["libmpi.so.40"],
        library => NativeLibrary.GetExport(library, "ompi_mpi_comm_world"),
        library => NativeLibrary.GetExport(library, "ompi_mpi_byte"), 2);

    /// <summary>MPICH 3 and 4, and what has its ABI, such as Intel MPI.</summary>
    public static MpiAbi Mpich { get; } = new("MPICH", ["libmpich.so.12", "libmpi.so.12", "libmpi.so.0"],
        _ => 0x44000000, _ => 0x4c00010d, 2);

    /// <summary>The ABI of a library that was loaded by a name of its own.</summary>
    /// <param name="library">Handle of the loaded library.</param>
    /// <param name="path">What it was loaded by.</param>
    public static MpiAbi Of(nint library, string path) =>
        Path.GetFileName(path).StartsWith("libmpi_abi.", StringComparison.Ordinal) ? Standard
        : NativeLibrary.TryGetExport(library, "ompi_mpi_comm_world", out _) ? OpenMpi : Mpich;
}
