using LoraScratch.Cli;
using LoraScratch.Tests.Hub;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// Every example of every help page and every command of the README's blocks runs as it stands
/// there, on tiny files of the names that it uses. Trainings end after a step or two.
/// </summary>
[NonParallelizable]
public class ExampleTests
{
    private const string Interrupted = "goes on with a run that was interrupted: InterruptTests and KillTests do";
    private const string Demo = "trains for minutes: DemoTests runs it on fewer reviews";

    /// <summary>What does not run here, and why.</summary>
    private static readonly Dictionary<string, string> NotHere = new()
    {
        ["lora demo"] = Demo,
        ["lora demo --seed 7 --out my-demo"] = Demo,
        ["lora demo --seeds 3"] = Demo,
        ["lora train --data aclImdb --out my-adapter --checkpoint-every 200 --resume"] = Interrupted,
        ["lora pretrain --data reviews.jsonl.gz --config config.json --vocab vocab.txt --out base --whole-words "
            + "--dtype f16 --checkpoint-every 500 --resume"] = Interrupted,
    };

    /// <summary>Added to what trains, where the example does not say it.</summary>
    private static readonly (string Option, string Value, string[] Commands)[] Quick =
    [
        ("--max-steps", "1", ["train", "compare", "sweep", "pretrain"]),
        ("--max-length", "16", ["train", "compare", "sweep", "pretrain"]),
        ("--train-examples", "8", ["compare", "sweep"]),
        ("--lr", "1e-3", ["compare"]),
        ("--calibration-texts", "8", ["quantize"]),
        ("--quantization", "rtn", ["train", "compare"]),
    ];

    /// <summary>Numbers that are for larger data and models than those here.</summary>
    private static readonly (string From, string To)[] Fewer = [("--runs 20", "--runs 2"), ("--runs 40", "--runs 3"),
        ("--seeds 3", "--seeds 1"), ("--bytes 48MiB", "--bytes 400KiB"),
        ("--energy 0.9 --targets mlp", "--energy 0.5 --targets mlp")];

    /// <summary>What examples take from the hub; that of the tests has tiny models.</summary>
    private static readonly string[] OnHub = ["sentence-transformers/all-MiniLM-L6-v2", "FacebookAI/roberta-base"];

    private ExampleStock stock = null!;
    private HubEnvironment world = null!;
    private string before = null!;

    [OneTimeSetUp]
    public void Prepare()
    {
        (stock, world, before) = (new ExampleStock(), new HubEnvironment(), Environment.CurrentDirectory);
        foreach (var name in OnHub)
        {
            world.Hub.Add(name, stock["my-base"]);
        }
    }

    [OneTimeTearDown]
    public void DeleteFolder()
    {
        world.Dispose();
        stock.Dispose();
    }

    [TearDown]
    public void GoBack() => Environment.CurrentDirectory = before;

    private static IEnumerable<string> All => HelpTests.Commands.OfType<ExampleCommand>()
        .SelectMany(command => command.Examples).Concat(ReadmeTests.CommandsOfLora.Select(command => $"lora {command}"))
        .Distinct();

    /// <summary>What is resumed is begun by the same test.</summary>
    private static IEnumerable<string> Here => All.Except(NotHere.Keys)
        .Except(All.Except(NotHere.Keys).Where(example => example.EndsWith(" --resume")).Select(Earlier));

    [Test]
    public void What_is_left_out_is_still_an_example() => Assert.That(NotHere.Keys.Except(All), Is.Empty);

    [TestCaseSource(nameof(Here))]
    public void The_example_runs(string example)
    {
        using var folder = new TemporaryFolder();
        string[] lines = example.EndsWith(" --resume") ? [Earlier(example), example] : [example];
        var commands = lines.Select(Words).ToArray();
        stock.Provide([.. commands.SelectMany(words => words)], folder.Root);
        Environment.CurrentDirectory = folder.Root;
        if (commands[0] is ["cache", "remove", var removed])
        {
            LoraProgram.Succeed("pull", removed);
        }
        foreach (var words in commands)
        {
            var result = LoraProgram.Call(words);
            Assert.That(result.Code, Is.Zero, $"lora {string.Join(' ', words)}\n{result.Output}{result.Errors}");
            Assert.That(result.Output, words.Contains("-") ? Is.Empty : Is.Not.Empty, "standard input is empty here");
            var output = Array.IndexOf(words, "--out");
            Assert.That(output < 0 || words.Contains("--dry-run") || Path.Exists(words[output + 1]), Is.True,
                "the result is there");
        }
    }

    /// <summary>An experiment is begun before it is resumed.</summary>
    private static string Earlier(string example) =>
        All.Last(other => other != example && !other.EndsWith(" --resume") && example.StartsWith(
            string.Join(' ', other.Split(' ').TakeWhile(word => word != "--runs")), StringComparison.Ordinal)
            && !other.Contains("dry-run"));

    private static string[] Words(string example)
    {
        var line = Fewer.Aggregate(example, (text, change) => text.Replace(change.From, change.To));
        var words = HelpTests.Words(line).Skip(1).ToList();
        foreach (var (option, value, commands) in Quick)
        {
            var applies = option switch
            {
                "--quantization" => words.Contains("--bits"),
                "--calibration-texts" => words.Contains("--calibration"),
                _ => true,
            };
            if (applies && commands.Contains(words[0]) && !words.Contains(option))
            {
                words.AddRange([option, value]);
            }
        }
        return [.. words];
    }
}
