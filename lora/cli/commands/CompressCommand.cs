using System.CommandLine;
using System.Globalization;
using LoraScratch.Cli.Tables;
using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Compression;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Cli;

/// <summary>lora compress: a model with low-rank layers.</summary>
internal sealed class CompressCommand
{
    private static readonly string[] TargetNames = [.. LoRATargets.OfEncoder];

    private readonly ModelOption model = new();
    private readonly OutputOptions output = new("DIR",
        "Where the smaller model folder goes. With --rank, --energy or --bytes.", required: false);
    private readonly Option<int?> rank =
        OptionKinds.OptionalWhole("--rank", "Rank of every layer that it makes smaller.");
    private readonly Option<double?> energy = OptionKinds.OptionalNumber("--energy", "Instead of --rank: each layer "
        + "gets the smallest rank that keeps this share of its weight's squared norm, such as 0.9.");
    private readonly Option<long?> bytes = OptionKinds.OptionalBytes("--bytes", "Instead of --rank: the ranks with "
        + "the smallest error for which all weights of the model fit so many bytes as float32.");
    private readonly Option<WordList> targets =
        OptionKinds.Words("--targets", "Layers that are replaced", TargetNames, TargetNames);
    private readonly MeasurementOptions measurement = new();
    private readonly DeviceOptions device = new();

    public static Command Create()
    {
        var compress = new CompressCommand();
        var command = new ExampleCommand("compress",
            "Replaces linear layers by two thin ones, the best low-rank form of their weights: the error of every "
                + "rank, and with --rank, --energy or --bytes a smaller model folder. "
            + "With --data, its accuracy before and after.",
            "lora compress --model my-model",
                "lora compress --model my-model --energy 0.9 --targets mlp --out smaller --data test.csv",
                    "lora compress --model my-model --bytes 48MiB --out smaller");
        compress.model.AddTo(command);
        compress.output.AddTo(command);
        foreach (Option option in (Option[])[compress.rank, compress.energy, compress.bytes, compress.targets])
        {
            command.Add(option);
        }
        compress.measurement.AddTo(command);
        compress.device.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.Run(() => compress.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var folder = output.Path(parsed);
        var given = new object?[] { parsed.GetValue(rank), parsed.GetValue(energy),
            parsed.GetValue(bytes) }.Count(value => value is not null);
        if (given > 1)
        {
            throw new InputException("More than one of --rank, --energy and --bytes is given; take one of them.");
        }
        if (folder is null != (given == 0))
        {
            throw new InputException(folder is null
                ? "--rank, --energy and --bytes say what is written to --out, which is missing. Give --out DIR."
                : "--out needs --rank, --energy or --bytes, which say what is written.");
        }
        if (measurement.IsGiven(parsed) && folder is null)
        {
            throw new InputException("--data measures the accuracy before and after: say with --rank, --energy or "
                + "--bytes, and --out, what is to be made.");
        }
        var source = model.Source(parsed);
        using var reserved = output.Reserve(parsed, ModelFolder.Reserve, ("--model", source.Path));
        using var backend = device.Open(parsed);
        var classifier = ModelOptions.LoadModel(source, backend);
        if (measurement.IsGiven(parsed))
        {
            ClassifierLoader.RequireHead(classifier, source);
        }
        var measure = measurement.IsGiven(parsed) ? measurement.Prepare(parsed, classifier, cancellation) : null;
        var compression = ModelCompression.Of(classifier.Model,
            LoRATargets.Patterns(classifier.Model.Config.Family, parsed.GetValue(targets)!.Words), layer =>
        {
            cancellation.ThrowIfCancellationRequested();
            Console.Error.WriteLine($"{layer.Path}: [{layer.OutFeatures}, {layer.InFeatures}] decomposed");
        });
        PrintRanks(compression);
        if (folder is null)
        {
            return 0;
        }
        var ranks = parsed.GetValue(rank) is { } k ? compression.ByRank(k) : parsed.GetValue(energy) is { } share
            ? compression.ByEnergy(share) : compression.ByBytes(parsed.GetValue(bytes)!.Value);
        PrintLayers(compression, ranks);
        var before = measure?.Invoke();
        var (whole, smaller) = (sizeof(float) * compression.Numbers([.. ranks.Select(_ => (int?)null)]),
            sizeof(float) * compression.Numbers(ranks));
        var compressed = new TextClassifier(CompressedModel.Of(classifier.Model, compression, ranks),
            classifier.Tokenizer, classifier.IsHeadUntrained);
        ModelFolder.Save(folder, compressed.Model, compressed.Tokenizer,
            withHead: !compressed.IsHeadUntrained, output.MayReplace(parsed));
        Console.WriteLine($"weights {Text.Bytes(whole)} → {Text.Bytes(smaller)} "
            + $"({Text.Percent((double)smaller / whole)}), in {folder}");
        if (before is not null)
        {
            var after = measurement.Prepare(parsed, compressed, cancellation)();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"accuracy {Text.Percent(before.Accuracy)} → {Text.Percent(after.Accuracy)}, loss {before.Loss:F4} → "
                    + $"{after.Loss:F4}"));
        }
        return 0;
    }

    /// <summary>Error against rank, for all layers of a size together.</summary>
    private static void PrintRanks(ModelCompression compression)
    {
        foreach (var group in compression.Layers
            .GroupBy(layer => (layer.OutFeatures, layer.InFeatures, layer.LargestSavingRank)))
        {
            var (size, most) = ($"[{group.Key.OutFeatures}, {group.Key.InFeatures}]", group.Key.LargestSavingRank);
            Console.WriteLine(
                $"{group.Count()} layers {size}: from rank {most + 1} on, two factors are no smaller than the weight");
            Console.WriteLine($"{"rank",6} {"error/|W|",10} {"energy kept",12} {"of the numbers",15}");
            var total = group.Sum(layer => layer.SquaredNorm);
            foreach (var rank in Enumerable.Range(0, 31).Select(power => 1 << power).TakeWhile(rank => rank < most)
                .Append(most).Where(rank => rank > 0))
            {
                var lost = total == 0 ? 0 : group.Sum(layer => layer.SquaredError(rank)) / total;
                Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                    $"{rank,6} {Math.Sqrt(lost),10:F4} {Text.Percent(1 - lost),12} "
                        + $"{Text.Percent((double)group.First().Numbers(rank) / group.First().Numbers(null)),15}"));
            }
            Console.WriteLine();
        }
    }

    private static void PrintLayers(ModelCompression compression, IReadOnlyList<int?> ranks)
    {
        LayerTable.Print(Console.Out, ["W", "rank", "error/|W|", "bytes before", "after"],
            [.. compression.Layers.Zip(ranks, (layer, rank) => (layer.Path, (IReadOnlyList<string>)[
                $"[{layer.OutFeatures}, {layer.InFeatures}]",
                rank?.ToString(CultureInfo.InvariantCulture) ?? "whole",
                layer.RelativeError(rank).ToString("F4", CultureInfo.InvariantCulture),
                Text.Bytes(sizeof(float) * layer.Numbers(null)), Text.Bytes(sizeof(float) * layer.Numbers(rank))]))]);
        var kept = ranks.Count(rank => rank is null);
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"all together: error/|W| {compression.RelativeError(ranks):F4}")
            + (kept > 0 ? $"; {kept} layers stay whole, where factors would save nothing or there was room" : ""));
    }
}
