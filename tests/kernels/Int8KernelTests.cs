using System.Runtime.Intrinsics.X86;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// The kernels of dynamic quantisation on every code path that this machine has: sums to the bit,
/// codes and floats against the rule on their page.
/// </summary>
internal class Int8KernelTests
{
    // Rows about 1, 2, 3 (from where they go together), 6 (a tile) and 48 (a block), outputs about 16 (a panel), inputs
    // about fours, fours of fours and the registers.
    private static readonly (int Rows, int Outputs, int Inputs)[] Sizes =
    [
        (1, 1, 1), (1, 16, 4), (1, 17, 5), (2, 15, 3), (3, 31, 16), (4, 33, 17), (5, 48, 63), (6, 16, 64), (7, 50, 65),
            (12, 7, 130), (13, 100, 257), (48, 20, 31), (49, 34, 768), (100, 65, 100), (1, 700, 3000), (2, 40, 4099),
    ];

    private static IEnumerable<TestCaseData> Paths() =>
        Int8Case.Paths.Select(path => new TestCaseData(path).SetArgDisplayNames(path.ToString()));

    [TestCaseSource(nameof(Paths))]
    public void Sums_are_exact(Int8Path path)
    {
        using var backend = path.Open(threads: 2);
        foreach (var (rows, outputs, inputs) in Sizes)
        {
            Int8Case.Random(rows, outputs, inputs).AssertSumsAreExact(backend);
        }
    }

    /// <summary>
    /// 255·127 a product: pairs of them have no room in 16 bits, and 66 thousand of them just have
    /// in 32.
    /// </summary>
    [TestCaseSource(nameof(Paths))]
    public void The_largest_codes_do_not_saturate(Int8Path path)
    {
        using var backend = path.Open(threads: 2);
        Int8Case.Of(1, 2, Int8Matrix.MaxInputs, (_, _) => 255, (j, _) => j == 0 ? 127 : -127)
            .AssertSumsAreExact(backend);
        foreach (var inputs in new[] { 2, 37, 5001 })
        {
            foreach (var rows in new[] { 1, 6 })
            {
                Int8Case.Of(rows, 17, inputs, (_, _) => 255, (_, _) => 127).AssertSumsAreExact(backend);
                Int8Case.Of(rows, 17, inputs, (_, _) => 255, (_, _) => -127).AssertSumsAreExact(backend);
                Int8Case.Of(rows, 17, inputs, (i, k) => (i + k) % 3 == 0 ? 255 : 0,
                    (j, k) => (j + k) % 2 == 0 ? 127 : -127).AssertSumsAreExact(backend);
            }
        }
    }

    [TestCaseSource(nameof(Paths))]
    public void Any_number_of_threads_gives_the_same_bits(Int8Path path)
    {
        foreach (var rows in new[] { 1, 130 })
        {
            var test = Int8Case.Random(rows, 333, 1030);
            float[]? first = null;
            foreach (var threads in new[] { 1, 2, 3 })
            {
                using var backend = path.Open(threads);
                var y = test.Forward(backend);
                first ??= y;
                Assert.That(y.AsSpan().SequenceEqual(first), $"{rows} rows on {threads} threads");
            }
        }
    }

    /// <summary>
    /// No step of the whole way, from floats to codes, sums and floats, differs between the paths,
    /// so the results do not either.
    /// </summary>
    [Test]
    public void Every_path_gives_the_same_bits()
    {
        var test = Int8Case.Random(23, 77, 301);
        using var portable = new CpuBackend(threads: 1, InstructionSet.Portable);
        var expected = test.Forward(portable);
        foreach (var path in Int8Case.Paths)
        {
            using var backend = path.Open(threads: 2);
            Assert.That(test.Forward(backend).AsSpan().SequenceEqual(expected), path.ToString());
        }
    }

    [TestCaseSource(nameof(Paths))]
    public void Codes_are_those_of_the_page(Int8Path path)
    {
        using var backend = path.Open(threads: 2);
        RowCodes.AssertFollowTheRule(backend, 1, 3, 4, 7, 16, 31, 32, 64, 100, 129);
    }

    [TestCaseSource(nameof(Paths))]
    public void Sums_become_floats_as_the_page_says(Int8Path path)
    {
        using var backend = path.Open(threads: 2);
        foreach (var (rows, outputs, inputs) in Sizes)
        {
            Int8Case.Random(rows, outputs, inputs).AssertDequantizes(backend);
        }
    }

    [Test]
    public void No_rows_are_no_work()
    {
        using var backend = new CpuBackend(threads: 2);
        Assert.That(Int8Case.Random(0, 5, 7).Forward(backend), Is.Empty);
    }

    [Test]
    public void A_product_in_steady_state_allocates_nothing()
    {
        using var backend = new CpuBackend(threads: 2);
        var weight = Int8Case.Random(1, 64, 130).Weight(backend);
        using var x = backend.Allocate<float>(40 * 130);
        using var codes = backend.Allocate<byte>(40 * weight.RowStride);
        using var grids = backend.Allocate<RowGrid>(40);
        using var sums = backend.Allocate<int>(40 * 64);
        using var y = backend.Allocate<float>(40 * 64);
        backend.Fill(x, 1);
        void RunAll()
        {
            backend.QuantizeRows(codes, grids, x);
            backend.Product(sums, codes, weight);
            backend.Dequantize(y, sums, grids, weight, null);
        }
        Assert.That(Allocations.Least(RunAll, times: 40), Is.LessThan(40 * 24), "less than the smallest object a run");
    }

    [Test]
    public void Codes_lie_where_the_page_says()
    {
        const int Outputs = 21, Inputs = 10;
        var codes = new sbyte[Outputs * Inputs];
        new Random(1).NextBytes(System.Runtime.InteropServices.MemoryMarshal.AsBytes(codes.AsSpan()));
        var panels = new sbyte[Int8Matrix.CodesLength(Outputs, Inputs)];
        Array.Fill(panels, (sbyte)99);
        Int8Matrix.Pack(panels, codes, Inputs);
        Assert.That(panels, Has.Length.EqualTo(2 * 3 * 16 * 4));
        var expected = new List<sbyte>();
        for (var panel = 0; panel < 2; panel++)
        {
            for (var quad = 0; quad < 3; quad++)
            {
                for (var output = 16 * panel; output < 16 * panel + 16; output++)
                {
                    for (var input = 4 * quad; input < 4 * quad + 4; input++)
                    {
                        expected.Add(output < Outputs && input < Inputs ? codes[output * Inputs + input] : (sbyte)0);
                    }
                }
            }
        }
        Assert.That(panels, Is.EqualTo(expected));
        var unpacked = new sbyte[codes.Length];
        Int8Matrix.Unpack(unpacked, panels, Inputs);
        Assert.That(unpacked, Is.EqualTo(codes));
    }

    [Test]
    public void A_processor_with_the_instruction_for_bytes_uses_it()
    {
        using var backend = new CpuBackend(threads: 1);
        Assert.That(backend.UsesVnni,
            Is.EqualTo(Environment.GetEnvironmentVariable(InstructionSetTests.BytesSwitch) is null
                && AvxVnni.IsSupported));
    }
}
