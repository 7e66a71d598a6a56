using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Hub;

namespace LoraScratch.Cli;

/// <summary>
/// One task of a base model: an adapter with the classes that it decides between, or the base
/// itself.
/// </summary>
/// <param name="Name">What it is called before its answers; null where there is only one.</param>
/// <param name="Adapter">The adapter to ask; null: as the classifier was loaded.</param>
internal sealed record ClassifierTask(string? Name, string? Adapter);

/// <summary>
/// The options that name a model and any number of adapters on it: --model, --adapter, --active,
/// --labels, --any-base.
/// </summary>
internal sealed class TaskOptions
{
    private readonly ModelOption model = new();

    private readonly Option<string[]> adapters = new("--adapter")
    {
        Description = "An adapter folder in PEFT's format, as 'lora train' writes it; or its name on the Hugging Face "
            + "hub. Given more than once, each is a task of its own on the one model, named by NAME or else by its "
            + "folder.",
        HelpName = $"[NAME=]{HubFolders.HelpName}",
        Arity = ArgumentArity.OneOrMore,
        AllowMultipleArgumentsPerToken = false,
    };

    private readonly Option<string> active = new("--active")
    {
        Description = "Of several adapters, the one to use; "
        + $"{AdapterSet.Base} for none. [default: each in turn]",
        HelpName = "NAME"
    };
    private readonly LabelsOption labels = new();
    private readonly Option<bool> anyBase = ModelOptions.AnyBase();

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        model.AddTo(command);
        command.Add(adapters);
        command.Add(active);
        labels.AddTo(command);
        command.Add(anyBase);
    }

    /// <summary>Whether a model was named.</summary>
    public bool IsGiven(ParseResult parsed) => model.IsGiven(parsed);

    /// <summary>Whether an adapter was named.</summary>
    public bool HasAdapter(ParseResult parsed) => parsed.GetValue(adapters) is { Length: > 0 };

    /// <summary>Loads the model once and every adapter onto it.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="backend">Where to put it.</param>
    /// <returns>
    /// The classifier, and the tasks that are asked for, in the order of the command line.
    /// </returns>
    /// <exception cref="InputException">
    /// A file is missing or wrong, a name is unknown or taken, or a task has no trained head.
    /// </exception>
    public (TextClassifier Classifier, IReadOnlyList<ClassifierTask> Tasks) Load(
        ParseResult parsed, IBackend backend)
    {
        var named = Named(parsed.GetValue(adapters) ?? [], model.Hub);
        var source = model.Source(parsed, [.. named.Select(adapter => adapter.Folder)]);
        return Load(source, named, parsed.GetValue(active), labels.Names(parsed), parsed.GetValue(anyBase), backend);
    }

    /// <summary>The same from the values of the options.</summary>
    /// <param name="source">Where the model is from.</param>
    /// <param name="named">The adapters; see <see cref="Named"/>.</param>
    /// <param name="chosen">The name of the one to use, "base", or null for each in turn.</param>
    /// <param name="labels">Names of the classes, or null.</param>
    /// <param name="anyBase">Whether other weights than an adapter was trained on will do.</param>
    /// <param name="backend">Where to put the model.</param>
    /// <exception cref="InputException">As above.</exception>
    public static (TextClassifier Classifier, IReadOnlyList<ClassifierTask> Tasks) Load(ModelSource source,
        IReadOnlyList<(string Name, string Folder)> named, string? chosen, IReadOnlyList<string>? labels, bool anyBase,
        IBackend backend)
    {
        RequireKnown(chosen, named);
        if (named.Count == 0)
        {
            var (plain, _) = ModelOptions.Load(source, adapter: null, labels, anyBase, backend);
            return (plain, [new ClassifierTask(null, null)]);
        }
        var (classifier, _, notices) = ClassifierLoader.LoadAdapters(source, named, labels, anyBase, backend);
        ModelOptions.Notices(notices);
        if (chosen == AdapterSet.Base)
        {
            ClassifierLoader.RequireHead(classifier, source);
        }
        string[] asked = chosen is null ? [.. named.Select(adapter => adapter.Name)] : [chosen];
        return (classifier, [.. asked.Select(name =>
            new ClassifierTask(named.Count > 1 && name != AdapterSet.Base ? name : null, name))]);
    }

    /// <summary>Names and folders of adapters.</summary>
    /// <param name="given">DIR or NAME=DIR of each, or their names on the hub.</param>
    /// <param name="hub">Finds those.</param>
    /// <exception cref="InputException">It is neither, or cannot be had.</exception>
    public static IReadOnlyList<(string Name, string Folder)> Named(string[] given, HubFolders hub) =>
        [.. given.Select(NameAndFolder).ToList().Select(adapter => (adapter.Name, hub.Folder(adapter.Folder)))];

    private static (string Name, string Folder) NameAndFolder(string given)
    {
        var at = Directory.Exists(given) ? -1 : given.IndexOf('=', StringComparison.Ordinal);
        var (name, folder) = at < 0 ? (NameOf(given), given) : (given[..at], given[(at + 1)..]);
        return folder.Length > 0 && name.Length > 0 && !folder.Contains('\0')
            ? (name, folder)
            : throw new InputException($"--adapter is '{given}'; expected a folder, or NAME=DIR.");
    }

    /// <summary>The last part of a path, or of a name on the hub.</summary>
    private static string NameOf(string given) => !Directory.Exists(given) && HubName.Parse(given) is { } onHub
        ? onHub.ShortName : Path.GetFileName(Path.TrimEndingDirectorySeparator(given));

    private static void RequireKnown(string? chosen, IReadOnlyList<(string Name, string Folder)> named)
    {
        if (named.GroupBy(entry => entry.Name)
            .FirstOrDefault(group => group.Count() > 1 || group.Key == AdapterSet.Base) is { } clash)
        {
            var fault = clash.Key == AdapterSet.Base ? "means the model without any" : "is given twice";
            throw new InputException($"--adapter: the name '{clash.Key}' {fault}. Give each adapter a name of its own: "
                + "--adapter NAME=DIR.");
        }
        if (chosen is not null && chosen != AdapterSet.Base && named.All(entry => entry.Name != chosen))
        {
            var names = named.Count == 0 ? "none: name some with --adapter"
                : string.Join(", ", named.Select(entry => entry.Name));
            throw new InputException($"--active is '{chosen}'; the adapters are {names}.");
        }
    }
}
