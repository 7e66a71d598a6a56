using System.Runtime.InteropServices;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Encoders;

/// <summary>What loading a checkpoint did besides copying tensors of the same name.</summary>
/// <param name="Source">The file, or the index of several.</param>
/// <param name="Kind">What the tensors were wanted for.</param>
/// <param name="Ignored">
/// Tensors of the file that this kind of model has no use for: the head of another kind.
/// </param>
/// <param name="Initialized">
/// Parameters that the file lacks and that are randomly initialised: the head.
/// </param>
/// <param name="Renamed">Tensors found under another name than the model's.</param>
/// <param name="Types">How many tensors there were of each type: "F16".</param>
internal sealed record LoadReport(
    string Source, ModelKind Kind, IReadOnlyList<string> Ignored, IReadOnlyList<string> Initialized,
    IReadOnlyList<(string InFile, string InModel)> Renamed, IReadOnlyDictionary<string, int> Types)
{
    /// <summary>
    /// What else than classes of texts the file's head is for: "tokens"; null where it has no such
    /// head.
    /// </summary>
    public string? OtherHead { get; init; }

    /// <summary>
    /// Whether the new head was asked for, by someone who knows what becomes of it: an adapter
    /// brings its own.
    /// </summary>
    public bool IsHeadWanted { get; init; }

    /// <summary>
    /// A sentence for each thing that the user should know; empty when the file was exactly the
    /// model.
    /// </summary>
    public IEnumerable<string> Notices()
    {
        if (Ignored.Count > 0)
        {
            yield return $"{Source}: ignored, a {Kind.Name} has no use for them: {Listed(Ignored)}.";
        }
        if (Initialized.Count > 0 && !IsHeadWanted)
        {
            var other = OtherHead is null ? "" : $" but one of {OtherHead}";
            yield return $"{Source}: has no head of a {Kind.Name}{other}; randomly initialised from the seed: "
                + $"{Listed(Initialized)}. Until it is trained, its predictions are random.";
        }
        if (Renamed.Count > 0)
        {
            yield return $"{Source}: {Renamed.Count} tensors have other names than in transformers' classifiers, such "
                + $"as '{Renamed[0].InFile}' for '{Renamed[0].InModel}'.";
        }
        if (Types.Keys.FirstOrDefault(type => type != nameof(DType.F32)) is not null)
        {
            yield return $"{Source}: converted to F32 from "
                + $"{string.Join(", ", Types.Select(entry => $"{entry.Value} {entry.Key}"))}.";
        }
    }

    /// <summary>The first names and how many more there are.</summary>
    internal static string Listed(IReadOnlyCollection<string> names, int most = 12) =>
        string.Join(", ", names.Take(most).Select(name => JsonFile.Cut(name, 200)))
        + (names.Count > most ? $" and {names.Count - most} more" : "");
}

/// <summary>A kind of model on DistilBERT's encoder, as far as checkpoints differ by it.</summary>
internal sealed class ModelKind
{
    /// <summary>The encoder with pre_classifier and classifier.</summary>
    public static readonly ModelKind Classifier =
        new("classifier", EncoderForSequenceClassification.HeadPaths,
            ["vocab_transform.", "vocab_layer_norm.", "vocab_projector."]);

    /// <summary>
    /// The encoder with vocab_transform, vocab_layer_norm and vocab_projector, whose weight is the
    /// table of the word embeddings: a file that has it twice has it once too often.
    /// </summary>
    public static readonly ModelKind MaskedLanguageModel =
        new("masked language model", EncoderForMaskedLM.HeadPaths,
            ["pre_classifier.", "classifier.", "vocab_projector.weight"]);

    private ModelKind(string name, IReadOnlyList<string> headPaths, IReadOnlyList<string> useless) =>
        (Name, HeadPaths, Useless) = (name, headPaths, useless);

    /// <summary>What messages call it.</summary>
    public string Name { get; }

    /// <summary>The paths of the head's parameters, which an encoder's file may lack.</summary>
    internal IReadOnlyList<string> HeadPaths { get; }

    /// <summary>How the names of tensors begin that only the other kind has.</summary>
    internal IReadOnlyList<string> Useless { get; }
}

