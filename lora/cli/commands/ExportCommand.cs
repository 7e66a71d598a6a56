using System.CommandLine;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Export;

namespace LoraScratch.Cli;

/// <summary>lora export: a model for everybody else's tools.</summary>
internal static class ExportCommand
{
    private const string Folder = "folder", Onnx = "onnx";

    public static Command Create()
    {
        var model = new ModelOptions();
        var to = OptionKinds.OptionalChoice("--to", "folder: config.json, model.safetensors in float32 and a "
            + "tokenizer, as transformers reads them. onnx: an ONNX model of opset 17, with config.json and tokenizer "
            + "in a folder, or alone where --out ends with .onnx.", Folder, Onnx);
        to.Required = true;
        var output = new OutputOptions("PATH", "Where it goes.");
        var device = new DeviceOptions();
        var command = new ExampleCommand("export",
            "Writes a model, its adapter merged, for other programs: as a folder that Python's transformers reads, or "
                + "as ONNX. A model without a trained head gives the vectors of its tokens.",
            "lora export --adapter my-adapter --to onnx --out my-onnx",
                "lora export --adapter my-adapter --to onnx --out my-model.onnx",
            "lora export --model my-model --to folder --out my-transformers-model",
                "lora export --to onnx --out encoder.onnx");
        model.AddTo(command);
        command.Add(to);
        output.AddTo(command);
        device.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.Run(() =>
        {
            var (path, isOnnx) = (output.Path(parsed)!, parsed.GetValue(to) == Onnx);
            using var reserved = output.Reserve(parsed, isOnnx ? ModelExport.ReserveOnnx : ModelFolder.Reserve,
                model.Folders(parsed));
            using var backend = device.Open(parsed);
            var (classifier, hasHead) = model.LoadAny(parsed, backend);
            cancellation.ThrowIfCancellationRequested();
            foreach (var note in Notes(classifier.Model.Config, isOnnx))
            {
                ModelOptions.Notices([note]);
            }
            if (isOnnx)
            {
                Say(path, ModelExport.WriteOnnx(classifier, path, adapter: null, encoderOnly: !hasHead,
                    output.MayReplace(parsed)));
                return 0;
            }
            ModelExport.ToFolder(classifier, path, encoderOnly: !hasHead, overwrite: output.MayReplace(parsed));
            Console.WriteLine($"Exported to {path}. In Python: "
                + $"{(hasHead ? "AutoModelForSequenceClassification" : "AutoModel")}.from_pretrained(\"{path}\")");
            return 0;
        }));
        return command;
    }

    private static void Say(string path, OnnxSummary summary)
    {
        Console.WriteLine($"Exported to {path}.");
        Console.WriteLine($"opset    {OnnxGraph.Opset}; {Text.Bytes(summary.Bytes)}");
        foreach (var input in summary.Inputs)
        {
            Console.WriteLine($"input    {input}, int64");
        }
        foreach (var value in summary.Outputs)
        {
            Console.WriteLine($"output   {value}, float");
        }
    }

    /// <summary>What is not the same there.</summary>
    private static IEnumerable<string> Notes(EncoderConfig config, bool isOnnx)
    {
        var (groups, bytes) = (config.Quantized.Count, config.DynamicInt8.Count);
        if (isOnnx && groups > 0)
        {
            yield return $"{groups} layers have weights of few bits: each takes 8 in the file, and the values are the "
                + "same.";
        }
        if (!isOnnx && !config.IsPlain)
        {
            yield return $"{config.LowRank.Keys.Union(config.Quantized.Keys).Union(config.DynamicInt8).Count()} layers "
                + "are quantised or in low-rank form: they are written as the float32 matrices that they stand for.";
        }
        if (!isOnnx && bytes > 0)
        {
            yield return $"{bytes} of them round their inputs to 8 bits here, and do not there: answers differ a "
                + "little.";
        }
    }
}
