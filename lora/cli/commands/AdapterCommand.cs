using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Cli;

/// <summary>lora adapter: what is wrong with an adapter, and adapters of other programs.</summary>
internal static class AdapterCommand
{
    public static Command Create() =>
        new ExampleCommand("adapter",
            "Checks an adapter folder, or rewrites an adapter in another program's convention.",
        "lora adapter check lora-demo/adapter",
            "lora adapter convert lora-demo/adapter --to tutorial --out tutorial.safetensors")
    {
        Check(),
        Convert(),
    };

    private static Command Check()
    {
        var folder = new Argument<string>("adapter")
        {
            Description = "An adapter folder in PEFT's format, or the name of one on the Hugging Face hub."
        };
        var model = OptionKinds.Path("--model", HubFolders.HelpName,
            "The model that it belongs to: its layers, shapes and weights are compared, too. [default: "
                + $"{PretrainedBase.Description}, if that is the one that the adapter names]");
        var command = new ExampleCommand("check",
            "Lists everything that is wrong with an adapter folder: half a pair of A and B, shapes against r, NaN, "
                + "an untrained B, names that nothing would be loaded from, "
            + "a missing head, another base; and says which scale its numbers mean. The exit code is 1 where there "
            + "is an error.",
            "lora adapter check lora-demo/adapter", "lora adapter check my-adapter --model my-model") { folder, model };
        command.SetAction(parsed =>
        {
            using var backend = new CpuBackend();
            var hub = new HubFolders();
            var path = hub.Folder(parsed.GetValue(folder)!);
            var source = parsed.GetValue(model) is { } given
                ? hub.Model(given) : PretrainedBase.IsNamedBy(BaseOf(path)) ? ModelSource.BuiltIn : null;
            var classifier = source is null ? null : Load(source, path, backend);
            var findings = AdapterCheck.Run(path, classifier?.Model, classifier?.Tokenizer);
            foreach (var finding in findings)
            {
                Console.WriteLine($"{finding.Kind.ToString().ToLowerInvariant()}: "
                    + $"{Terminal.Printable(Terminal.WithFlags(finding.Message))}");
            }
            var (errors, warnings) =
                (findings.Count(finding => finding.Kind == FindingKind.Error),
                    findings.Count(finding => finding.Kind == FindingKind.Warning));
            Console.WriteLine($"{path}: {Counted(errors, "error")}, {Counted(warnings, "warning")}");
            return errors == 0 ? 0 : 1;
        });
        return command;
    }

    private static Command Convert()
    {
        var source = new Argument<string>("adapter")
        {
            Description =
            "A folder in PEFT's format, the name of one on the Hugging Face hub, or the .safetensors file of a state "
                + "dict in loralib's or the tutorials' convention; its names tell which."
        };
        var to = new Option<string>("--to")
        {
            Description = "The convention that is wanted: peft writes a folder, "
            + "the others a .safetensors file.",
            HelpName = string.Join('|', AdapterConventions.Names),
            Required = true
        };
        var output = new OutputOptions("PATH", "Where it goes.");
        var alpha = OptionKinds.OptionalNumber("--alpha",
            "alpha of a state dict whose metadata does not say it: raw for the tutorials' (s = alpha), divided by r "
                + "for loralib's (s = alpha/r).");
        var command = new ExampleCommand("convert",
            "Rewrites an adapter in PEFT's, loralib's or the tutorials' convention: names, orientation of A and B, "
                + "and the alpha that means the same scale there.",
            "lora adapter convert lora-demo/adapter --to tutorial --out tutorial.safetensors",
                "lora adapter convert studio.safetensors --alpha 16 --to peft --out my-adapter",
            "lora adapter convert lora-demo/adapter --to loralib --out loralib.safetensors") { source, to, alpha };
        output.AddTo(command);
        command.SetAction(parsed =>
        {
            var convention = AdapterConventions.Parse(parsed.GetValue(to)!);
            var path = output.Path(parsed)!;
            var from = new HubFolders().Folder(parsed.GetValue(source)!);
            using var reserved = output.Reserve(parsed,
                convention == AdapterConvention.Peft ? PeftAdapter.Reserve : AtomicFile.Reserve,
                ("the adapter", from));
            var converted = AdapterConversion.Convert(
                from, path, convention, parsed.GetValue(alpha), output.MayReplace(parsed));
            ModelOptions.Notices(from, converted.Warnings);
            Console.WriteLine($"Converted {Counted(converted.Layers, "layer")} from {converted.From.Name()} to "
                + $"{convention.Name()} in {path}: {converted.Scale}.");
            return 0;
        });
        return command;
    }

    /// <summary>
    /// The model with the head that the adapter brings; a folder that is too broken to say which
    /// is the check's business.
    /// </summary>
    private static TextClassifier Load(ModelSource source, string adapter, IBackend backend)
    {
        using var model = source.Open();
        var task = OrNull(() => AdapterTask.Read(adapter));
        return ModelOptions.Load(model, backend, labels: OrNull(() => task?.Labels(given: null, model.Config)),
            newHead: task is { HasHead: true });
    }

    /// <summary>The name of the model that an adapter says it was trained on.</summary>
    private static string? BaseOf(string adapter) =>
        OrNull(() => PeftConfig.Read(Path.Combine(PeftAdapter.Find(adapter), PeftAdapter.ConfigName)).BaseModel);

    private static T? OrNull<T>(Func<T?> read) where T : class
    {
        try
        {
            return read();
        }
        catch (InputException)
        {
            return null;
        }
    }

    private static string Counted(int count, string what) => $"{count} {what}{(count == 1 ? "" : "s")}";
}
