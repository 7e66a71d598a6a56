using System.Text.Json.Nodes;

namespace LoraScratch.Tests.Check;

/// <summary>The check of a GPU as a program, on ILGPU's simulator.</summary>
[Parallelizable]
[Category(Categories.Processes)]
public class CheckTests
{
    [Test]
    public void Every_part_is_in_the_report()
    {
        using var folder = new TemporaryFolder();
        var output = Run(out var exitCode, "--device", "simulator", "--json", folder.File("report.json"), "--dump",
            folder.File("texts"), "--rows", "GpuInt8Tests");
        Assert.That(exitCode, Is.Zero, output);
        var report = JsonNode.Parse(File.ReadAllText(folder.File("report.json")))!.AsObject();
        Assert.That((bool)report["all_is_right"]!, Is.True);
        Assert.That((string)report["device"]![0]!["description"]!, Does.Contain("simulator"));

        var products = report["products"]!.AsArray();
        Assert.That((double)products[0]!["gflops"]!, Is.Positive);
        Assert.That((double)products[0]!["difference"]!, Is.LessThan(1e-5));
        Assert.That((string)products[^2]!["left_out"]!, Does.Contain("too much for a simulator"), "8192³");

        var step = report["steps"]![0]!;
        Assert.That((int)step["launches"]!, Is.EqualTo(step["launches_by_kernel"]!.AsObject()
            .Where(kernel => kernel.Key is not ("Upload" or "Download" or "Synchronize"))
            .Sum(kernel => (int)kernel.Value!)).And.GreaterThan(50));
        Assert.That((double)step["host_ms"]!, Is.Positive);
        Assert.That((int)step["bytes_up"]!, Is.InRange(2 * 4 * sizeof(int), 1024), "ids, and where texts begin");
        Assert.That((int)step["bytes_down"]!, Is.EqualTo(sizeof(float)), "the loss");

        var training = report["training_beside_the_cpu"]![0]!;
        Assert.That((bool)training["same_bits_twice"]!, Is.True);
        Assert.That(training["differences"]!.AsObject().Select(entry => (double)entry.Value!),
            Has.Exactly(5).LessThan(1e-4));
        Assert.That((string)report["out_of_memory"]![0]!["message"]!, Does.EndWith("more do not fit."));
        Assert.That((int)report["rows"]![0]!["passed"]!, Is.EqualTo(3));

        var count = (int)report["kernels"]![0]!["count"]!;
        Assert.That(Directory.GetFiles(folder.File("texts"), "*.ptx"), Has.Length.EqualTo(count));
        Assert.That(File.ReadAllText(folder.File("texts/RowOfGroup_SoftmaxKernel_.ptx")),
            Does.Contain(".visible .entry"));
    }

    [TestCase(1, "- No row of the tests has that name.", "--parts", "rows", "--rows", "^$")]
    [TestCase(1, "cuda:99 cannot be used: ", "--device", "cuda:99")]
    [TestCase(1, "no-such-folder/report.json: cannot be written", "--json", "no-such-folder/report.json")]
    [TestCase(2, "--device: 'cpu' is no GPU; cuda, opencl, or one with its number", "--device", "cpu")]
    [TestCase(2, "--parts: there is no 'speed'; the parts are products, steps,", "--parts", "speed")]
    [TestCase(2, "--rows '(' is no regular expression", "--rows", "(")]
    [TestCase(2, "There is no option '--josn' here.", "--josn")]
    public void What_is_not_right_is_a_sentence_and_an_exit_code(int code, string words, params string[] arguments)
    {
        var output = Run(out var exitCode,
            arguments.Contains("--device") ? arguments : ["--device", "simulator", .. arguments]);
        Assert.That(exitCode, Is.EqualTo(code), output);
        Assert.That(output, Does.Contain(words).And.Not.Contain("   at "));
    }

    private static string Run(out int exitCode, params string[] arguments) => ChildProcess.Run(ChildProcess.Host,
        Path.GetTempPath(), out exitCode, [AssemblyFile.Of(typeof(CheckTests)), "check", .. arguments]);
}
