using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Kernels;

/// <summary>Blocks of 16, of 4 and single numbers, and nothing beside them.</summary>
[Category(Categories.Fast)]
internal unsafe class TranspositionTests
{
    [Test]
    public void Every_shape_is_transposed_and_nothing_else_written()
    {
        const int Most = 50, Untouched = -1;
        var source = Enumerable.Range(0, Most * Most).Select(i => (float)i).ToArray();
        var target = new float[Most * Most];
        for (var rows = 1; rows <= Most - 2; rows++)
        {
            foreach (var columns in new[] { 1, 3, 4, 7, 15, 16, 17, 20, 31, 32, 33, 48 })
            {
                Array.Fill(target, Untouched);
                fixed (float* from = source, to = target)
                {
                    Transposition.Run(to, Most, from, Most, rows, columns);
                }
                for (var i = 0; i < target.Length; i++)
                {
                    var (column, row) = (i / Most, i % Most);
                    var expected = row < rows && column < columns ? source[(row * Most) + column] : Untouched;
                    if (target[i] != expected)
                    {
                        Assert.Fail($"[{rows}, {columns}]: column {column}, row {row} is {target[i]}, not {expected}");
                    }
                }
            }
        }
    }
}
