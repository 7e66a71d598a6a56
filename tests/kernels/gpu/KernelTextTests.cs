using System.Text.RegularExpressions;
using LoraScratch.Kernels.Gpu;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// Every GPU kernel, compiled without a device for both driver interfaces at both levels: that it
/// compiles, and what its text has to have or must not have.
/// </summary>
[TestFixture(GpuKind.Cuda, GpuOptimization.O1)]
[TestFixture(GpuKind.Cuda, GpuOptimization.O2)]
[TestFixture(GpuKind.OpenCL, GpuOptimization.O1)]
[TestFixture(GpuKind.OpenCL, GpuOptimization.O2)]
internal partial class KernelTextTests(GpuKind kind, GpuOptimization optimization)
{
    private IReadOnlyList<KernelText> kernels = null!;

    [OneTimeSetUp]
    public void Compile()
    {
        kernels = GpuDevices.CompileKernels(kind, optimization);
    }

    [Test]
    public void Every_kernel_becomes_an_entry_point()
    {
        Assert.That(kernels, Has.Count.GreaterThan(50));
        Assert.That(kernels.Select(kernel => kernel.Kernel), Is.Unique);
        var entry = kind == GpuKind.Cuda ? ".visible .entry Kernel_" : "kernel void Kernel_";
        Assert.That(Where(text => !text.Contains(entry)), Is.Empty);
    }

    /// <summary>
    /// Registers that do not suffice, or an array whose index is not known at compile time, would
    /// lie in memory.
    /// </summary>
    [Test]
    public void No_kernel_uses_local_memory()
    {
        PtxOnly();
        Assert.That(Where(text => text.Contains(".local")), Is.Empty);
    }

    [Test]
    public void No_kernel_needs_more_shared_memory_than_every_GPU_has()
    {
        PtxOnly();
        var bytes = kernels.Select(kernel => SharedArray().Matches(kernel.Text)
            .Sum(array => int.Parse(array.Groups[1].Value))).ToArray();
        Assert.That(bytes.Max(), Is.EqualTo(GpuDevices.SharedMemory), "what 'lora devices' asks of a device");
        Assert.That(bytes.Max(), Is.LessThanOrEqualTo(48 << 10), "what every CUDA device has");
    }

    /// <summary>
    /// Kernels exchange what lies in local memory, and ILGPU's barriers order global memory alone.
    /// </summary>
    [Test]
    public void Every_barrier_fences_local_memory()
    {
        if (kind != GpuKind.OpenCL)
        {
            Assert.Ignore("PTX's bar.sync orders both memories.");
        }
        var barriers = kernels.SelectMany(kernel => Barrier().Matches(kernel.Text)
            .Select(barrier => barrier.Groups[1].Value)).ToArray();
        Assert.That(barriers, Has.Length.GreaterThan(100));
        Assert.That(barriers.Distinct(), Is.EqualTo(new[] { "CLK_LOCAL_MEM_FENCE | CLK_GLOBAL_MEM_FENCE" }));
        Assert.That(Where(text => Fence().Count(text) != Barrier().Count(text)), Is.Empty,
            "a fence that is no barrier");
    }

    /// <summary>
    /// What one group saves, another reads: between saving and counting, and between counting and
    /// reading, the whole device's memory is fenced, in every thread.
    /// </summary>
    [Test]
    public void Parts_of_a_product_are_fenced_around_the_count()
    {
        var order = kind == GpuKind.Cuda ? FenceOrCount() : FenceOrCountOfOpenCL();
        foreach (var product in kernels.Where(kernel => kernel.Kernel.StartsWith("PackedProduct")))
        {
            var steps = order.Matches(product.Text).Select(step => step.Value.Contains("atom") ? "count" : "fence");
            var inOrder = new[] { "fence", "count", "fence" };
            // O2 places the block that counts behind the others
            Assert.That(steps, optimization == GpuOptimization.O1 ? Is.EqualTo(inOrder) : Is.EquivalentTo(inOrder),
                product.Kernel);
        }
    }

    /// <summary>
    /// OpenCL promises 1,024 bytes of arguments, of which eight kernels in one take most.
    /// </summary>
    [Test]
    public void No_kernel_takes_more_arguments_than_every_device()
    {
        PtxOnly();
        var bytes = kernels.Select(kernel => (kernel.Kernel, Bytes: ArgumentBytes().Matches(kernel.Text)
            .Sum(argument => argument.Groups[1].Success ? int.Parse(argument.Groups[1].Value)
                : int.Parse(argument.Groups[2].Value) / 8))).ToArray();
        Assert.That(bytes.Where(kernel => kernel.Bytes is 0 or > 1024), Is.Empty);
    }

    /// <summary>Its error is 2⁻¹¹: formulas bring their own.</summary>
    [Test]
    public void No_kernel_uses_the_approximate_tanh() => Assert.That(Where(text => text.Contains("tanh")), Is.Empty);

