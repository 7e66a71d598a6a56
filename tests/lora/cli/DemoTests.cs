using LoraScratch.Cli.Demo;
using LoraScratch.Engine;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;
using Spectre.Console;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// The demo from beginning to end, with few reviews: its table means nothing here, everything else
/// must hold.
/// </summary>
public class DemoTests
{
    private static readonly DemoSizes Small = new() { Train = 320, Validation = 64, Test = 128, Epochs = 2 };

    private string folder = "";

    [SetUp]
    public void CreateFolder() => folder = Directory.CreateTempSubdirectory("lora-demo-tests-").FullName;

    [TearDown]
    public void DeleteFolder() => Directory.Delete(folder, recursive: true);

    [Test]
    public void The_demo_shows_its_table_and_leaves_an_adapter_that_loads_again()
    {
        var output = Path.Combine(folder, "demo");
        var shown = Run(output);
        Assert.That(shown, Does.Contain("generated").And.Contain("LoRA (query, value)").And
            .Contain("last two layers").And.Contain("all layers"));
        Assert.That(shown, Does.Contain($"  lora predict --adapter {Path.Combine(output, "adapter")} --text"));
        var config = ModelSource.BuiltIn.ReadConfig();
        var head = config.Hidden * config.Hidden + config.Hidden + 2 * config.Hidden + 2;
        var all = head + config.Layers * 2 * 8 * 2 * config.Hidden;
        Assert.That(shown, Does.Contain($"{head:N0}").And.Contain($"{all:N0}"),
            "the head; layers × (query, value) × rank 8 × (hidden + hidden) beside it");
        Assert.That(File.Exists(Path.Combine(output, "loss-curves.svg")));

        var loaded = PretrainedBase.Load(labels: ReviewTask.Labels);
        var classifier = new TextClassifier(loaded);
        string[] texts = ["The villain is gentle.", "The voice is unpredictable."];
        var before = classifier.Predict(texts).ToArray();
        PeftAdapter.Load(Path.Combine(output, "adapter"), loaded.Model);
        var after = classifier.Predict(texts).ToArray();
        Assert.That(after.Select(prediction => prediction.Logits[0]),
            Is.Not.EqualTo(before.Select(prediction => prediction.Logits[0])), "the adapter has learned something");
        Assert.That(after.Select(prediction => prediction.Label).Distinct(), Is.SubsetOf(ReviewTask.Labels));
    }

    [Test]
    public void The_same_seed_gives_the_same_results_and_merging_leaves_the_logits_as_they_are()
    {
        var first = Experiment();
        var second = Experiment();
        Assert.That(second.Methods.Select(method => method.Test),
            Is.EqualTo(first.Methods.Select(method => method.Test)));
        Assert.That(second[TrainingMethod.LoRA].Training.Metrics.Select(step => step.Loss),
            Is.EqualTo(first[TrainingMethod.LoRA].Training.Metrics.Select(step => step.Loss)));
        Assert.That(first.LoRA.Adapter!.Layers,
            Has.All.Matches<(string Path, LoraScratch.Lora.LayerWithLoRA Layer)>(layer => layer.Layer.Lora.B.ToArray()
                .Any(value => value != 0)), "otherwise merging could not fail");
        Assert.That(first.Merge.LargestDifference,
            Is.GreaterThan(0).And.LessThan(1e-4 * Math.Max(1, first.Merge.LargestLogit)));
        Assert.That(first.Merge.Texts, Is.EqualTo(Small.Test));
    }

    [Test]
    public void A_second_demo_replaces_the_first_but_never_a_strangers_file()
    {
        var output = Path.Combine(folder, "demo");
        Run(output);
        Run(output);
        var mine = Path.Combine(output, "notes.txt");
        File.WriteAllText(mine, "mine");
        Assert.That(() => Run(output), Throws.TypeOf<InputException>().With.Message.Contains("notes.txt"));
        File.Move(mine, Path.Combine(output, "adapter", "notes.txt"));
        Assert.That(() => Run(output), Throws.TypeOf<InputException>().With.Message.Contains("notes.txt"),
            "one floor down too");
    }

    [Test]
    public void A_cancelled_demo_writes_nothing()
    {
        var output = Path.Combine(folder, "demo");
        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.That(() => Run(output, cancellation: cancelled.Token), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(Directory.EnumerateFileSystemEntries(folder), Is.Empty);
    }

    [Test]
    public void Several_seeds_end_with_their_mean_and_deviation() =>
        Assert.That(Run(Path.Combine(folder, "demo"), seeds: 2),
            Does.Contain("2 seeds: mean ± standard deviation").And.Contain("±"));

    [TestCase(0)]
    [TestCase(-1)]
    public void Fewer_than_one_seed_is_an_error(int seeds) =>
        Assert.That(() => Run(Path.Combine(folder, "demo"), seeds),
            Throws.TypeOf<InputException>().With.Message.Contains("--seeds"));

    private static DemoResult Experiment() =>
        new DemoRun(7, Small, new StageProgress(Silent(new StringWriter())), CancellationToken.None).Run();

    private static string Run(string output, int seeds = 1, CancellationToken cancellation = default)
    {
        var shown = new StringWriter();
        DemoCommand.Run(new DemoOptions { Output = output, Seeds = seeds, Sizes = Small }, Silent(shown), cancellation);
        return shown.ToString();
    }

    private static IAnsiConsole Silent(StringWriter output)
    {
        var console = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Ansi = AnsiSupport.No,
                Interactive = InteractionSupport.No,
                Out = new AnsiConsoleOutput(output)
            });
        console.Profile.Width = 200;
        return console;
    }
}
