namespace LoraScratch.Tests.Cli;

/// <summary>
/// What a command wrote is replaced by another result only where --overwrite says so.
/// </summary>
public class OverwriteTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void TrainModelAndAdapter()
    {
        task = new TinyTask();
        _ = task.Adapter;
        string[] full = Words("train --model MODEL --data DATA --method full --max-steps 2");
        LoraProgram.Succeed([.. full, "--out", task["tuned"]]);
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    private static IEnumerable<TestCaseData> Commands() => new[]
    {
        "train --model MODEL --data DATA --max-steps 1",
        "train --model MODEL --data DATA --max-steps 1 --method full",
        "pretrain --config CONFIG --vocab VOCAB --data DATA --max-length 8 --max-steps 1",
        "merge --model MODEL --adapter ADAPTER",
        "export --model MODEL --adapter ADAPTER --to onnx",
        "export --model MODEL --to folder",
        "extract --base MODEL --tuned TUNED --rank 2",
        "truncate --adapter ADAPTER --rank 2",
        "compress --model MODEL --rank 2",
        "quantize --model MODEL --bits 4 --group-size 16",
        "adapter convert ADAPTER --to peft",
        "adapter convert ADAPTER --to tutorial",
        "vocabulary --data DATA --size 40",
    }.Select(line => new TestCaseData(line).SetArgDisplayNames(line));

    [TestCaseSource(nameof(Commands))]
    public void A_result_is_replaced_with_overwrite_alone(string line)
    {
        using var own = new TemporaryFolder();
        var path = Path.Combine(own.Root, "result");
        string[] args = [.. Words(line), "--out", path];
        LoraProgram.Succeed(args);
        var before = Files(own.Root);

        var refused = LoraProgram.Refuse(args);
        var error = refused.Errors.Split('\n').Single(text => text.StartsWith("error: ", StringComparison.Ordinal));
        var found = File.Exists(path) ? "file exists" : "folder holds a result";
        Assert.That(error, Does.StartWith($"error: {path}: the {found} already")
            .And.EndWith("Choose another name, or give --overwrite to replace it."));
        Assert.That(refused.Output, Is.Empty);
        Assert.That(Files(own.Root), Is.EqualTo(before));

        LoraProgram.Succeed([.. args, "--overwrite"]);
        Assert.That(Files(own.Root), Is.Not.EqualTo(before));
        Assert.That(Files(own.Root).Select(Name), Is.EqualTo(before.Select(Name)), "and nothing is left beside it");
    }

    [Test]
    public void Even_overwrite_leaves_a_strangers_file()
    {
        string[] args = [.. Words("merge --model MODEL --adapter ADAPTER"), "--out", task["mine"]];
        LoraProgram.Succeed(args);
        File.WriteAllText(Path.Combine(task["mine"], "notes.txt"), "years of work");
        var refused = LoraProgram.Refuse([.. args, "--overwrite"]);
        Assert.That(refused.Errors, Does.Contain("holds 'notes.txt', which this program did not write"));
    }

    [Test]
    public void The_demo_says_that_it_replaces_an_earlier_demo_alone() =>
        Assert.That(LoraProgram.Call("demo", "--help").Output,
            Does.Contain("earlier demo").And.Not.Contain("--overwrite"));

    private string[] Words(string line) => [.. line.Split(' ').Select(word => word switch
    {
        "MODEL" => task.Model,
        "DATA" => task.Data,
        "ADAPTER" => task.Adapter,
        "TUNED" => task["tuned"],
        "CONFIG" => task["config.json"],
        "VOCAB" => task["vocab.txt"],
        _ => word,
    })];

    private static string Name(string entry) => entry.Split(' ')[0];

    private static string[] Files(string folder) =>
        [.. Directory.GetFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
            .Select(path => $"{path} {File.GetLastWriteTimeUtc(path):O}")];
}
