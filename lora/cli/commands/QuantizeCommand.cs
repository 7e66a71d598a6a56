using System.CommandLine;
using System.Globalization;
using LoraScratch.Cli.Tables;
using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Quantization;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Cli;

/// <summary>
/// lora quantize: a model with weights of a few bits, or one that computes on whole numbers.
/// </summary>
internal sealed class QuantizeCommand
{
    private static readonly string[] TargetNames = [.. LoRATargets.OfEncoder];

    private readonly ModelOption model = new();
    private readonly QuantizationOptions quantization = new();
    private readonly Option<bool> dynamic = new("--dynamic")
    {
        Description = "Instead of --bits: weights of 8 bits with a scale for each output, and inputs that are "
            + "rounded to 8 bits on the fly, so that products are sums of whole numbers. Faster than float32, for "
            + "prediction only.",
    };

    private readonly Option<string[]> calibration = OptionKinds.Paths("--calibration", "Texts that show what the "
        + "inputs of each layer look like, in the same formats as --data; labels are not needed. "
        + "gptq needs them; with rtn and --dynamic they give the error of each layer's output.");

    private readonly Option<int> calibrationTexts =
        OptionKinds.Whole("--calibration-texts", "How many of them are used, drawn by seed.", 128);
    private readonly OutputOptions output = new("DIR", "Where the quantised model folder goes.");
    private readonly Option<WordList> targets =
        OptionKinds.Words("--targets", "Layers that are quantised", TargetNames, TargetNames);
    private readonly MeasurementOptions measurement = new("the texts of --limit and of --calibration");
    private readonly DeviceOptions device = new();

