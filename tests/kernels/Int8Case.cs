using System.Runtime.Intrinsics.X86;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// A code path of integer products: the instruction set, and whether it may use AVX-VNNI.
/// </summary>
internal sealed record Int8Path(InstructionSet Set, bool Vnni)
{
    public CpuBackend Open(int threads) => new(threads, Set) { UsesVnni = Vnni };

    public override string ToString() => $"{Set}{(Vnni ? " with VNNI" : "")}";
}

/// <summary>
/// An integer product of given codes and its reference: a triple loop over 64-bit integers, and the
/// float steps one by one.
/// </summary>
internal sealed class Int8Case
{
    private readonly int rows, outputs, inputs;
    private readonly byte[] x;
    private readonly sbyte[] w;
    private readonly float[] scales, bias, values;

    private Int8Case(int rows, int outputs, int inputs, Func<int, int, int> codeOfX, Func<int, int, int> codeOfW)
    {
        (this.rows, this.outputs, this.inputs) = (rows, outputs, inputs);
        var random = new Random(HashCode.Combine(rows, outputs, inputs));
        x = [.. from i in Enumerable.Range(0, rows) from k in Enumerable.Range(0, inputs) select (byte)codeOfX(i, k)];
        w = [.. from j in Enumerable.Range(0, outputs) from k in Enumerable.Range(0, inputs)
            select (sbyte)codeOfW(j, k)];
        scales = [.. Enumerable.Range(0, outputs).Select(_ => 0.01f + random.NextSingle())];
        bias = [.. Enumerable.Range(0, outputs).Select(_ => random.NextSingle() - 0.5f)];
        values = [.. Enumerable.Range(0, rows * inputs).Select(_ => 3 * random.NextSingle() - 1)];
    }

    /// <summary>Every code path of integer products here.</summary>
    public static IEnumerable<Int8Path> Paths => InstructionSets.Supported.SelectMany(set =>
        set >= InstructionSet.Avx2 && AvxVnni.IsSupported
        ? new[] { new Int8Path(set, false), new Int8Path(set, true) } : [new Int8Path(set, false)]);

    public static Int8Case Random(int rows, int outputs, int inputs)
    {
        var random = new Random(1);
        return new Int8Case(rows, outputs, inputs, (_, _) => random.Next(256), (_, _) => random.Next(-127, 128));
    }

    public static Int8Case Of(int rows, int outputs, int inputs, Func<int, int, int> codeOfX,
        Func<int, int, int> codeOfW) => new(rows, outputs, inputs, codeOfX, codeOfW);

    private int[] Sums => [.. Enumerable.Range(0, outputs)
        .Select(j => w.Skip(j * inputs).Take(inputs).Sum(code => (int)code))];

    private int Stride => (inputs + 3) / 4 * 4;

    public Int8Matrix Weight(IBackend backend)
    {
        var panels = new sbyte[Int8Matrix.CodesLength(outputs, inputs)];
        Int8Matrix.Pack(panels, w, inputs);
        return new Int8Matrix(On(backend, panels), On(backend, scales), On(backend, Sums), outputs, inputs);
    }

    public void AssertSumsAreExact(IBackend backend)
    {
        var padded = new byte[rows * Stride];
        Array.Fill(padded, (byte)0xA5);                 // what fills up a row is undefined
        for (var i = 0; i < rows; i++)
        {
            Array.Copy(x, i * inputs, padded, i * Stride, inputs);
        }
        using var codes = On(backend, padded);
        using var sums = On(backend, Enumerable.Repeat(-1, rows * outputs).ToArray());
        backend.Product(sums, codes, Weight(backend));
        var actual = Read(backend, sums);
        for (var i = 0; i < rows; i++)
        {
            for (var j = 0; j < outputs; j++)
            {
                var expected = 0L;
                for (var k = 0; k < inputs; k++)
                {
                    expected += (long)x[i * inputs + k] * w[j * inputs + k];
                }
                if (actual[i * outputs + j] != expected)
                {
                    Assert.Fail($"[{rows}, {inputs}]·[{outputs}, {inputs}]ᵀ: the sum at [{i}, {j}] is "
                        + $"{actual[i * outputs + j]}, expected {expected}");
                }
            }
        }
    }

    /// <summary>Floats to codes, sums and floats.</summary>
    public float[] Forward(IBackend backend)
    {
        using var numbers = On(backend, values);
        using var codes = backend.Allocate<byte>(rows * Stride);
        using var grids = backend.Allocate<RowGrid>(rows);
        using var sums = backend.Allocate<int>(rows * outputs);
        using var y = backend.Allocate<float>(rows * outputs);
        using var added = On(backend, bias);
        var weight = Weight(backend);
        backend.QuantizeRows(codes, grids, numbers);
        backend.Product(sums, codes, weight);
        backend.Dequantize(y, sums, grids, weight, added);
        return Read(backend, y);
    }

    public void AssertDequantizes(IBackend backend)
    {
        var random = new Random(2);
        var grids = Enumerable.Range(0, rows).Select(_ => new RowGrid(0.001f + random.NextSingle(), random.Next(256)))
            .ToArray();
        var sums = Enumerable.Range(0, rows * outputs).Select(_ => random.Next(-(1 << 30), 1 << 30)).ToArray();
        using var gridsThere = On(backend, grids);
        using var sumsThere = On(backend, sums);
        using var added = On(backend, bias);
        using var y = backend.Allocate<float>(sums.Length);
        var (weight, sumsOfW) = (Weight(backend), Sums);
        foreach (var withBias in new[] { false, true })
        {
            backend.Dequantize(y, sumsThere, gridsThere, weight, withBias ? added : null);
            var expected = new float[sums.Length];
            for (var i = 0; i < sums.Length; i++)
            {
                var (grid, j) = (grids[i / outputs], i % outputs);
                float whole = sums[i] - grid.Zero * sumsOfW[j], scale = grid.Scale * scales[j];
                var product = scale * whole;
                expected[i] = withBias ? product + bias[j] : product;
            }
            Assert.That(Read(backend, y), Is.EqualTo(expected), $"{rows} rows, {outputs} outputs, bias {withBias}");
        }
    }

    internal static DeviceBuffer<T> On<T>(IBackend backend, T[] values) where T : unmanaged
    {
        var buffer = backend.Allocate<T>(values.Length);
        backend.Upload<T>(buffer, values);
        return buffer;
    }

    internal static T[] Read<T>(IBackend backend, DeviceBuffer<T> buffer) where T : unmanaged
    {
        var values = new T[buffer.Length];
        backend.Download(values, buffer);
        return values;
    }
}
