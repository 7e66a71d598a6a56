using LoraScratch.Kernels.Cpu;
using LoraScratch.Tests.Check;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// This machine's GPUs, a row for each that is asked for: it says why where a GPU has no rows
/// elsewhere.
/// </summary>
[Category(Categories.Gpu)]
public class RealGpuTests
{
    private static IEnumerable<TestCaseData> Asked =>
        Gpus.Asked.Select(gpu => new TestCaseData(gpu).SetArgDisplayNames($"{gpu}"));

    [TestCaseSource(nameof(Asked))]
    public void A_GPU_has_rows_in_every_list_and_computes_products_of_a_models_size(GpuCase gpu)
    {
        if (gpu.Problem is { } problem)
        {
            Assert.Ignore($"{gpu} is not tested here: {problem}");
        }
        Assert.That(Backends.All.Select(one => $"{one}"), Has.Member($"{gpu}"));
        Assert.That(Backends.ForKernels.Select(one => $"{one.Arguments[0]}"), Has.Member($"{gpu}"));
        using var backend = gpu.Open(groupThreads: 0);
        using var cpu = new CpuBackend();
        foreach (var shape in ProductCheck.Shapes.Where(shape => shape.Flops < 2e9))
        {
            Assert.That(ProductCheck.Difference(backend, cpu, shape), Is.LessThan(ProductCheck.Bound), $"{shape}");
        }
    }

    [TestCase("cuda", "cuda:0")]
    [TestCase("opencl:3", "opencl:3")]
    public void A_GPU_is_named_as_the_option_device_names_it(string id, string name) =>
        Assert.That($"{GpuCase.Parse(id)}", Is.EqualTo(name));

    [Test]
    public void Anything_else_is_refused_in_words([Values("cpu", "cuda:", "cuda:-1", "cuda:1:2", "")] string id) =>
        Assert.That(() => GpuCase.Parse(id), Throws.TypeOf<FormatException>().With.Message.Contains("such as cuda:1"));
}
