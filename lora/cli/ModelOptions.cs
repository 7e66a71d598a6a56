using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.DistilBert;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>The options that name a trained model: --model and, perhaps, --adapter.</summary>
internal sealed class ModelOptions
{
    private readonly Option<string> model = new("--model") { Description = "A model folder: config.json, model.safetensors and vocab.txt.", Required = true, HelpName = "DIR" };
    private readonly Option<string?> adapter = new("--adapter") { Description = "An adapter folder in PEFT's format, as 'lora train' writes it.", HelpName = "DIR" };

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        command.Add(model);
        command.Add(adapter);
    }

    /// <summary>Loads the model and attaches the adapter; what the files left open is said on standard error.</summary>
    /// <returns>The classifier, ready to predict.</returns>
    /// <exception cref="InputException">A file is missing or wrong, or the model has no trained head.</exception>
    public TextClassifier Load(ParseResult parsed)
    {
        var folder = parsed.GetValue(model)!;
        var adapterFolder = parsed.GetValue(adapter);
        // A base without a head takes the classes that the adapter was trained for.
        var classifier = new TextClassifier(LoadModel(folder, labels: adapterFolder is null ? null : TrainingFolder.ReadLabels(adapterFolder)));
        var headIsTrained = !classifier.IsHeadDrawn;
        if (adapterFolder is not null)
        {
            var loaded = PeftAdapter.Load(adapterFolder, classifier.Model);
            Notices(adapterFolder, loaded.Warnings);
            headIsTrained |= loaded.Adapter.Plan.Kept.Count > 0;
        }
        if (!headIsTrained)
        {
            throw new InputException($"{folder}: the checkpoint has no classification head, so its answers would be random. Train one (lora train --model {folder} …), or name an adapter that has a head with --adapter.");
        }
        classifier.Model.Evaluate();
        return classifier;
    }

    /// <summary>Loads a model folder and says on standard error what its files left open.</summary>
    public static LoadedModel LoadModel(string folder, ulong seed = 0, IReadOnlyList<string>? labels = null)
    {
        var loaded = ModelFolder.Load(folder, seed, labels);
        Notices(folder, loaded.Notices());
        return loaded;
    }

    /// <summary>Notes for the user, one line each.</summary>
    public static void Notices(string about, IEnumerable<string> notices)
    {
        foreach (var notice in notices)
        {
            Console.Error.WriteLine($"note: {about}: {notice}");
        }
    }
}
