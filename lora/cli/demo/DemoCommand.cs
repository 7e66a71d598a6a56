using System.CommandLine;
using LoraScratch.Cli.Tables;
using LoraScratch.Engine;
using Spectre.Console;

namespace LoraScratch.Cli.Demo;

/// <summary>What the demo is asked for.</summary>
internal sealed record DemoOptions
{
    /// <summary>Where the adapter, the curves and the reviews go.</summary>
    public string Output { get; init; } = "lora-demo";

    /// <summary>Names every random number.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>
    /// How many seeds, from <see cref="Seed"/> on; the files are those of the first.
    /// </summary>
    public int Seeds { get; init; } = 1;

    /// <summary>Size of the data.</summary>
    public DemoSizes Sizes { get; init; } = new();
}

/// <summary>
/// lora demo: the built-in base model fine-tuned in three ways, on reviews that it generates.
/// </summary>
internal static class DemoCommand
{
    private const int MaxSeeds = 1000;

    public static Command Create()
    {
        var seed = OptionKinds.Seed("Names every random number: the same seed gives the same table.", 1);
        var seeds = OptionKinds.Whole("--seeds",
            "Runs so many seeds, from --seed on, and shows mean and standard deviation.", 1);
        var output = OptionKinds.Path("--out", "DIR",
            "Where adapter, loss curves and reviews go: a new or empty folder, or that of an earlier demo, which is "
            + "replaced.");
        output.DefaultValueFactory = _ => "lora-demo";
        var device = new DeviceOptions();
        var command = new ExampleCommand("demo",
            "Adapts the built-in base model to generated reviews of thrillers in three ways: LoRA, the last two "
                + "layers, everything. No file and no download is needed.",
            "lora demo", "lora demo --seed 7 --out my-demo", "lora demo --seeds 3");
        foreach (Option option in (Option[])[seed, seeds, output])
        {
            command.Add(option);
        }
        device.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.Run(() =>
        {
            using var backend = device.Open(parsed);
            var options = new DemoOptions
            {
                Output = parsed.GetValue(output)!,
                Seed = parsed.GetValue(seed),
                Seeds = parsed.GetValue(seeds)
            };
            return Run(options, MethodTable.Output(), cancellation);
        }));
        return command;
    }

    /// <summary>Runs the demo on the engine's default device.</summary>
    /// <param name="options">What is asked for.</param>
    /// <param name="console">Shows everything.</param>
    /// <param name="cancellation">Ends it; nothing is written then.</param>
    /// <returns>The exit code, 0.</returns>
    /// <exception cref="InputException">
    /// The options make no sense, or the folder cannot be written.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static int Run(DemoOptions options, IAnsiConsole console, CancellationToken cancellation)
    {
        if (options.Seeds is < 1 or > MaxSeeds)
        {
            throw new InputException($"--seeds {options.Seeds}: expected 1 to {MaxSeeds}.");
        }
        using var reserved = OutputOptions.Tell(DemoFolder.Reserve(options.Output));
        var report = new DemoReport(console);
        report.Introduce(options);
        var results = new List<DemoResult>();
        for (var i = 0; i < options.Seeds; i++)
        {
            var seed = options.Seed + (ulong)i;
            var result = new DemoRun(seed, options.Sizes,
                new StageProgress(console, options.Seeds > 1 ? $"seed {seed}: " : ""), cancellation).Run();
            results.Add(result);
            if (i == 0)
            {
                DemoFolder.Save(options.Output, result);
                report.Show(result);
            }
        }
        if (results.Count > 1)
        {
            report.ShowSeeds(results);
        }
        report.SayWhatToDoNext(options.Output);
        return 0;
    }
}
