using System.Runtime.InteropServices;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// Large pieces of memory from the system, on pages of 2 MiB where it has them: a product walks
/// down the rows of large matrices, and with pages of 4 KiB would find nearly each on another page.
/// </summary>
internal static unsafe partial class NativePages
{
    private const nuint PageSize = 2 << 20;
    private const int AdviseHugePages = 14;   // MADV_HUGEPAGE of Linux

    /// <summary>Takes memory that starts on a page boundary.</summary>
    /// <exception cref="OutOfMemoryException">The system has none left.</exception>
    public static void* Allocate(long bytes)
    {
        var memory = NativeMemory.AlignedAlloc((nuint)bytes, PageSize);
        if (OperatingSystem.IsLinux())
        {
            // Advice: a system that does not take it goes on with small pages.
            _ = Advise(memory, (nuint)bytes / PageSize * PageSize, AdviseHugePages);
        }
        return memory;
    }

    /// <summary>Gives memory back.</summary>
    public static void Free(void* memory) => NativeMemory.AlignedFree(memory);

    [LibraryImport("libc", EntryPoint = "madvise")]
    private static partial int Advise(void* memory, nuint bytes, int advice);
}
