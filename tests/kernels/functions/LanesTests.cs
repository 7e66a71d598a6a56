using System.Runtime.Intrinsics.X86;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Tests.Kernels;

/// <summary>The end of a row, which need not be a whole register long.</summary>
public class LanesTests
{
    private const float Untouched = -1, Rest = 7;

    [Test]
    public void A_part_of_a_register_is_read_and_written_and_nothing_beside_it()
    {
        Check<Lanes>();
        if (Avx512F.IsSupported)
        {
            Check<Lanes512>();
        }
    }

    private static void Check<T>() where T : struct, ILanes<T>
    {
        var row = Enumerable.Range(0, 3 * T.Width).Select(i => (float)i).ToArray();
        for (var left = 0; left <= 2 * T.Width; left++)
        {
            var count = Math.Min(left, T.Width);
            float[] read = new float[T.Width], written = [.. row.Select(_ => Untouched)];
            unsafe
            {
                fixed (float* from = row, whole = read, part = written)
                {
                    T.Store(ref *whole, T.Load(ref from[3], left, Rest));
                    T.Store(ref part[1], left, T.Load(ref from[3]));
                }
            }
            Assert.That(read, Is.EqualTo(row[3..(3 + count)].Concat(Enumerable.Repeat(Rest, T.Width - count))),
                $"{typeof(T).Name}: {left} left");
            Assert.That(written, Is.EqualTo(written.Select((_, i) => i > 0 && i <= count ? row[i + 2] : Untouched)),
                $"{typeof(T).Name}: {left} left");
        }
    }
}