/// <summary>Copies a checkpoint's tensors into a model; every name must be accounted for.</summary>
internal static class CheckpointLoader
{
    private const string Encoder = "distilbert.";
    // an integer buffer of some versions; beside it and other heads nothing is passed over
    private const string PositionIds = "embeddings.position_ids";
    private static readonly string[] HeadModules = ["pre_classifier.", "classifier."];
    // an adapter's, which would change the result
    private static readonly string[] NotOfHeads = ["lora_", ".base_layer.", ".modules_to_save.", "base_model."];
    // all tensors of a DistilBERT; a stranger's file may have thousands
    private const int MaxListed = 200;

    /// <summary>
    /// Refuses a config.json whose sizes are far from what the files hold, before memory is taken
    /// for a model of these sizes. Smaller differences are told tensor by tensor.
    /// </summary>
    /// <exception cref="InputException">
    /// The config asks for more than twice the parameters that there are.
    /// </exception>
    public static void RequireSize(EncoderConfig config, Checkpoint files)
    {
        const int slack = 1_000_000;
        var asked = ModelSize.EncoderParameters(config);
        var found = files.Tensors.Values.Sum(tensor => QuantizedLayers.Numbers(config, tensor));
        if (asked > 2 * found + slack)
        {
            throw new InputException($"{files.Path}: holds {found:N0} numbers in {files.Tensors.Count} tensors, but "
                + $"the sizes in config.json (vocab_size {config.VocabularySize}, dim {config.Hidden}, hidden_dim "
                + $"{config.FeedForward}, "
                + $"n_layers {config.Layers}) ask for {asked:N0}. Nothing was loaded; do config.json and weights "
                + "belong together?");
        }
    }

    /// <param name="model">Takes the values.</param>
    /// <param name="files">Have them.</param>
    /// <param name="withoutHead">
    /// Leaves the head as the model has it, whatever the files hold under its names.
    /// </param>
    /// <exception cref="InputException">
    /// Tensors are missing, unexpected, of another shape or no floats; all of them are listed.
    /// </exception>
    public static LoadReport Load(EncoderForSequenceClassification model, Checkpoint files, bool withoutHead)
    {
        QuantizedLayers.Read(model, model.Config, files);
        return Load(model, ModelKind.Classifier, files, name => QuantizedLayers.Hold(model.Config, name)
            || withoutHead && HeadModules.Any(head => name.StartsWith(head, StringComparison.Ordinal)));
    }

    /// <inheritdoc cref="Load(EncoderForSequenceClassification, Checkpoint, bool)"/>
    public static LoadReport Load(EncoderForMaskedLM model, Checkpoint files) =>
        Load(model, ModelKind.MaskedLanguageModel, files, _ => false);

    /// <param name="model">Takes the values.</param>
    /// <param name="kind">What it is.</param>
    /// <param name="files">Have them.</param>
    /// <param name="isDone">
    /// Whether nothing is to be done about a tensor: that of a quantised layer has been read
    /// already, a head may be another one.
    /// </param>
    private static LoadReport Load(Module model, ModelKind kind, Checkpoint files, Func<string, bool> isDone)
    {
        var parameters = model.NamedParameters()
            .ToDictionary(entry => entry.Path, entry => entry.Parameter, StringComparer.Ordinal);
        // path in the model → name in the file
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        List<string> ignored = [], foreign = [], unexpected = [], clashing = [];
        foreach (var name in files.Tensors.Keys.Order(StringComparer.Ordinal))
        {
            if (isDone(name))
            {
                continue;
            }
            var path = ModelPath(name);
            if (!parameters.ContainsKey(path))
            {
                (IsUseless(name, kind) ? ignored : IsBesideEncoder(path) ? foreign : unexpected).Add(name);
            }
            else if (!found.TryAdd(path, name))
            {
                clashing.Add($"'{found[path]}' and '{name}' are both {path}");
            }
        }
        var drawn = kind.HeadPaths.Any(found.ContainsKey) ? [] : kind.HeadPaths;
        var missing = model.NamedParameters().Select(entry => entry.Path)
            .Where(path => !found.ContainsKey(path) && !drawn.Contains(path)).ToList();
        // The head of a task that nobody knows here is as useless as a known one, but only beside a whole encoder: else
        // it may be the encoder under another name.
        (missing.Count == 0 ? ignored : unexpected).AddRange(foreign);
        Require(kind, files, parameters, found, missing, unexpected, clashing);
        Copy(files, parameters, found);
        return new LoadReport(files.Path, kind, ignored, drawn,
            [.. found.Where(entry => entry.Key != entry.Value).Select(entry => (entry.Value, entry.Key))],
            found.Values.GroupBy(name => files.Tensors[name].DType).OrderBy(group => group.Key)
                .ToDictionary(group => group.Key.ToString(), group => group.Count()));
    }

