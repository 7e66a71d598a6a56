using System.CommandLine;
using System.Globalization;
using LoraScratch.Cli.Tables;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Merging;

namespace LoraScratch.Cli;

/// <summary>lora merge: a model folder with the adapter written into the weights.</summary>
internal sealed class MergeCommand
{
    private readonly ModelOptions model = new(adapterRequired: true);
    private readonly OutputOptions output = new("DIR", "Where the merged model folder goes.");
    private readonly Option<string> type = OptionKinds.Dtype("Type of the weights in the file. What is rounded to f16 "
        + "or bf16 is certified.");
    private readonly Option<bool> certificate = new("--certificate")
    {
        Description = "Shows what the merge keeps: of each layer |ΔW|, the share of its entries that rounding erases "
            + "and the error of what lands; and the largest change of a logit. Refuses a merge that changes a logit by "
            + "more than 0.05 or erases more than 10 % of an update. Written beside the model as certificate.json.",
    };
    private readonly Option<string> probe = OptionKinds.Path("--probe", "FILE", "Texts on which answers are compared: "
        + "a .csv, .tsv or .jsonl file with a column text. [default: random words of the vocabulary]");
    private readonly Option<bool> force = new("--force")
    {
        Description = "Writes a model that its certificate would refuse.",
    };
    private readonly Option<bool> roundZeros = new("--round-zeros")
    {
        Description = "Rounds the zeros of the quantised layers to whole numbers afterwards, as some other "
            + "programs want them, and shows the error that it causes.",
    };
    private readonly DeviceOptions device = new();

    public static Command Create()
    {
        var merge = new MergeCommand();
        var command = new ExampleCommand("merge",
            "Writes W + scaling·A·B into the weights, or with an adapter of quantised layers into their zeros: a "
                + "model folder that needs no adapter.",
            "lora merge --adapter my-adapter --out merged",
            "lora merge --model my-model --adapter my-adapter --out merged",
            "lora merge --adapter my-adapter --certificate --probe test.csv --out merged",
            "lora merge --adapter my-adapter --dtype bf16 --force --out merged-bf16",
            "lora merge --model base-int4 --adapter my-qa-lora-adapter --round-zeros --out merged-int4");
        merge.model.AddTo(command);
        merge.output.AddTo(command);
        foreach (Option option in (Option[])[merge.type, merge.certificate, merge.probe, merge.force,
            merge.roundZeros])
        {
            command.Add(option);
        }
        merge.device.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.Run(() => merge.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var (folder, dtype) = (output.Path(parsed)!, OptionKinds.ToDType(parsed.GetValue(type)!));
        var isCertified = parsed.GetValue(certificate) || dtype != DType.F32;
        RequireEffect(parsed, isCertified);
        using var reserved = output.Reserve(parsed, ModelFolder.Reserve, model.Folders(parsed));
        using var backend = device.Open(parsed);
        var (classifier, adapter) = model.Load(parsed, backend);
        var layers = adapter!.Layers.Count;
        if (parsed.GetValue(roundZeros) && classifier.Model.Config.Quantized.Count == 0)
        {
            throw new InputException("--round-zeros has no effect: the model has no layers quantised in groups, "
                + "and no zeros. Leave it out.");
        }
        var examination = isCertified ? new MergeExamination(classifier, adapter, Probes(parsed, classifier)) : null;
        adapter.MergeAndDetach();
        if (parsed.GetValue(roundZeros))
        {
            RoundZeros([.. classifier.Model.NamedModules<QuantizedLinear>()]);
        }
        MergeExamination.Round(classifier.Model, dtype);
        cancellation.ThrowIfCancellationRequested();
        var kept = examination?.End(dtype);
        if (kept is not null)
        {
            CertificateTable.Print(kept, Console.Out);
            Accept(parsed, kept);
        }
        ModelFolder.Save(folder, classifier.Model, classifier.Tokenizer, overwrite: output.MayReplace(parsed),
            dtype: dtype, also: into =>
            {
                if (kept is not null)
                {
                    AtomicFile.WriteText(Path.Combine(into, RunFiles.CertificateName), kept.ToJson());
                }
            });
        Console.WriteLine($"Merged {layers} layers into {folder}. Predict with it: lora predict --model "
            + $"{ShellWords.Quote(folder)} --text \"…\"");
        return 0;
    }

    private void RequireEffect(ParseResult parsed, bool isCertified)
    {
        foreach (var (name, isGiven) in (ReadOnlySpan<(string, bool)>)[(probe.Name, parsed.GetValue(probe) is not null),
            (force.Name, parsed.GetValue(force))])
        {
            if (isGiven && !isCertified)
            {
                throw new InputException($"{name} has no effect without --certificate, or a --dtype of half precision. "
                    + "Leave it out.");
            }
        }
    }

    private MergeProbes Probes(ParseResult parsed, TextClassifier classifier)
    {
        if (parsed.GetValue(probe) is not { } path)
        {
            return MergeProbes.Random(classifier);
        }
        TextInput[] texts = [.. TextDataset.ReadTexts(path, new DatasetOptions { EmptyRows = EmptyRows.Keep })
            .Select(example => new TextInput(example.Text))];
        return texts.Length > 0 ? new(texts, $"{Text.Count(texts.Length)} texts of {path}")
            : throw new InputException($"--probe is {path}, and there is no text in it.");
    }

    /// <summary>Refuses a merge that should not be trusted; says so where it is forced.</summary>
    private void Accept(ParseResult parsed, MergeCertificate kept)
    {
        if (kept.Objection is not { } objection)
        {
            return;
        }
        if (!parsed.GetValue(force))
        {
            throw new InputException($"{output.Path(parsed)}: nothing was written, for the merge keeps too little "
                + $"of the adapter: {objection}. "
                + (kept.Type == nameof(DType.F32) ? "Give --force to write it all the same."
                    : "Take --dtype f32, or give --force to write it all the same."));
        }
        Console.Error.WriteLine(Terminal.Printable($"warning: {objection}; written all the same, for --force is "
            + "given"));
    }

    private static void RoundZeros((string Path, QuantizedLinear Linear)[] layers)
    {
        var rows = new List<(string, IReadOnlyList<string>)>();
        foreach (var (path, linear) in layers)
        {
            var rounded = QALoRAMerge.RoundZeros(linear.Weight);
            linear.Weight.SetGrids(rounded.Grids);
            rows.Add((path, [rounded.RelativeError.ToString("F4", CultureInfo.InvariantCulture),
                rounded.LargestError.ToString("G3", CultureInfo.InvariantCulture),
                $"{Text.Count(rounded.Outside)} of {Text.Count(rounded.Grids.Length)} zeros"]));
        }
        Console.WriteLine("zeros rounded:");
        LayerTable.Print(Console.Out, ["error/|W|", "largest", "moved into the codes' range"], rows);
    }
}