    public static Command Create()
    {
        var quantize = new QuantizeCommand();
        var command = new ExampleCommand("quantize",
            "Rounds the weights of linear layers to a few bits, in groups that share a scale and a zero: the error "
                + "of every layer, and a smaller model folder. "
            + "With --data, its accuracy before and after. 'lora train --method qa-lora' trains on it.",
            "lora quantize --bits 4 --group-size 32 --out base-int4",
                "lora quantize --model my-model --method gptq --calibration train.csv --out my-int4 --data test.csv",
            "lora quantize --dynamic --model my-model --out my-int8 --data test.csv");
        quantize.model.AddTo(command);
        quantize.quantization.AddTo(command);
        command.Add(quantize.dynamic);
        foreach (Option option in (Option[])[quantize.calibration, quantize.calibrationTexts, quantize.targets])
        {
            command.Add(option);
        }
        quantize.output.AddTo(command);
        quantize.measurement.AddTo(command);
        quantize.device.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.Run(() => quantize.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var isDynamic = parsed.GetValue(dynamic);
        if (isDynamic && quantization.FirstGiven(parsed) is { } other)
        {
            throw new InputException($"{other.Name} has no effect with --dynamic, which has 8 bits and a scale for "
                + "each output. Leave one of the two out.");
        }
        var settings = quantization.Parse(parsed);
        var folder = output.Path(parsed)!;
        OptionKinds.RequirePositive("--calibration-texts", parsed.GetValue(calibrationTexts));
        if (parsed.GetResult(calibrationTexts) is { Implicit: false }
            && parsed.GetValue(calibration) is not { Length: > 0 })
        {
            throw new InputException("--calibration-texts says how many texts of --calibration are used, which is "
                + "missing. Give --calibration DATA, or leave it out.");
        }
        if (settings.Method == QuantizationMethod.Gptq && parsed.GetValue(calibration) is not { Length: > 0 })
        {
            throw new InputException("--method gptq needs texts that show what the inputs of each layer look like. "
                + "Give --calibration DATA (a hundred texts will do), or take --method rtn.");
        }
        var source = model.Source(parsed);
        using var reserved = output.Reserve(parsed, ModelFolder.Reserve, ("--model", source.Path));
        using var backend = device.Open(parsed);
        var classifier = ModelOptions.LoadModel(source, backend);
        if (measurement.IsGiven(parsed))
        {
            ClassifierLoader.RequireHead(classifier, source);
        }
        var layers = ModelQuantizer.Find(classifier.Model,
            LoRATargets.Patterns(classifier.Model.Config.Family, parsed.GetValue(targets)!.Words));
        if (!isDynamic)
        {
            ModelQuantizer.Check(layers, settings.Format);
        }
        var measure = measurement.IsGiven(parsed) ? measurement.Prepare(parsed, classifier, cancellation) : null;
        var before = measure?.Invoke();
        var texts = parsed.GetValue(calibration) is { Length: > 0 } paths
            ? CalibrationTexts(parsed, paths, classifier) : null;
        var bytesBefore = classifier.Model.WeightBytes();
        var quantized = isDynamic ? QuantizeDynamically(classifier, layers, texts, cancellation)
            : Quantize(classifier, layers, settings, texts, cancellation);
        ModelFolder.Save(folder, classifier.Model, classifier.Tokenizer,
            withHead: !classifier.IsHeadUntrained, output.MayReplace(parsed));
        QuantizationReport.Print(quantized, isDynamic ? "dynamic INT8" : settings.Format.ToString(), Console.Out);
        var bytesAfter = classifier.Model.WeightBytes();
        Console.WriteLine($"whole model in memory: {Text.Bytes(bytesBefore)} → {Text.Bytes(bytesAfter)} "
            + $"({Text.Percent((double)bytesAfter / bytesBefore)}), in {folder}");
        if (before is not null)
        {
            var after = measure!();
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"accuracy {Text.Percent(before.Accuracy)} → {Text.Percent(after.Accuracy)}, loss {before.Loss:F4} → "
                    + $"{after.Loss:F4}"));
        }
        return 0;
    }

    private static IReadOnlyList<QuantizedLayer> Quantize(TextClassifier classifier,
        IReadOnlyList<QuantizableLayer> layers, QuantizationSettings settings, IReadOnlyList<EncodedExample>? texts,
        CancellationToken cancellation)
    {
        using var calibration = texts is null
            ? null : Calibration.Of(layers, () => classifier.Run(texts, cancellation: cancellation));
        return ModelQuantizer.Quantize(layers, settings.Format, settings.Method, calibration, layer =>
        {
            cancellation.ThrowIfCancellationRequested();
            Console.Error.WriteLine($"{layer.Path}: quantised");
        });
    }

    private static IReadOnlyList<QuantizedLayer> QuantizeDynamically(TextClassifier classifier,
        IReadOnlyList<QuantizableLayer> layers, IReadOnlyList<EncodedExample>? texts, CancellationToken cancellation)
    {
        using var quantization = DynamicQuantization.Of(layers);
        if (texts is not null)
        {
            using (quantization.Listen())
            {
                classifier.Run(texts, cancellation: cancellation);
            }
        }
        cancellation.ThrowIfCancellationRequested();
        return quantization.Apply();
    }

    private IReadOnlyList<EncodedExample> CalibrationTexts(ParseResult parsed, string[] paths,
        TextClassifier classifier)
    {
        var format = measurement.Format(parsed);
        classifier.RequirePairs(format.TextPairColumn is not null, paths[0]);
        (string Text, string? TextPair)[] all = format.TextPairColumn is null
            ? [.. TextCorpus.Load(paths, [], format).Texts.Select(text => (text, (string?)null))]
            : [.. paths.SelectMany(path => TextDataset.ReadTexts(path, format))
                .Select(example => (example.Text, example.TextPair)).Distinct()];
        var chosen = Permutation.Random(all.Length, measurement.Seed(parsed), Permutation.LimitStream)
            .Take(parsed.GetValue(calibrationTexts)).Order();
        var longest = classifier.MaxTokens(measurement.MaxLength(parsed));
        EncodedText[] texts = [.. chosen.Select(text =>
            classifier.Tokenizer.EncodeIds(all[text].Text, all[text].TextPair, longest))];
        Console.Error.WriteLine($"calibration: {Text.Count(texts.Length)} of {Text.Count(all.Length)} texts, "
            + $"{Text.Count(texts.Sum(text => (long)text.Ids.Length))} tokens"
            + $"{Text.Cut(texts.Count(text => text.IsTruncated))}");
        return [.. texts.Select(text => new EncodedExample(text))];
    }
}
