using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.DistilBert;

namespace LoraScratch.Cli;

/// <summary>The options that name a trained model: --model and, perhaps, --adapter.</summary>
/// <param name="adapterRequired">Whether there must be an adapter.</param>
internal sealed class ModelOptions(bool adapterRequired = false)
{
    private readonly ModelOption model = new();
    private readonly Option<string> adapter = OptionKinds.Path("--adapter", "DIR", "An adapter folder in PEFT's "
        + "format, as 'lora train' writes it.", adapterRequired);
    private readonly Option<bool> anyBase = AnyBase();

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        model.AddTo(command);
        command.Add(adapter);
        command.Add(anyBase);
    }

    /// <summary>--any-base, which every command has that loads an adapter.</summary>
    public static Option<bool> AnyBase() =>
        new("--any-base")
        {
            Description =
            "Uses an adapter although the model's weights are not the ones that it was trained on."
        };

    /// <summary>
    /// The folders that are read, by option; null for the built-in base model, and without an
    /// adapter.
    /// </summary>
    public (string Option, string? Path)[] Folders(ParseResult parsed) =>
        [("--model", model.Source(parsed).Path), ("--adapter", parsed.GetValue(adapter))];

    /// <summary>
    /// Loads the model and attaches the adapter; what the files left open is said on standard
    /// error.
    /// </summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="backend">Where to put it.</param>
    /// <returns>The classifier, ready to predict, and the adapter if one is named.</returns>
    /// <exception cref="InputException">
    /// A file is missing or wrong, or neither model nor adapter has a trained head.
    /// </exception>
    public (TextClassifier Classifier, LoRAAdapter? Adapter) Load(ParseResult parsed, IBackend backend)
    {
        var source = model.Source(parsed);
        if (parsed.GetValue(adapter) is not { } adapterFolder)
        {
            var plain = LoadModel(source, backend);
            RequireHead(plain.IsHeadDrawn, source, null);
            return (plain, null);
        }
        // A base without a head takes the classes that the adapter was trained for.
        var classifier = LoadModel(source, backend, labels: LabelsOf(adapterFolder, source));
        return (classifier, Attach(classifier, adapterFolder, source, parsed.GetValue(anyBase)));
    }

    /// <summary>
    /// Attaches an adapter to a loaded model and says on standard error what is odd about it.
    /// </summary>
    /// <param name="classifier">The model.</param>
    /// <param name="adapter">The adapter folder.</param>
    /// <param name="model">Where the model is from.</param>
    /// <param name="anyBase">Whether other weights than it was trained on will do.</param>
    /// <exception cref="InputException">
    /// The adapter does not fit, or neither it nor the model has a trained head.
    /// </exception>
    public static LoRAAdapter Attach(TextClassifier classifier, string adapter, ModelSource model, bool anyBase)
    {
        classifier.Tokenizer.RequireAgreement(adapter);
        var loaded = PeftAdapter.Load(adapter, classifier.Model, anyBase: anyBase);
        Notices(adapter, loaded.Warnings);
        RequireHead(classifier.IsHeadDrawn && !HasWholeHead(loaded.Adapter), model, adapter);
        classifier.Model.Evaluate();
        return loaded.Adapter;
    }

    /// <summary>
    /// The classes that an adapter was trained for, where the model's config.json cannot know them.
    /// </summary>
    /// <param name="adapter">The adapter folder.</param>
    /// <param name="model">Where the model is from.</param>
    /// <returns>
    /// The names in its training.json; without that file, as another program's adapters are,
    /// numbered names if config.json has not as many as the adapter's head; else null.
    /// </returns>
    /// <exception cref="InputException">
    /// There is no such folder, or a file is malformed.
    /// </exception>
    public static IReadOnlyList<string>? LabelsOf(string adapter, ModelSource model)
    {
        if (!File.Exists(Path.Combine(adapter, PeftAdapter.ConfigName)))
        {
            throw new InputException(Directory.Exists(adapter)
                ? $"{adapter}: no {PeftAdapter.ConfigName}. An adapter folder holds it and {PeftAdapter.WeightsName}."
                : $"{adapter}: there is no such folder. An adapter folder with {PeftAdapter.ConfigName} and "
                    + $"{PeftAdapter.WeightsName} is expected.");
        }
        return RunFiles.ReadLabels(adapter)
            ?? (PeftAdapter.ReadClassCount(adapter) is { } count && count != model.ReadConfig().Labels.Count
                ? [.. Enumerable.Range(0, count).Select(id => $"LABEL_{id}")] : null);
    }

    /// <summary>Loads a model and says on standard error what its files left open.</summary>
    /// <param name="source">Where it is from.</param>
    /// <param name="backend">Where to put it.</param>
    /// <param name="seed">Draws a head that the checkpoint lacks.</param>
    /// <param name="labels">
    /// Classes of a head that the checkpoint lacks; null: those of config.json.
    /// </param>
    public static TextClassifier LoadModel(ModelSource source, IBackend backend, ulong seed = 0,
        IReadOnlyList<string>? labels = null)
    {
        var loaded = source.Load(seed, labels, backend);
        Notices(source.Name, source.Notices(loaded.Notices()));
        return new TextClassifier(loaded);
    }

    /// <summary>Notes for the user, one line each.</summary>
    public static void Notices(string about, IEnumerable<string> notices)
    {
        foreach (var notice in notices)
        {
            Console.Error.WriteLine(
                Terminal.Printable(notice.StartsWith(about, StringComparison.Ordinal)
                    ? $"note: {notice}" : $"note: {about}: {notice}"));
        }
    }

    private static bool HasWholeHead(LoRAAdapter adapter) =>
        DistilBertForSequenceClassification.HeadPaths
        .All(path => adapter.Plan.Kept.Any(kept => path.StartsWith($"{kept.Path}.", StringComparison.Ordinal)));

    /// <summary>Refuses a head that was drawn at random.</summary>
    /// <param name="isMissing">Whether nobody trained it.</param>
    /// <param name="model">Where the model is from.</param>
    /// <param name="adapter">The adapter folder, or null.</param>
    internal static void RequireHead(bool isMissing, ModelSource model, string? adapter)
    {
        if (isMissing)
        {
            throw new InputException(adapter is null
                ? $"{model}: it has no trained classification head, so its answers would be random. Train an adapter "
                    + "with one and name it with --adapter: "
                    + $"{ShellWords.Join(["lora", "train", .. ModelOption.Words(model), "--data"])} … --out my-adapter"
                : $"{model}: it has no trained classification head, and neither has the adapter {adapter}, so the "
                    + "answers would be random. Name the model that the adapter was trained on.");
        }
    }
}
