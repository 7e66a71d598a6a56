using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Cli;

/// <summary>
/// The options that name a trained model: --model and, perhaps, --adapter and --labels.
/// </summary>
/// <param name="adapterRequired">Whether there must be an adapter.</param>
internal sealed class ModelOptions(bool adapterRequired = false)
{
    private readonly ModelOption model = new();
    private readonly Option<string> adapter = OptionKinds.Path("--adapter", HubFolders.HelpName, "An adapter folder in "
        + "PEFT's format, as 'lora train' writes it; or its name on the Hugging Face hub.", adapterRequired);
    private readonly LabelsOption labels = new();
    private readonly Option<bool> anyBase = AnyBase();

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        model.AddTo(command);
        command.Add(adapter);
        labels.AddTo(command);
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
        [("--model", Source(parsed).Path), ("--adapter", Adapter(parsed))];

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
    public (TextClassifier Classifier, LoRAAdapter? Adapter) Load(ParseResult parsed, IBackend backend) =>
        Load(Source(parsed), Adapter(parsed), labels.Names(parsed), parsed.GetValue(anyBase), backend);

    /// <summary>
    /// Loads the model and attaches the adapter, if one is named; a model without an adapter need
    /// not have a trained head.
    /// </summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="backend">Where to put it.</param>
    /// <returns>The classifier, and whether there is a trained head.</returns>
    /// <exception cref="InputException">
    /// A file is missing or wrong, or names of classes are given for a model that has none.
    /// </exception>
    public (TextClassifier Classifier, bool HasHead) LoadAny(ParseResult parsed, IBackend backend)
    {
        if (parsed.GetValue(adapter) is not null)
        {
            return (Load(parsed, backend).Classifier, true);
        }
        using var opened = model.Source(parsed).Open();
        var names = labels.Names(parsed);
        if (!opened.HasHead && names is not null)
        {
            throw new InputException($"--labels names the classes of a trained head, and {opened.Source} has none. "
                + "Leave it out.");
        }
        return (Load(opened, backend, labels: names, newHead: !opened.HasHead), opened.HasHead);
    }

    /// <summary>The same from the values of the options.</summary>
    /// <param name="source">Where the model is from.</param>
    /// <param name="adapter">The adapter folder, or null.</param>
    /// <param name="labels">Names of the classes, or null.</param>
    /// <param name="anyBase">Whether other weights than it was trained on will do.</param>
    /// <param name="backend">Where to put it.</param>
    /// <exception cref="InputException">As above.</exception>
    public static (TextClassifier Classifier, LoRAAdapter? Adapter) Load(ModelSource source, string? adapter,
        IReadOnlyList<string>? labels, bool anyBase, IBackend backend)
    {
        var loaded = ClassifierLoader.Load(source, adapter, labels, anyBase, backend);
        Notices(loaded.Notices);
        return (loaded.Classifier, loaded.Adapter);
    }

    /// <summary>
    /// Loads a model alone, with a trained head or without, and says on standard error what its
    /// files left open.
    /// </summary>
    /// <param name="source">Where it is from.</param>
    /// <param name="backend">Where to put it.</param>
    public static TextClassifier LoadModel(ModelSource source, IBackend backend)
    {
        using var opened = source.Open();
        return Load(opened, backend);
    }

    /// <summary>The same from files that are open.</summary>
    /// <param name="opened">The files.</param>
    /// <param name="backend">Where to put it.</param>
    /// <param name="seed">As for <see cref="OpenedModel.Load"/>.</param>
    /// <param name="labels">As there.</param>
    /// <param name="newHead">As there.</param>
    /// <param name="isMultiLabel">As there.</param>
    public static TextClassifier Load(OpenedModel opened, IBackend backend, ulong seed = 0,
        IReadOnlyList<string>? labels = null, bool newHead = false, bool? isMultiLabel = null)
    {
        var loaded = opened.Load(seed, labels, newHead, backend, isMultiLabel);
        Notices(opened.Source.Notices(loaded.Notices()));
        return new TextClassifier(loaded, opened.Source);
    }

    /// <summary>
    /// Notes for the user, one line each, about something that they may not name.
    /// </summary>
    public static void Notices(string about, IEnumerable<string> notices) =>
        Notices(notices.Select(notice =>
            notice.StartsWith(about, StringComparison.Ordinal) ? notice : $"{about}: {notice}"));

    /// <summary>Notes for the user, one line each.</summary>
    public static void Notices(IEnumerable<string> notices)
    {
        foreach (var notice in notices)
        {
            Console.Error.WriteLine(Terminal.Printable($"note: {notice}"));
        }
    }

    private ModelSource Source(ParseResult parsed) =>
        parsed.GetValue(adapter) is { } given ? model.Source(parsed, given) : model.Source(parsed);

    private string? Adapter(ParseResult parsed) =>
        parsed.GetValue(adapter) is { } given ? model.Hub.Folder(given) : null;
}
