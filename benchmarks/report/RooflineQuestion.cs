using LoraScratch.Engine;
using LoraScratch.Kernels;

namespace LoraScratch.Benchmarks.Report;

/// <summary>Every kind of kernel beside what limits it: operations or bytes.</summary>
internal static class RooflineQuestion
{
    private const int Rounds = 9;
    private const double WindowSeconds = 0.01;

    private sealed record Kernel(string Name, double Flops, double Bytes, Action Run);

    public static Question Ask(Machine machine, IBackend backend)
    {
        using var scope = new TensorScope();
        using var frozen = new NoGradient();
        var kernels = Kernels(backend).ToList();
        var times = InTurn.Measure(backend, Rounds, WindowSeconds,
            [.. kernels.Select(kernel => new Way(kernel.Name, kernel.Run))]);
        var rows = kernels.Select((kernel, i) =>
        {
            var (limit, isMemory) = machine.Limit(kernel.Flops, kernel.Bytes);
            return (Share: limit / times.Seconds(i), Cells: (IReadOnlyList<string>)
            [
                kernel.Name, Figures.Time(times.Seconds(i)), Figures.Number(kernel.Flops / kernel.Bytes, 1),
                isMemory ? "bytes" : "operations", Figures.Time(limit), Figures.Percent(limit / times.Seconds(i)),
            ]);
        }).ToList();
        return new Question("What limits each kernel?",
            $"Of {rows.Count} kernels {rows.Count(row => row.Share >= 0.5)} reach half of their limit or more.",
            [new ReportTable($"Kernels of a LoRA step, medians of {Rounds} rounds in turn",
                [
                    ("kernel", "with its size"),
                    ("time", "measured"),
                    ("operations/byte", "every input and output counted once"),
                    ("limited by", "what takes longer at the machine's best: the operations, or the bytes"),
                    ("limit", "that time, bytes at the speed of memory of that size"),
                    ("share", "of the limit"),
                ],
                [.. rows.Select(row => row.Cells)])],
            []);
    }

    private static IEnumerable<Kernel> Kernels(IBackend backend)
    {
        const int rows = 1024, width = 768, inner = 3072, heads = 12, rank = 8;
        var random = new RandomStream(1);
        Tensor Random(int height, int columns) =>
            Tensor.From(random.Uniform(height * columns, 1), new Shape(height, columns), backend);
        Kernel Product(string name, Matrix y, Matrix a, Matrix b) => new(
            $"{name}, {a.Rows} × {a.Columns} × {b.Columns}", 2.0 * a.Rows * a.Columns * b.Columns,
            4.0 * ((double)a.Rows * a.Columns + (double)b.Rows * b.Columns + (double)y.Rows * y.Columns),
            () => backend.Product(y, a, b));

        var (x, w, y) = (Random(rows, width), Random(width, width), Random(rows, width));
        var (a, b, z) = (Random(width, rank), Random(rank, width), Random(rows, rank));
        yield return Product("x·Wᵀ", y.Matrix, x.Matrix, w.Matrix.T);
        var (wide, up) = (Random(rows, inner), Random(inner, width));
        yield return Product("x·Wᵀ up", wide.Matrix, x.Matrix, up.Matrix.T);
        foreach (var few in new[] { 32, 1 })
        {
            yield return Product("x·Wᵀ", Random(few, width).Matrix, Random(few, width).Matrix, w.Matrix.T);
        }
        yield return Product("x·A", z.Matrix, x.Matrix, a.Matrix);
        yield return Product("z·B", y.Matrix, z.Matrix, b.Matrix);
        yield return Product("dA = xᵀ·u", Random(width, rank).Matrix, x.Matrix.T, z.Matrix);
        yield return Product("dB = zᵀ·dY", Random(rank, width).Matrix, z.Matrix.T, y.Matrix);
        const int texts = 8, length = rows / texts;
        var offsets = new SequenceOffsets([.. Enumerable.Range(0, texts + 1).Select(i => i * length)], backend);
        var (q, k, v) = (Random(rows, width), Random(rows, width), Random(rows, width));
        yield return new Kernel($"attention, {texts} × {heads} × {length} × {width / heads}",
            4.0 * rows * length * width, 16.0 * rows * width,
            () => Scoped(() => Ops.Attention(q, k, v, offsets, heads)));
        yield return new Kernel($"GELU, {rows} × {inner}", 0, 8.0 * rows * inner, () => Scoped(() => wide.Gelu()));
        yield return new Kernel($"X + Y, {rows} × {width}", rows * width, 12.0 * rows * width,
            () => Scoped(() => x.Add(y)));
        var (gamma, beta) = (Tensor.From(random.Uniform(width, 1), new Shape(width), backend),
            Tensor.From(random.Uniform(width, 1), new Shape(width), backend));
        yield return new Kernel($"LayerNorm, {rows} × {width}", 0, 8.0 * rows * width,
            () => Scoped(() => x.LayerNorm(gamma, beta)));
    }

    /// <summary>What an op returns is given back at once.</summary>
    private static void Scoped(Func<Tensor> op)
    {
        using var scope = new TensorScope();
        op();
    }
}
