using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// Products with packed weights against a triple loop in double, on every code path that this
/// machine has.
/// </summary>
internal class QuantizedProductTests
{
    private static readonly int[] Bits = [2, 3, 4, 8];

    // Rows about 2 and 4 (decoded in registers together) and 16 (the most that are), outputs about 2, 4, 32 and the
    // tiles, inputs that cut the slabs of the inner dimension (1024) within a group.
    private static readonly (int Rows, int Outputs, int Inputs, int GroupSize)[] Sizes =
    [
        (1, 1, 16, 16), (1, 5, 48, 16), (2, 3, 64, 32), (3, 33, 32, 32), (4, 2, 96, 48), (5, 31, 128, 128),
            (8, 65, 256, 64), (15, 33, 80, 16), (16, 40, 64, 64),
        (17, 1, 16, 16), (17, 13, 112, 16), (19, 50, 400, 16), (40, 66, 416, 32), (30, 70, 1152, 128), (24, 32, 64, 32),
            (17, 800, 48, 16),
        (1, 70, 128, 64), (2, 38, 96, 48),
    ];

    private static IEnumerable<TestCaseData> Cases() =>
        from set in InstructionSets.Supported
        from bits in Bits
        from size in Sizes
        select new TestCaseData(set, bits, size.Rows, size.Outputs, size.Inputs, size.GroupSize)
            .SetName($"Product of {size.Rows} rows with INT{bits} [{size.Outputs}, {size.Inputs}], groups of "
                + $"{size.GroupSize}, on {set}");

    [TestCaseSource(nameof(Cases))]
    public void Product_with_a_packed_weight_equals_the_reference(InstructionSet set, int bits, int rows, int outputs,
        int inputs, int groupSize)
    {
        using var backend = new CpuBackend(threads: 2, set);
        var weight = new RandomWeight(outputs, inputs, bits, groupSize);
        foreach (var (forward, accumulate, gap) in new[] { (true, false, 0), (true, true, 5), (false, false, 3),
            (false, true, 0) })
        {
            new QuantizedProductCase(backend, rows, weight, forward, gap).AssertEqualsReference(accumulate);
        }
    }

    [Test]
    public void Each_thread_decodes_its_own_panels_of_a_large_weight(
        [ValueSource(typeof(InstructionSets), nameof(InstructionSets.Supported))] InstructionSet set,
        [Values] bool forward)
    {
        using var backend = new CpuBackend(threads: 2, set);
        // the cut of the inputs, 576, lies between groups
        new QuantizedProductCase(backend, 200, new RandomWeight(400, 1152, 4, 64), forward)
            .AssertEqualsReference(accumulate: false);
    }

    [Test]
    public void A_weight_wider_than_the_packing_buffer_is_cut(
        [ValueSource(typeof(InstructionSets), nameof(InstructionSets.Supported))] InstructionSet set)
    {
        using var backend = new CpuBackend(threads: 2, set);
        new QuantizedProductCase(backend, 17, new RandomWeight(9, 41 * 1024, 4, 32),
            forward: false).AssertEqualsReference(accumulate: true);
    }

    [Test]
    public void Any_number_of_threads_gives_the_same_bits(
        [ValueSource(typeof(InstructionSets), nameof(InstructionSets.Supported))] InstructionSet set,
        [ValueSource(nameof(Bits))] int bits, [Values] bool forward)
    {
        var weight = new RandomWeight(400, 448, bits, 64);
        foreach (var rows in new[] { 1, 7, 130, 200 })
        {
            float[]? first = null;
            foreach (var threads in new[] { 1, 2, 3 })
            {
                using var backend = new CpuBackend(threads, set);
                var y = new QuantizedProductCase(backend, rows, weight, forward).Run(accumulate: true);
                first ??= y;
                Assert.That(y.AsSpan().SequenceEqual(first), $"{rows} rows on {threads} threads");
            }
        }
    }

