using System.CommandLine;
using System.Globalization;
using LoraScratch.Cli.Tables;
using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Compression;

namespace LoraScratch.Cli;

/// <summary>lora truncate: a trained adapter at smaller ranks.</summary>
internal sealed class TruncateCommand
{
    private readonly Option<string> adapter =
        OptionKinds.Path("--adapter", HubFolders.HelpName, "An adapter folder in PEFT's format; or its name on the "
            + "Hugging Face hub.", required: true);
    private readonly OutputOptions output = new("DIR",
        "Where the smaller adapter goes. With --rank, --energy or --rank-pattern.", required: false);
    private readonly Option<int?> rank = OptionKinds.OptionalWhole("--rank", "Rank of the smaller adapter.");
    private readonly Option<double?> energy = OptionKinds.OptionalNumber("--energy", "Instead of --rank: each layer "
        + "gets the smallest rank that keeps this share of its update's squared norm, such as 0.95.");
    private readonly Option<string> pattern = OptionKinds.Path("--rank-pattern", "FILE.json", "Instead of --rank: a "
        + "rank for each layer, as 'lora inspect --spectrum --rank-pattern' proposes them.");
    private readonly ModelOption model =
        new("The model that the adapter belongs to, for --data, with which the accuracy at every rank is measured");
    private readonly MeasurementOptions measurement = new();
    private readonly Option<int[]?> ranks = OptionKinds.OptionalWholes("--ranks", "The ranks in the table; 0 is the "
        + "adapter without its updates. [default: every one]");
    private readonly LabelsOption labels = new();
    private readonly Option<bool> anyBase = ModelOptions.AnyBase();
    private readonly DeviceOptions device = new();

    public static Command Create()
    {
        var truncate = new TruncateCommand();
        var command = new ExampleCommand("truncate",
            "A trained adapter at every smaller rank, without training: what each rank drops and, with --data, its "
                + "accuracy; --rank, --energy or --rank-pattern writes one of them.",
            "lora truncate --adapter my-adapter", "lora truncate --adapter my-adapter --model my-model --data test.csv",
            "lora truncate --adapter my-adapter --rank 4 --out smaller",
                "lora truncate --adapter my-adapter --energy 0.95 --out smaller",
                "lora truncate --adapter my-adapter --rank-pattern layer-ranks.json --out smaller");
        truncate.output.AddTo(command);
        foreach (var option in (Option[])[truncate.adapter, truncate.rank, truncate.energy, truncate.pattern,
            truncate.ranks])
        {
            command.Add(option);
        }
        truncate.model.AddTo(command);
        truncate.labels.AddTo(command);
        command.Add(truncate.anyBase);
        truncate.measurement.AddTo(command);
        truncate.device.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.Run(() => truncate.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var (folder, wanted, share) = (output.Path(parsed), parsed.GetValue(rank), parsed.GetValue(energy));
        var ranksOfLayers = parsed.GetValue(pattern);
        var given = new[] { (rank.Name, wanted is not null), (energy.Name, share is not null),
            (pattern.Name, ranksOfLayers is not null) }.Where(option => option.Item2).Select(option => option.Name)
            .ToList();
        if (folder is null != (given.Count == 0))
        {
            throw new InputException(folder is null
                ? $"{given[0]} says what is written to --out, which is missing. Give --out DIR."
                : "--out needs --rank or --energy or --rank-pattern, which say what is written.");
        }
        if (given.Count > 1)
        {
            throw new InputException($"{given[0]} and {given[1]} are both given; take one of the two.");
        }
        if (model.IsGiven(parsed) && !measurement.IsGiven(parsed))
        {
            throw new InputException("--model needs --data, the texts to measure on.");
        }
        using var reserved = output.Reserve(parsed, PeftAdapter.Reserve, ("--adapter", Adapter(parsed)));
        var truncation = AdapterTruncation.Read(Adapter(parsed));
        ModelOptions.Notices(Adapter(parsed), truncation.Warnings);
        var chosen = wanted is { } k ? truncation.RanksUpTo(k) : share is { } part
            ? truncation.RanksForEnergy(part) : ranksOfLayers is null ? null
            : RankPattern.Read(ranksOfLayers).Of(truncation.Layers);
        var listed = parsed.GetValue(ranks) is { Length: > 0 } some
            ? some : [.. Enumerable.Range(0, truncation.Rank + 1).Reverse()];
        if (listed.Any(row => row > truncation.Rank))
        {
            throw new InputException(
                $"--ranks has {listed.Max()}; the adapter has rank {truncation.Rank}, and more cannot come of it.");
        }
        using var backend = device.Open(parsed);
        PrintTable(truncation, listed,
            measurement.IsGiven(parsed) ? Measure(parsed, truncation, backend, cancellation) : null);
        if (chosen is not null)
        {
            truncation.Save(folder!, chosen, output.MayReplace(parsed));
            PrintLayers(truncation, chosen, folder!);
        }
        return 0;
    }

    private string Adapter(ParseResult parsed) => model.Hub.Folder(parsed.GetValue(adapter)!);

    /// <summary>What tells the accuracy and loss at a rank.</summary>
    private Func<int, Evaluation> Measure(ParseResult parsed, AdapterTruncation truncation, IBackend backend,
        CancellationToken cancellation)
    {
        var (folder, source) = (Adapter(parsed), model.Source(parsed, Adapter(parsed)));
        var (classifier, attached) = ModelOptions.Load(source, folder, labels: labels.Names(parsed),
            parsed.GetValue(anyBase), backend);
        var measure = measurement.Prepare(parsed, classifier, cancellation);
        return row =>
        {
            truncation.ApplyTo(attached!, row);
            return measure();
        };
    }

    private static void PrintTable(AdapterTruncation truncation, int[] ranks, Func<int, Evaluation>? measure)
    {
        Console.WriteLine($"{"rank",5} {"dropped",10} {"dropped energy",15} "
            + $"{"bytes of A, B",14}{(measure is null ? "" : $" {"accuracy",10} {"loss",8}")}");
        foreach (var rank in ranks)
        {
            var bytes = sizeof(float)
                * truncation.Layers.Sum(layer => Math.Min(rank, layer.Decomposition.Values.Count)
                    * (long)(layer.Decomposition.U.Rows + layer.Decomposition.V.Rows));
            var result = measure?.Invoke(rank);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{rank,5} {truncation.DroppedNorm(rank),10:G5} {Text.Percent(truncation.DroppedEnergy(rank)),15} "
                    + $"{Text.Bytes(bytes),14}")
                + (result is null ? "" : string.Create(CultureInfo.InvariantCulture,
                    $" {Text.Percent(result.Accuracy),10} {result.Loss,8:F4}")));
        }
    }

    private static void PrintLayers(AdapterTruncation truncation, IReadOnlyList<int> ranks, string folder)
    {
        string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
        Console.WriteLine();
        LayerTable.Print(Console.Out, ["rank", "|s·AB|", "dropped", "energy kept"],
            [.. truncation.Layers.Zip(ranks, (layer, rank) => (layer.Path, (IReadOnlyList<string>)[
                $"{layer.Rank} → {rank}", Number(Math.Sqrt(layer.Decomposition.SquaredNorm), "G5"),
                Number(layer.Decomposition.ErrorOf(rank), "G4"), Text.Percent(layer.Decomposition.EnergyOf(rank))]))]);
        Console.WriteLine($"The smaller adapter is in {folder}.");
    }
}