    /// <summary>
    /// The model's path for a name in a file: older files spell LayerNorm's γ and β out, and an
    /// encoder saved alone has no prefix.
    /// </summary>
    private static string ModelPath(string name)
    {
        if (name.EndsWith(".gamma", StringComparison.Ordinal))
        {
            name = name[..^".gamma".Length] + ".weight";
        }
        else if (name.EndsWith(".beta", StringComparison.Ordinal))
        {
            name = name[..^".beta".Length] + ".bias";
        }
        return name.StartsWith("embeddings.", StringComparison.Ordinal)
            || name.StartsWith("transformer.", StringComparison.Ordinal) ? Encoder + name : name;
    }

    private static bool IsBesideEncoder(string path) => !path.StartsWith(Encoder, StringComparison.Ordinal)
        && !NotOfHeads.Any(path.Contains);

    private static bool IsUseless(string name, ModelKind kind) =>
        kind.Useless.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal))
        || name is PositionIds or Encoder + PositionIds;

    private static void Require(ModelKind kind, Checkpoint files, Dictionary<string, Parameter> parameters,
        Dictionary<string, string> found,
        List<string> missing, List<string> unexpected, List<string> clashing)
    {
        var misshaped = new List<string>();
        foreach (var (path, name) in found)
        {
            var info = files.Tensors[name];
            if (!info.Shape.SequenceEqual(parameters[path].Shape.Sizes.ToArray().Select(size => (long)size)))
            {
                misshaped.Add($"{name} is [{string.Join(", ", info.Shape)}], {parameters[path].Shape} expected");
            }
            else if (info.DType is not (DType.F32 or DType.F16 or DType.BF16 or DType.F64))
            {
                misshaped.Add($"{name} is {info.DType}, F32, F16, BF16 or F64 expected");
            }
        }
        (string What, List<string> Entries)[] problems =
            [("missing", missing), ("unexpected", unexpected),
                ("of another shape or type than config.json asks for", misshaped), ("given twice", clashing)];
        var said = problems.Where(problem => problem.Entries.Count > 0)
            .Select(problem =>
                $"{problem.Entries.Count} {problem.What}: {LoadReport.Listed(problem.Entries, MaxListed)}").ToArray();
        if (said.Length > 0)
        {
            throw new InputException($"{files.Path}: the tensors are not those of a DistilBERT {kind.Name} with "
                + $"these sizes:\n  {string.Join("\n  ", said)}\nNothing was loaded; do config.json and weights "
                + "belong together?");
        }
    }

    private static void Copy(Checkpoint files, Dictionary<string, Parameter> parameters,
        Dictionary<string, string> found)
    {
        foreach (var (path, name) in found)
        {
            var values = Values(files, name);
            for (var i = 0; i < values.Length; i++)
            {
                if (!float.IsFinite(values[i]))
                {
                    throw new InputException($"{files.Path}: element {i} of '{name}' is {values[i]}; a model with "
                        + "such a weight computes nothing but NaN. Copy or download the file again.");
                }
            }
            parameters[path].Set(values);
        }
    }

    /// <summary>
    /// A tensor's floats as they lie in the file, so that a large table goes to the device without
    /// a copy between; converted where they are of another type.
    /// </summary>
    private static ReadOnlySpan<float> Values(Checkpoint files, string name)
    {
        var tensor = files.Tensors[name];
        if (tensor is { DType: DType.F32, ByteLength: <= int.MaxValue })
        {
            return MemoryMarshal.Cast<byte, float>(files.FileOf(name).Bytes(name));
        }
        var values = GC.AllocateUninitializedArray<float>((int)tensor.ElementCount);
        files.Read(name, values);
        return values;
    }
}
