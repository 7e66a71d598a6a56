using System.Runtime.InteropServices;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// Products of matrices behind whose last number the memory ends: a kernel that reads on there may
/// have right results, and ends the process.
/// </summary>
[Category(Categories.Fast)]
[Platform("Linux")]
internal sealed unsafe partial class GuardedProductTests
{
    private const int PageFloats = 1024, PageBytes = PageFloats * sizeof(float);
    private const int ReadAndWrite = 3, PrivateAndAnonymous = 0x22;

    [Test]
    public void A_product_stays_within_its_matrices(
        [ValueSource(typeof(InstructionSets), nameof(InstructionSets.Supported))] InstructionSet set,
        [Values] bool transposeA, [Values] bool transposeB)
    {
        using var scratch = new Scratch();
        // rows and columns over the edges of every tile: read in place, packed, transposed, skinny
        foreach (var (m, n, k) in new[] { (20, 70, 200), (13, 50, 1030), (205, 390, 130), (5, 301, 300), (61, 61, 19),
            (301, 5, 130), (1, 77, 133) })
        {
            float* a = Before(m * k), b = Before(k * n), y = Before(m * n);
            CpuKernels.SingleThreadProduct(set, y, n, a, transposeA ? m : k, transposeA, b, transposeB ? k : n,
                transposeB, m, n, k, 1, false, scratch);
            var (first, last) = (0.0, 0.0);
            for (var i = 0; i < k; i++)
            {
                first += (double)a[transposeA ? i * m : i] * b[transposeB ? i : i * n];
                last += (double)a[transposeA ? (i * m) + m - 1 : ((m - 1) * k) + i]
                    * b[transposeB ? ((n - 1) * k) + i : (i * n) + n - 1];
            }
            Assert.That(y[0], Is.EqualTo(first).Within(1e-4), $"{m} × {n} × {k}");
            Assert.That(y[(m * n) - 1], Is.EqualTo(last).Within(1e-4), $"{m} × {n} × {k}");
            Free(a, m * k);
            Free(b, k * n);
            Free(y, m * n);
        }
    }

    /// <summary>So many numbers, the last of them before a page that may not be touched.</summary>
    private static float* Before(int count)
    {
        var pages = Pages(count);
        var start = Map(null, (nuint)(pages + 1) * PageBytes, ReadAndWrite, PrivateAndAnonymous, -1, 0);
        Assert.That((nint)start, Is.Not.EqualTo((nint)(-1)));
        Assert.That(Protect((byte*)start + (pages * PageBytes), PageBytes, 0), Is.Zero);
        var numbers = (float*)start + (pages * PageFloats) - count;
        for (var i = 0; i < count; i++)
        {
            numbers[i] = (i % 13 - 6) / 8f;
        }
        return numbers;
    }

    private static void Free(float* numbers, int count)
    {
        var pages = Pages(count);
        Assert.That(Unmap(numbers + count - (pages * PageFloats), (nuint)(pages + 1) * PageBytes), Is.Zero);
    }

    private static int Pages(int count) => (count + PageFloats - 1) / PageFloats;

    [LibraryImport("libc", EntryPoint = "mmap")]
    private static partial void* Map(void* address, nuint bytes, int protection, int flags, int file, nint offset);

    [LibraryImport("libc", EntryPoint = "mprotect")]
    private static partial int Protect(void* address, nuint bytes, int protection);

    [LibraryImport("libc", EntryPoint = "munmap")]
    private static partial int Unmap(void* address, nuint bytes);
}
