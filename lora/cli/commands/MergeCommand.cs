using System.CommandLine;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.DistilBert;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>lora merge: a model folder with the adapter written into the weights.</summary>
internal static class MergeCommand
{
    public static Command Create()
    {
        var model = new Option<string>("--model") { Description = "The model folder that the adapter was trained on.", Required = true, HelpName = "DIR" };
        var adapter = new Option<string>("--adapter") { Description = "The adapter folder.", Required = true, HelpName = "DIR" };
        var output = new Option<string>("--out") { Description = "Where the merged model folder goes: a new or empty folder, or a model folder that lora wrote.", Required = true, HelpName = "DIR" };
        var device = new DeviceOptions();
        var command = new ExampleCommand("merge", "Writes W + scaling·A·B into the weights: a model folder that needs no adapter.",
            "lora merge --model lora-demo/model --adapter lora-demo/adapter --out merged") { model, adapter, output };
        device.AddTo(command);
        command.SetAction(parsed =>
        {
            ModelFolder.CheckWritable(parsed.GetValue(output)!);
            using var backend = device.Open(parsed);
            var folder = parsed.GetValue(adapter)!;
            var loaded = ModelOptions.LoadModel(parsed.GetValue(model)!, labels: TrainingFolder.ReadLabels(folder));
            var peft = PeftAdapter.Load(folder, loaded.Model);
            ModelOptions.Notices(folder, peft.Warnings);
            peft.Adapter.MergeAndDetach();
            ModelFolder.Save(parsed.GetValue(output)!, loaded.Model, loaded.Tokenizer);
            Console.WriteLine($"Merged {peft.Adapter.Layers.Count} layers into {parsed.GetValue(output)}.");
            return 0;
        });
        return command;
    }
}