    /// <summary>
    /// A row of X with a single one picks a column of Ŵ, without any rounding: every path decodes
    /// to the floats of <see cref="GroupGrid.Value"/>.
    /// </summary>
    [Test]
    public void Every_path_decodes_the_same_floats(
        [ValueSource(typeof(InstructionSets), nameof(InstructionSets.Supported))] InstructionSet set,
            [ValueSource(nameof(Bits))] int bits)
    {
        using var backend = new CpuBackend(threads: 1, set);
        const int Outputs = 37, Inputs = 96, GroupSize = 48;
        var weight = new RandomWeight(Outputs, Inputs, bits, GroupSize);
        var matrix = weight.On(backend);
        var expected = weight.Codes.Select((code, i) => weight.Grids[i / GroupSize].Value(code)).ToArray();
        Assert.That(Picked(matrix.T, Inputs, Inputs), Is.EqualTo(Transposed(expected, Outputs, Inputs)),
            "X·Ŵᵀ, many rows");
        Assert.That(Picked(matrix.T, 16, Inputs), Is.EqualTo(Transposed(expected, Outputs, Inputs).Take(16 * Outputs)),
            "X·Ŵᵀ, few rows");
        Assert.That(Picked(matrix.T, 2, Inputs), Is.EqualTo(Transposed(expected, Outputs, Inputs).Take(2 * Outputs)),
            "X·Ŵᵀ, two rows");
        Assert.That(Picked(matrix, Outputs, Outputs), Is.EqualTo(expected), "dY·Ŵ, many rows");
        Assert.That(Picked(matrix, 3, Outputs), Is.EqualTo(expected.Take(3 * Inputs)), "dY·Ŵ, few rows");

        float[] Picked(QuantizedMatrix b, int rows, int depth)
        {
            var ones = new float[rows * depth];
            for (var i = 0; i < rows; i++)
            {
                ones[i * depth + i] = 1;
            }
            using var a = backend.Allocate<float>(ones.Length);
            using var y = backend.Allocate<float>(rows * b.Columns);
            backend.Upload<float>(a, ones);
            backend.Product(new Matrix(y, rows, b.Columns), new Matrix(a, rows, depth), b);
            var values = new float[y.Length];
            backend.Download(values, y);
            return values;
        }
    }

    [Test]
    public void No_rows_are_no_work()
    {
        using var backend = new CpuBackend(threads: 2);
        new QuantizedProductCase(backend, 0, new RandomWeight(5, 32, 4, 16), forward: true,
            gap: 2).AssertEqualsReference(accumulate: false);
    }

    [Test]
    public void A_product_in_steady_state_allocates_nothing()
    {
        using var backend = new CpuBackend(threads: 2);
        var weight = new RandomWeight(64, 128, 4, 32).On(backend);
        using var x = backend.Allocate<float>(40 * 128);
        using var y = backend.Allocate<float>(40 * 128);
        backend.Fill(x, 1);
        void RunAll()
        {
            backend.Product(new Matrix(y, 40, 64), new Matrix(x, 40, 128), weight.T);
            backend.Product(new Matrix(y, 1, 64), new Matrix(x, 1, 128), weight.T);
            backend.AddProduct(new Matrix(y, 40, 128), new Matrix(x, 40, 64), weight);
        }
        Assert.That(Allocations.Least(RunAll, times: 40), Is.LessThan(40 * 24), "less than the smallest object a run");
    }

    /// <summary>The layout of the documentation, read with shifts of whole blocks.</summary>
    [Test]
    public void Codes_lie_where_the_page_says([ValueSource(nameof(Bits))] int bits)
    {
        var random = new Random(bits);
        var codes = new byte[5 * PackedCodes.BlockSize];
        for (var i = 0; i < codes.Length; i++)
        {
            codes[i] = (byte)random.Next(1 << bits);
        }
        var packed = new byte[PackedCodes.Bytes(codes.Length, bits)];
        Array.Fill(packed, (byte)0xFF);
        PackedCodes.Pack(packed, codes, bits);
        Assert.That(packed, Has.Length.EqualTo(codes.Length * bits / 8));
        for (var i = 0; i < codes.Length; i++)
        {
            var block = new byte[16];
            packed.AsSpan(i / 16 * 2 * bits, 2 * bits).CopyTo(block);
            var (low, high, n) = (BitConverter.ToUInt32(block, 0), BitConverter.ToUInt32(block, 4), i % 16);
            var code = bits switch
            {
                2 => low >> 2 * n & 3,
                3 => (low >> 2 * n & 3) + 4 * (high >> n & 1),
                4 => (n % 2 == 0 ? low : high) >> 4 * (n / 2) & 15,
                _ => block[n],
            };
            Assert.That(code, Is.EqualTo(codes[i]), $"code {i}");
        }
        var unpacked = new byte[codes.Length];
        PackedCodes.Unpack(unpacked, packed, bits);
        Assert.That(unpacked, Is.EqualTo(codes));
    }

    private static float[] Transposed(float[] x, int rows, int columns) =>
        [.. from j in Enumerable.Range(0, columns) from i in Enumerable.Range(0, rows) select x[i * columns + j]];
}
