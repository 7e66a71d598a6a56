using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Lora.Classification;

/// <summary>A classifier as it comes from its files, ready to predict.</summary>
/// <param name="Classifier">The classifier, with its adapters.</param>
/// <param name="Adapter">The one that is attached for good; null: none.</param>
/// <param name="Notices">
/// What the files left open, one sentence each, which names its file.
/// </param>
internal sealed record LoadedClassifier(TextClassifier Classifier, LoRAAdapter? Adapter, IReadOnlyList<string> Notices);

/// <summary>
/// Makes classifiers of a model and the adapters on it. Whether there is a trained head, whose it
/// is and how its classes are called shows only in all files together: an adapter that brings a
/// head along has it instead of the model's, with its own classes.
/// </summary>
internal static class ClassifierLoader
{
    /// <summary>See <see cref="TextClassifier.Load"/>.</summary>
    public static TextClassifier LoadPath(string path, IReadOnlyList<string>? labels, string? baseModel, bool anyBase,
        ulong seed, IBackend? backend, bool? isMultiLabel, bool newHead, Action<string>? warn)
    {
        var source = ModelSource.Named(path);
        var isAdapter = source.Path is { } folder && AdapterBase.IsAdapter(folder, hasBase: baseModel is not null);
        if (!isAdapter && (baseModel is not null || anyBase))
        {
            throw new InputException($"{source}: is a model and no adapter, and {(anyBase ? "anyBase" : "baseModel")} "
                + "is about the model that an adapter is on. Leave it out.");
        }
        if (newHead && (isAdapter || labels is null))
        {
            throw new InputException(isAdapter
                ? $"{source}: is an adapter, and newHead is about a model. Load its base model to train another head."
                : "newHead draws a head for the classes of labels, and none are given. Name them.");
        }
        var (classifier, _, notices) = isAdapter
            ? LoadAdapter(PeftAdapter.Find(source.Path!), baseModel, labels, anyBase, seed, backend)
            : LoadModel(source, labels, seed, backend, isMultiLabel, newHead);
        if (isMultiLabel is { } wanted && wanted != classifier.IsMultiLabel)
        {
            classifier.Dispose();
            throw new InputException($"{path}: its head is for {(wanted ? "one class of several" : "any number of "
                + "classes (multi-label)")}, and isMultiLabel is {(wanted ? "true" : "false")}. Leave it out.");
        }
        foreach (var notice in notices)
        {
            warn?.Invoke(notice);
        }
        return classifier;
    }

    /// <summary>Loads a model, and an adapter onto it.</summary>
    /// <param name="source">The model.</param>
    /// <param name="adapter">The adapter folder; null: the model alone.</param>
    /// <param name="labels">
    /// Names of the classes, in the order of the logits; null: as the files say them.
    /// </param>
    /// <param name="anyBase">Whether other weights than it was trained on will do.</param>
    /// <param name="backend">Where to put it; default <see cref="Device.Default"/>.</param>
    /// <exception cref="InputException">
    /// A file is missing or wrong, they do not fit each other, or nobody has trained a head.
    /// </exception>
    public static LoadedClassifier Load(ModelSource source, string? adapter = null,
        IReadOnlyList<string>? labels = null, bool anyBase = false, IBackend? backend = null)
    {
        using var model = source.Open();
        var task = adapter is null ? null : AdapterTask.Read(adapter);
        var loaded = model.Load(labels: task is null ? labels : task.Labels(labels, model.Config),
            newHead: task is { HasHead: true }, backend: backend, isMultiLabel: task?.IsMultiLabel);
        var notices = source.Notices(loaded.Notices()).ToList();
        var classifier = new TextClassifier(loaded, source);
        classifier.Model.ReadsPairs |= task is { ReadsPairs: true };
        if (adapter is null)
        {
            RequireHead(classifier, source);
            return new LoadedClassifier(classifier, null, notices);
        }
        return new LoadedClassifier(classifier, Attach(classifier, classifier.Model, adapter, anyBase, notices),
            notices);
    }

    /// <summary>Loads a model once, and each adapter onto it.</summary>
    /// <param name="source">The model.</param>
    /// <param name="adapters">The adapter folders, by names of their own; at least one.</param>
    /// <param name="labels">As for <see cref="Load"/>, where there is one adapter.</param>
    /// <param name="anyBase">As there.</param>
    /// <param name="backend">As there.</param>
    /// <param name="seed">Initialises a head that the model lacks.</param>
    /// <returns>The classifier; its first adapter answers where none is named.</returns>
    /// <exception cref="InputException">
    /// As there; or there are several adapters and one list of names.
    /// </exception>
    public static LoadedClassifier LoadAdapters(ModelSource source,
        IReadOnlyList<(string Name, string Folder)> adapters, IReadOnlyList<string>? labels = null,
        bool anyBase = false, IBackend? backend = null, ulong seed = 0)
    {
        if (labels is not null && adapters.Count > 1)
        {
            throw new InputException($"Option 'labels' names the classes of one task, and there are {adapters.Count} "
                + "adapters. Give one adapter at a time.");
        }
        var tasks = adapters.Select(adapter => AdapterTask.Read(adapter.Folder)).ToList();
        var notices = new List<string>();
        var classifier = LoadBase(source, tasks, labels, seed, backend, notices);
        try
        {
            foreach (var ((name, folder), task) in adapters.Zip(tasks))
            {
                notices.AddRange(classifier.Add(name, folder, task, labels, anyBase));
            }
            classifier.AnswerBy(adapters[0].Name);
            return new LoadedClassifier(classifier, null, notices);
        }
        catch
        {
            classifier.Dispose();
            throw;
        }
    }

    /// <summary>Refuses a model whose head nobody has trained.</summary>
    /// <param name="classifier">The model; its adapters are not asked.</param>
    /// <param name="source">Where it is from.</param>
    /// <exception cref="InputException">Its head is randomly initialised.</exception>
    public static void RequireHead(TextClassifier classifier, ModelSource source)
    {
        if (classifier.IsBaseHeadUntrained)
        {
            throw new InputException($"{source}: it has no trained classification head, so its answers would be "
                + "random. Train an adapter with one, and name it with option 'adapter'.");
        }
    }

    /// <summary>Attaches an adapter to a model.</summary>
    /// <param name="classifier">Whose tokenizer and source it is.</param>
    /// <param name="model">Its model, or one on its encoder with a head for the adapter.</param>
    /// <param name="folder">The adapter.</param>
    /// <param name="anyBase">Whether other weights than it was trained on will do.</param>
    /// <param name="notices">Takes what its files leave open.</param>
    /// <exception cref="InputException">
    /// It does not fit, or neither it nor the model has a trained head.
    /// </exception>
    internal static LoRAAdapter Attach(TextClassifier classifier, EncoderForSequenceClassification model, string folder,
        bool anyBase, List<string> notices)
    {
        using var stage = Stages.Begin("read adapter");
        classifier.Tokenizer.RequireAgreement(PeftAdapter.Find(folder));
        var loaded = PeftAdapter.Load(folder, model, anyBase: anyBase);
        notices.AddRange(loaded.Warnings.Select(warning =>
            warning.StartsWith(folder, StringComparison.Ordinal) ? warning : $"{folder}: {warning}"));
        if ((model != classifier.BaseModel || classifier.IsBaseHeadUntrained) && !HasWholeHead(model, loaded.Adapter))
        {
            loaded.Adapter.Detach();
            throw new InputException($"{classifier.Source}: it has no trained classification head, and neither has "
                + $"the adapter {folder}, so the answers would be random. Name the model that the adapter was trained "
                + "on.");
        }
        model.Evaluate();
        return loaded.Adapter;
    }

    private static LoadedClassifier LoadModel(ModelSource source, IReadOnlyList<string>? labels, ulong seed,
        IBackend? backend, bool? isMultiLabel, bool newHead)
    {
        var loaded = source.Load(seed, labels, newHead, backend, isMultiLabel);
        var classifier = new TextClassifier(loaded, source,
            needsAdapter: labels is null && loaded.Report.Initialized.Count > 0);
        return new LoadedClassifier(classifier, null, [.. source.Notices(loaded.Notices())]);
    }

    private static LoadedClassifier LoadAdapter(string folder, string? baseModel, IReadOnlyList<string>? labels,
        bool anyBase, ulong seed, IBackend? backend) =>
        LoadAdapters(baseModel is null ? AdapterBase.Find(folder) : ModelSource.Named(baseModel),
            [(NameOf(folder), folder)], labels, anyBase, backend, seed);

    /// <summary>Loads a model that adapters will be put on.</summary>
    private static TextClassifier LoadBase(ModelSource source, IReadOnlyList<AdapterTask> tasks,
        IReadOnlyList<string>? labels, ulong seed, IBackend? backend, List<string> notices)
    {
        using var model = source.Open();
        var isUsable = model.HasHead && !model.Config.IsRegression;
        // A head that the model lacks is worth a word where somebody uses it: not where each adapter brings its own.
        var loaded = model.Load(seed, newHead: !isUsable && tasks.All(task => task.HasHead), backend: backend,
            labels: tasks.FirstOrDefault(task => !task.HasHead)?.Labels(labels, model.Config));
        notices.AddRange(source.Notices(loaded.Notices()));
        return new TextClassifier(loaded, source, needsAdapter: loaded.Report.Initialized.Count > 0);
    }

    /// <summary>An adapter's name: that of its folder, unless it means the base.</summary>
    private static string NameOf(string folder) =>
        Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder))) is var name and not ""
            and not AdapterSet.Base ? name : folder;

    private static bool HasWholeHead(EncoderForSequenceClassification model, LoRAAdapter adapter) =>
        model.HeadPaths.All(path => adapter.Plan.ModulesToSave
            .Any(kept => path.StartsWith($"{kept.Path}.", StringComparison.Ordinal)));
}
