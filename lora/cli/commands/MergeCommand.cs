using System.CommandLine;
using System.Globalization;
using LoraScratch.Cli.Tables;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Cli;

/// <summary>lora merge: a model folder with the adapter written into the weights.</summary>
internal static class MergeCommand
{
    public static Command Create()
    {
        var model = new ModelOptions(adapterRequired: true);
        var output = new OutputOptions("DIR", "Where the merged model folder goes.");
        var roundZeros = new Option<bool>("--round-zeros")
        {
            Description = "Rounds the zeros of the quantised layers to whole numbers afterwards, as some other "
                + "programs want them, and shows the error that it causes.",
        };
        var device = new DeviceOptions();
        var command = new ExampleCommand("merge",
            "Writes W + scaling·A·B into the weights, or with an adapter of quantised layers into their zeros: a "
                + "model folder that needs no adapter.",
            "lora merge --adapter my-adapter --out merged",
                "lora merge --model my-model --adapter my-adapter --out merged",
            "lora merge --model base-int4 --adapter my-qa-lora-adapter --round-zeros --out merged-int4");
        model.AddTo(command);
        output.AddTo(command);
        command.Add(roundZeros);
        device.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.Run(() =>
        {
            var folder = output.Path(parsed)!;
            using var reserved = output.Reserve(parsed, ModelFolder.Reserve, model.Folders(parsed));
            using var backend = device.Open(parsed);
            var (classifier, adapter) = model.Load(parsed, backend);
            var layers = adapter!.Layers.Count;
            if (parsed.GetValue(roundZeros) && classifier.Model.Config.Quantized.Count == 0)
            {
                throw new InputException("--round-zeros has no effect: the model has no layers quantised in groups, "
                    + "and no zeros. Leave it out.");
            }
            adapter.MergeAndDetach();
            if (parsed.GetValue(roundZeros))
            {
                RoundZeros([.. classifier.Model.NamedModules<QuantizedLinear>()]);
            }
            cancellation.ThrowIfCancellationRequested();
            ModelFolder.Save(folder, classifier.Model, classifier.Tokenizer, overwrite: output.MayReplace(parsed));
            Console.WriteLine($"Merged {layers} layers into {folder}. Predict with it: lora predict --model "
                + $"{ShellWords.Quote(folder)} --text \"…\"");
            return 0;
        }));
        return command;
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
