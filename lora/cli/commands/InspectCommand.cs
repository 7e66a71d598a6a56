using System.CommandLine;
using LoraScratch.Cli.Tables;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>lora inspect: what a file or folder holds.</summary>
internal static class InspectCommand
{
    public static Command Create()
    {
        var path = new Argument<string?>("path")
        {
            Description =
            "A model folder, an adapter folder, the name of one on the Hugging Face hub, or a .safetensors file. "
                + $"[default: {PretrainedBase.Description}]",
            Arity = ArgumentArity.ZeroOrOne
        };
        var adapters = new Option<string[]>("--adapter")
        {
            Description = "With a model: adapters on it, with what each trains; may be given more than once.",
            HelpName = $"[NAME=]{HubFolders.HelpName}",
        };
        var anyBase = ModelOptions.AnyBase();
        var verbose = OptionKinds.Verbose();
        var spectrum = new SpectrumView();
        var command = new ExampleCommand("inspect",
            "Shows the modules, shapes, parameters and memory of a model, the layers of an adapter, or the tensors "
                + "of a .safetensors file.",
            "lora inspect", "lora inspect my-model", "lora inspect lora-demo/adapter",
                "lora inspect lora-demo/adapter/adapter_model.safetensors",
                    "lora inspect my-model --adapter my-adapter --verbose",
                        "lora inspect my-adapter --spectrum --html spectrum.html --rank-pattern ranks.json")
        { path, adapters, anyBase, verbose };
        spectrum.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.Run(() =>
        {
            var (named, hub) = (parsed.GetValue(path), new HubFolders());
            spectrum.RequireEffect(parsed);
            if (spectrum.IsWanted(parsed))
            {
                if (parsed.GetValue(adapters) is { Length: > 0 })
                {
                    throw new InputException("--spectrum is of the adapter that is named first; --adapter lists "
                        + "adapters on a model. Leave it out, and name the base with --model.");
                }
                spectrum.Show(parsed, named ?? throw new InputException("--spectrum needs an adapter folder: lora "
                    + "inspect ADAPTER --spectrum."), parsed.GetValue(anyBase), cancellation);
                return 0;
            }
            if (parsed.GetValue(adapters) is { Length: > 0 } given)
            {
                var onIt = TaskOptions.Named(given, hub);
                ShowAdapters(named is null ? hub.BaseOf([.. onIt.Select(adapter => adapter.Folder)]) : hub.Model(named),
                    onIt, parsed.GetValue(anyBase), parsed.GetValue(verbose));
            }
            else if (named is null)
            {
                Console.WriteLine($"{ModelSource.BuiltIn}: {ModelSource.BuiltIn.Reference}");
                ShowModel(ModelSource.BuiltIn, parsed.GetValue(verbose));
            }
            else
            {
                Show(hub.Folder(named), parsed.GetValue(verbose));
            }
            return 0;
        }));
        return command;
    }

    private static void Show(string path, bool everyLayer)
    {
        if (File.Exists(path))
        {
            TensorListing.Print(path, everyLayer);
        }
        else if (File.Exists(Path.Combine(PeftFolder.Find(path), PeftAdapter.ConfigName)))
        {
            AdapterListing.Print(PeftFolder.Find(path));
        }
        else if (File.Exists(Path.Combine(path, "config.json")))
        {
            ShowModel(ModelSource.Folder(path), everyLayer);
        }
        else
        {
            throw new InputException(Directory.Exists(path)
                ? $"inspect: the folder '{path}' has neither a config.json (a model) nor an {PeftAdapter.ConfigName} "
                    + "(an adapter)."
                : $"inspect: there is no file or folder '{path}'.");
        }
    }

    private static void ShowAdapters(ModelSource source, IReadOnlyList<(string Name, string Folder)> given,
        bool anyBase, bool everyLayer)
    {
        using var backend = new CpuBackend();
        var (classifier, _) = TaskOptions.Load(source, given, chosen: null, labels: null, anyBase, backend);
        Console.WriteLine(classifier.AdapterSet);
        foreach (var name in classifier.Adapters)
        {
            Console.WriteLine();
            Console.WriteLine($"{name}: {string.Join(", ", classifier.LabelsOf(name))}");
            Console.WriteLine(classifier.PutIn(name).Plan.Table(everyLayer));
        }
    }

    private static void ShowModel(ModelSource source, bool everyLayer)
    {
        using var backend = new CpuBackend();
        var classifier = ModelOptions.LoadModel(source, backend);
        var model = classifier.Model;
        Console.WriteLine(model);
        Console.WriteLine();
        (string Path, Shape Shape, string Form, long Bytes)[] tensors =
        [
            .. model.NamedParameters()
                .Select(entry => (entry.Path, entry.Parameter.Shape, "",
                    sizeof(float) * (long)entry.Parameter.Shape.Count)),
            .. model.NamedModules<WeightLayer>().Select(entry => (entry.Path, entry.Module.Weight))
                .Where(entry => entry.Weight.IsQuantized)
                .Select(entry => ($"{entry.Path}.weight", entry.Weight.Shape, entry.Weight.Form, entry.Weight.Bytes)),
        ];
        TensorTable.Print(Console.Out, [.. tensors.Select(tensor => (tensor.Path,
            (IReadOnlyList<string>)[$"{tensor.Shape}", Text.Count(tensor.Shape.Count), tensor.Form]))], everyLayer);
        var quantized = tensors.Where(tensor => tensor.Form.Length > 0).Sum(tensor => (long)tensor.Shape.Count);
        Console.WriteLine($"\n{Text.Count(tensors.Sum(tensor => (long)tensor.Shape.Count))} "
            + $"parameters{(quantized > 0 ? $", {Text.Count(quantized)} of them quantised" : "")}, "
            + $"{Text.Bytes(tensors.Sum(tensor => tensor.Bytes))} in memory");
        Console.WriteLine("Trainable with:");
        foreach (var (name, options) in Methods(classifier))
        {
            Console.WriteLine($"  {name,-62} {Text.Count(TrainableWith(classifier, options)),12}");
        }
    }

    private static IEnumerable<(string Name, TrainingOptions Options)> Methods(TextClassifier classifier)
    {
        var lowRank = new TrainingOptions().For(classifier.Source);
        var name = $"--rank {lowRank.Lora.Rank}";
        (string Name, TrainingOptions Options)[] all =
        [
            ("", lowRank with { Method = TrainingMethod.Full }),
            ("", lowRank with { Method = TrainingMethod.LastLayers }),
            .. new[] { TrainingMethod.LoRA, TrainingMethod.QALoRA }.SelectMany(method => ((string, TrainingOptions)[])
                [(name, lowRank with { Method = method }),
                    ($"{name} --train-head false", lowRank with { Method = method, TrainHead = false })]),
        ];
        return all.Where(entry => CanTrain(classifier, entry.Options))
            .Select(entry => ($"--method {TrainingOptions.NameOf(entry.Options.Method)} {entry.Name}".TrimEnd(),
                entry.Options));
    }

    /// <summary>
    /// Whether a method can train the model as it is; QA-LoRA trains a float model as well, but
    /// another one comes of it.
    /// </summary>
    private static bool CanTrain(TextClassifier classifier, TrainingOptions options)
    {
        try
        {
            TrainingSetup.Check(classifier, options);
            return options.Method != TrainingMethod.QALoRA || classifier.Model.Config.Quantized.Count > 0;
        }
        catch (InputException)
        {
            return false;
        }
    }

    private static long TrainableWith(TextClassifier classifier, TrainingOptions options)
    {
        var adapter = TrainingSetup.Prepare(classifier, options);
        var count = classifier.Model.TrainableParameters().Sum(parameter => (long)parameter.Shape.Count);
        adapter?.Detach();
        return count;
    }
}