    /// <summary>
    /// Each factor is read before the loop and in it, and some of Y where it is added to.
    /// </summary>
    [Test]
    public void Products_read_four_floats_by_one_instruction_where_they_can()
    {
        PtxOnly();
        Assert.That(Products, Has.Length.EqualTo(20), "five tiles, four ways to read A, and for each one to read B");
        foreach (var tile in Products.GroupBy(product => product.Kernel.Split(", ")[0]))
        {
            var ofY = tile.Select(product => GlobalFours().Count(product.Text) - 2 * VectorSource()
                .Count(product.Kernel)).Distinct().ToArray();
            Assert.That(ofY, Has.Length.EqualTo(1), tile.Key);
        }
    }

    /// <summary>
    /// What bounds a product: shared memory delivers 32 floats in the time of 4 × 32 multiply-adds.
    /// </summary>
    [Test]
    public void A_product_multiplies_often_for_each_load_from_shared_memory()
    {
        PtxOnly();
        foreach (var product in Products)
        {
            var loop = Label().Split(product.Text).MaxBy(block => Regex.Count(block, @"mul\.f32"))!;
            var loads = Regex.Count(loop, @"ld\.shared\.v4\.f32");
            var isLarge = product.Kernel.Contains("<LargeTile");
            Assert.That((loads, Regex.Count(loop, @"mul\.f32"), Regex.Count(loop, @"add\.f32")),
                Is.EqualTo(isLarge ? (8, 128, 128) : (4, 32, 32)), product.Kernel);
            Assert.That(Regex.Count(loop, @"\b(ld|st)\."), Is.EqualTo(loads), product.Kernel);
        }
    }

    /// <summary>
    /// What the common kernels are bound by: an optimizer reads and writes each number once, and no
    /// float of a row is written to be read again, as the CPU does.
    /// </summary>
    [TestCase("ElementOf<AdamKernel>", 4, 3)]
    [TestCase("ElementOf<MomentumKernel>", 3, 2)]
    [TestCase("ElementOf<SgdKernel>", 2, 1)]
    [TestCase("ElementOf<MapGradientKernel<Gelu>>", 3, 1)]
    [TestCase("RowOfThread<SoftmaxKernel>", 3, 1)]
    [TestCase("RowOfThread<SoftmaxGradientKernel>", 5, 1)]
    [TestCase("RowOfThread<LayerNormKernel>", 5, 3)]
    [TestCase("RowOfThread<LayerNormGradientKernel>", 9, 1)]
    [TestCase("RowOfThread<CrossEntropyKernel>", 4, 1)]
    public void A_common_kernel_reads_and_writes_as_often_as_its_loops(string name, int loads, int stores)
    {
        PtxOnly();
        var text = kernels.Single(kernel => kernel.Kernel == name).Text;
        Assert.That((Load().Count(text), Store().Count(text)), Is.EqualTo((loads, stores)));
    }

    private KernelText[] Products =>
        [.. kernels.Where(kernel => kernel.Kernel.StartsWith("PackedProductKernel<", StringComparison.Ordinal))];

    private IEnumerable<string> Where(Func<string, bool> condition) =>
        kernels.Where(kernel => condition(kernel.Text)).Select(kernel => kernel.Kernel);

    private void PtxOnly()
    {
        if (kind != GpuKind.Cuda)
        {
            Assert.Ignore("OpenCL C leaves this to the driver's compiler.");
        }
    }

    [GeneratedRegex(@"\.shared \.align \d+ \.b8 \w+\[(\d+)\]")]
    private static partial Regex SharedArray();

    /// <summary>From global memory, or, at O1, from an address that may be any.</summary>
    [GeneratedRegex(@"\bld(\.global)?\.v4\.f32")]
    private static partial Regex GlobalFours();

    [GeneratedRegex(@"\bld(\.global)?\.[bf]32")]
    private static partial Regex Load();

    [GeneratedRegex(@"\bst(\.global)?\.[bf]32")]
    private static partial Regex Store();

    [GeneratedRegex(@"\bwork_group_barrier\s*\(\s*([^),]*?)\s*(,\s*memory_scope_device\s*)?\)")]
    private static partial Regex Barrier();

    [GeneratedRegex(@"\.param \.(?:align \d+ \.b8 \w+\[(\d+)\]|[bfsu](\d+) )")]
    private static partial Regex ArgumentBytes();

    [GeneratedRegex(@"\bmembar\.gl\b|\batom\.add\b")]
    private static partial Regex FenceOrCount();

    [GeneratedRegex(@"\bmemory_scope_device\b|\batomic_fetch_add\b")]
    private static partial Regex FenceOrCountOfOpenCL();

    [GeneratedRegex(@"\b\w*(barrier|fence)\w*\s*\(")]
    private static partial Regex Fence();

    [GeneratedRegex(@"\bL_\d+:")]
    private static partial Regex Label();

    [GeneratedRegex("VectorSource")]
    private static partial Regex VectorSource();
}
