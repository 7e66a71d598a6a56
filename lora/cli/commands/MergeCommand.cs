using System.CommandLine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.DistilBert;

namespace LoraScratch.Cli;

/// <summary>lora merge: a model folder with the adapter written into the weights.</summary>
internal static class MergeCommand
{
    public static Command Create()
    {
        var model = new ModelOptions(adapterRequired: true);
        var output = OptionKinds.Path("--out", "DIR", "Where the merged model folder goes: a new or empty folder.", required: true);
        var device = new DeviceOptions();
        var command = new ExampleCommand("merge", "Writes W + scaling·A·B into the weights: a model folder that needs no adapter.",
            "lora merge --adapter my-adapter --out merged", "lora merge --model lora-demo/model --adapter lora-demo/adapter --out merged");
        model.AddTo(command);
        command.Add(output);
        device.AddTo(command);
        command.SetAction(parsed =>
        {
            var folder = parsed.GetValue(output)!;
            AtomicFolder.Check(folder);                                     // before the work, not after it
            using var backend = device.Open(parsed);
            var (classifier, adapter) = model.Load(parsed, backend);
            var layers = adapter!.Layers.Count;
            adapter.MergeAndDetach();
            ModelFolder.Save(folder, classifier.Model, classifier.Tokenizer);
            Console.WriteLine($"Merged {layers} layers into {folder}. Predict with it: lora predict --model {ShellWords.Quote(folder)} --text \"…\"");
            return 0;
        });
        return command;
    }
}
