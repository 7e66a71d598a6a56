using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.DistilBert;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>lora inspect: what a file or folder holds.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        var path = new Argument<string?>("path") { Description = $"A model folder, an adapter folder, or a .safetensors file. [default: {PretrainedBase.Description}]", Arity = ArgumentArity.ZeroOrOne };
        var adapters = new Option<string[]>("--adapter")
        {
            Description = "With a model: adapters on it, with what each trains; may be given more than once.",
            HelpName = "[NAME=]DIR",
        };
        var anyBase = ModelOptions.AnyBase();
        var command = new ExampleCommand("inspect", "Shows the modules, shapes, parameters and memory of a model, the layers of an adapter, or the tensors of a .safetensors file.",
            "lora inspect", "lora inspect lora-demo/model", "lora inspect lora-demo/adapter", "lora inspect lora-demo/adapter/adapter_model.safetensors", "lora inspect lora-demo/model --adapter lora-demo/adapter") { path, adapters, anyBase };
        command.SetAction(parsed =>
        {
            var named = parsed.GetValue(path);
            var source = named is null ? ModelSource.BuiltIn : ModelSource.Folder(named);
            if (parsed.GetValue(adapters) is { Length: > 0 } given)
            {
                ShowAdapters(source, given, parsed.GetValue(anyBase));
            }
            else if (named is null)
            {
                Console.WriteLine($"{source}: {source.Reference}");
                ShowModel(source);
            }
            else
            {
                Show(named);
            }
            return 0;
        });
        return command;
    }

    private static void Show(string path)
    {
        if (File.Exists(path))
        {
            TensorListing.Print(path);
        }
        else if (File.Exists(Path.Combine(path, PeftAdapter.ConfigName)))
        {
            AdapterListing.Print(path);
        }
        else if (File.Exists(Path.Combine(path, "config.json")))
        {
            ShowModel(ModelSource.Folder(path));
        }
        else
        {
            throw new InputException(Directory.Exists(path)
                ? $"inspect: the folder '{path}' has neither a config.json (a model) nor an {PeftAdapter.ConfigName} (an adapter)."
                : $"inspect: there is no file or folder '{path}'.");
        }
    }

    private static void ShowAdapters(ModelSource source, string[] given, bool anyBase)
    {
        using var backend = new CpuBackend();
        var (adapters, tasks) = TaskOptions.Load(source, given, null, anyBase, backend);
        Console.WriteLine(adapters);
        foreach (var (name, task) in adapters.Names.Zip(tasks))
        {
            task.Activate();
            Console.WriteLine($"\n{name}: {string.Join(", ", task.Classifier.Labels)}\n{adapters[name].Plan}");
        }
    }

    private static void ShowModel(ModelSource source)
    {
        using var backend = new CpuBackend();
        var classifier = ModelOptions.LoadModel(source, backend);
        var model = classifier.Model;
        Console.WriteLine(model);
        Console.WriteLine();
        var parameters = model.NamedParameters().ToArray();
        var width = parameters.Max(entry => entry.Path.Length);
        foreach (var (path, parameter) in parameters)
        {
            Console.WriteLine($"{path.PadRight(width)}  {parameter.Shape,-14}  {Text.Count(parameter.Shape.Count),12}");
        }
        var count = parameters.Sum(entry => (long)entry.Parameter.Shape.Count);
        Console.WriteLine($"\n{Text.Count(count)} parameters, {Text.Bytes(count * sizeof(float))} as float32 in memory");
        Console.WriteLine("Trainable with:");
        foreach (var (name, options) in Methods())
        {
            Console.WriteLine($"  {name,-62} {Text.Count(TrainableWith(classifier, options)),12}");
        }
    }

    private static IEnumerable<(string Name, TrainingOptions Options)> Methods() =>
    [
        ("--method full", new TrainingOptions { Method = TrainingMethod.Full }),
        ("--method last-layers", new TrainingOptions { Method = TrainingMethod.LastLayers }),
        ("--method lora --rank 8 --targets query,value", new TrainingOptions()),
        ("--method lora --rank 8 --targets query,value --train-head false", new TrainingOptions { TrainHead = false }),
    ];

    private static long TrainableWith(TextClassifier classifier, TrainingOptions options)
    {
        var adapter = TrainingSetup.Prepare(classifier, options);
        var count = classifier.Model.TrainableParameters().Sum(parameter => (long)parameter.Shape.Count);
        adapter?.Detach();
        return count;
    }
}
