using System.CommandLine;
using System.Globalization;
using LoraScratch.Cli.Tables;
using LoraScratch.Engine;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Compression;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Cli;

/// <summary>lora extract: a full fine-tune as a LoRA adapter.</summary>
internal static class ExtractCommand
{
    private const int MaxListed = 20;

    public static Command Create()
    {
        var baseModel = OptionKinds.Path("--base", HubFolders.HelpName,
            "The model folder before the fine-tune: with or without a classification head. [default: "
                + $"{PretrainedBase.Description}]");
        var after = OptionKinds.Path("--tuned", HubFolders.HelpName, "The model folder after it, of the same sizes.",
            required: true);
        var output = new OutputOptions("DIR", "Where the adapter goes.");
        var rank = OptionKinds.OptionalWhole("--rank", "Rank of every update.");
        var energy = OptionKinds.OptionalNumber("--energy",
            "Instead of --rank: each update gets the smallest rank that keeps this share of its squared norm, such "
                + "as 0.9.");
        var targets = OptionKinds.Targets("Layers whose change becomes an update", [.. LoRATargets.Default]);
        var bias = OptionKinds.Choice("--bias",
            "Which tuned biases go along: none, those of the targets, or all, LayerNorm's among them.", "none",
                "targets", "all");
        var seed = OptionKinds.Seed("Names the random numbers with which large changes are decomposed.", 0);
        var command = new ExampleCommand("extract",
            "Turns a full fine-tune into a LoRA adapter: the best low-rank form of tuned − base for every chosen "
                + "layer, with its exact error. A head that was trained goes along whole.",
            "lora extract --base my-base --tuned my-model --rank 8 --out my-adapter",
            "lora extract --base my-base --tuned my-model --energy 0.9 --targets query,key,value,projection,mlp "
            + "--bias all --out my-adapter")
        { baseModel, after, rank, energy, targets, bias, seed };
        output.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.Run(() =>
        {
            var hub = new HubFolders();
            var baseSource = parsed.GetValue(baseModel) is { } given ? hub.Model(given) : ModelSource.BuiltIn;
            var (tunedSource, folder) = (hub.Model(parsed.GetValue(after)!), output.Path(parsed)!);
            var names = parsed.GetValue(targets)!.Words;
            LoRATargets.Check(names);
            RankRules.Check(parsed.GetValue(rank), parsed.GetValue(energy));
            using var reserved = output.Reserve(parsed, PeftAdapter.Reserve,
                ("--base", baseSource.Path), ("--tuned", tunedSource.Path));
            using var backend = new CpuBackend();
            var tuned = ModelOptions.LoadModel(tunedSource, backend);
            using var before = baseSource.Open();
            var start = ModelOptions.Load(before, backend, labels: before.HasHead ? null : tuned.Labels);
            RequireHeads(start, tuned, baseSource, tunedSource, names);
            var options = new ExtractionOptions
            {
                Rank = parsed.GetValue(rank),
                Energy = parsed.GetValue(energy),
                Targets = LoRATargets.Patterns(start.Model.Config.Family, names),
                WholeModules = start.Model.LastLayerModules,
                AlwaysWhole = start.IsHeadUntrained && !tuned.IsHeadUntrained,
                Bias = parsed.GetValue(bias) switch
                {
                    "all" => LoRABias.All,
                    "targets" => LoRABias.LoRAOnly,
                    _ =>
                    LoRABias.None
                },
                Seed = parsed.GetValue(seed),
            };
            var extraction = LoRAExtraction.Run(start.Model, tuned.Model, options,
                layer =>
                {
                    cancellation.ThrowIfCancellationRequested();
                    Console.Error.WriteLine(
                        $"{layer.Path}: rank {layer.Rank}, {Text.Percent(layer.Energy)} of the energy");
                });
            DerivedAdapter.Save(folder, extraction, baseSource.Reference, tunedSource.Reference,
                new RunTask(tuned.Labels, tuned.IsMultiLabel, tuned.ReadsPairs),
                output.MayReplace(parsed), tuned.Model.Config.IsPlain ? tuned.Model.Config.ToJson() : null,
                baseSource.Revision);
            Print(extraction, start.Model.Config, names, options.Bias);
            Console.WriteLine($"The adapter is in {folder}. Predict with it:");
            string[] words = ["lora", "predict", .. ModelOption.Words(baseSource), "--adapter", folder, "--text"];
            Console.WriteLine($"  {ShellWords.Join(words)} \"…\"");
            return 0;
        }));
        return command;
    }

    private static void RequireHeads(TextClassifier start, TextClassifier tuned, ModelSource before, ModelSource after,
        string[] targets)
    {
        if (tuned.IsHeadUntrained && !start.IsHeadUntrained)
        {
            throw new InputException(
                $"{after}: has no classification head, but {before} has one. Are --base and --tuned exchanged?");
        }
        if (start.IsHeadUntrained && targets.Contains(LoRATargets.Head))
        {
            throw new InputException($"--targets has {LoRATargets.Head}, but {before} has no classification head "
                + $"from which the change could be taken. Leave {LoRATargets.Head} out, and it goes along whole.");
        }
    }

    private static void Print(LoRAExtraction extraction, EncoderConfig config, string[] targets, LoRABias bias)
    {
        var change = extraction.Layers.Sum(layer => layer.ChangeNorm * layer.ChangeNorm);
        var error = extraction.Layers.Sum(layer => layer.Error * layer.Error);
        string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
        LayerTable.Print(Console.Out, ["W", "rank", "|W|", "|ΔW|", "error", "error/|ΔW|", "energy kept"],
            [.. extraction.Layers.Select(layer => (layer.Path, (IReadOnlyList<string>)[
                $"[{layer.OutFeatures}, {layer.InFeatures}]", Number(layer.Rank, "0"), Number(layer.WeightNorm, "G5"),
                Number(layer.ChangeNorm, "G4"), Number(layer.Error, "G4"), Number(layer.RelativeError, "F6"),
                Text.Percent(layer.Energy)]))],
            ("together", ["", "", "", Number(Math.Sqrt(change), "G4"), Number(Math.Sqrt(error), "G4"),
                Number(Math.Sqrt(error / change), "F6"), Text.Percent(1 - error / change)]));
        if (extraction.Unchanged.Count > 0)
        {
            Console.Error.WriteLine($"note: {extraction.Unchanged.Count} targeted layers are the same in both models "
                + $"and get no update: {string.Join(", ", extraction.Unchanged)}.");
        }
        var (kept, biases) = (extraction.Adapter.Plan.ModulesToSave, extraction.Adapter.Plan.TrainedBiases.Count);
        Console.WriteLine($"{extraction.Layers.Count} "
            + $"updates{(kept.Count > 0 ? $" and {string.Join(", ", kept.Select(entry => entry.Path))} whole" : "")}"
            + $"{(biases > 0 ? $", {biases} biases" : "")}: "
            + $"{Text.Count(extraction.Adapter.OwnParameters)} parameters. The adapter has "
            + $"{Text.Percent(extraction.HeldShare)} of the squared change of all parameters.");
        Warn(extraction, config, targets, bias);
    }

    /// <summary>
    /// What was tuned and is not in the adapter: without it, the model is not the tuned one.
    /// </summary>
    private static void Warn(LoRAExtraction extraction, EncoderConfig config, string[] targets, LoRABias bias)
    {
        var lost = extraction.Lost;
        if (lost.Count == 0)
        {
            return;
        }
        Console.Error.WriteLine($"warning: {lost.Count} parameters were tuned and are NOT in the adapter; with it, "
            + "the model keeps the base's:");
        foreach (var entry in lost.Take(MaxListed))
        {
            var share = entry.BaseNorm > 0 ? $", {Text.Percent(entry.ChangeNorm / entry.BaseNorm)} of its norm" : "";
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"  {entry.Path} {entry.Shape}: |Δ| = {entry.ChangeNorm:G4}{share}"));
        }
        if (lost.Count > MaxListed)
        {
            var rest = Math.Sqrt(lost.Skip(MaxListed).Sum(entry => entry.ChangeNorm * entry.ChangeNorm));
            Console.Error.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  and {lost.Count - MaxListed} "
                + $"smaller ones, |Δ| = {rest:G4} together; training.json in the adapter's folder lists all"));
        }
        var others = LoRATargets.Names.Except(targets)
            .Where(name => name != LoRATargets.Head
                && lost.Any(entry => LoRATargets.Patterns(config.Family, [name])
                    .Any(pattern => entry.Path.EndsWith(".weight", StringComparison.Ordinal)
                        && pattern.Matches(entry.Path[..^".weight".Length])))).ToList();
        if (others.Count > 0)
        {
            Console.Error.WriteLine(
                $"  --targets {string.Join(',', targets.Concat(others))} would take in the weights of more layers");
        }
        if (bias != LoRABias.All && lost.Any(entry => entry.Path.EndsWith(".bias", StringComparison.Ordinal)))
        {
            Console.Error.WriteLine("  --bias all would take in every bias, exactly");
        }
    }
}
