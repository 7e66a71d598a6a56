using System.Runtime.InteropServices;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Families;

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

/// <summary>A kind of model on an encoder, as far as checkpoints differ by it.</summary>
internal sealed class ModelKind
{
    private ModelKind(EncoderFamily family, string name) => (Family, Name) = (family, name);

    /// <summary>The architecture of its encoder.</summary>
    public EncoderFamily Family { get; }

    /// <summary>What messages call it.</summary>
    public string Name { get; }

    /// <summary>
    /// The paths of the head's parameters, in parts: an encoder's file may lack the first part, and
    /// if so the next one.
    /// </summary>
    public required IReadOnlyList<IReadOnlyList<string>> HeadParts { get; init; }

    /// <summary>How the names of tensors begin that only other kinds have.</summary>
    public required IReadOnlyList<string> Useless { get; init; }

    /// <summary>The encoder with a head that classifies texts.</summary>
    public static ModelKind Classifier(EncoderFamily family) => new(family, "classifier")
    {
        HeadParts = family.Head.Parts,
        Useless = family.OtherHeads,
    };

    /// <summary>
    /// The encoder with a head that guesses tokens, whose output weight is the table of the word
    /// embeddings: a file that has it twice has it once too often.
    /// </summary>
    public static ModelKind MaskedLanguageModel(EncoderFamily family)
    {
        var head = family.MaskedHead!;
        return new(family, "masked language model")
        {
            HeadParts = [head.Parameters],
            Useless =
            [
                .. family.Head.Modules.Append(family.Head.Dense).Select(module => $"{module}."), .. head.Repeated,
                .. family.OtherHeads.Where(other =>
                    !head.Parameters.Any(path => path.StartsWith(other, StringComparison.Ordinal))),
            ],
        };
    }
}

/// <summary>Copies a checkpoint's tensors into a model; every name must be accounted for.</summary>
internal static class CheckpointLoader
{
    // integer buffers of some versions; beside them and other heads nothing is passed over
    private static readonly string[] Buffers = ["embeddings.position_ids", "embeddings.token_type_ids"];
    // an adapter's, which would change the result
    private static readonly string[] NotOfHeads = ["lora_", ".base_layer.", ".modules_to_save.", "base_model."];
    // all tensors of a small encoder; a stranger's file may have thousands
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
                + $"the sizes in config.json ({config.SizesInWords}) "
                + $"ask for {asked:N0}. Nothing was loaded; do config.json and weights "
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
        var family = model.Config.Family;
        var report = Load(model, ModelKind.Classifier(family), files, name => QuantizedLayers.Hold(model.Config, name)
            || withoutHead && family.Head.Modules.Any(head => name.StartsWith($"{head}.", StringComparison.Ordinal)));
        model.IsPoolerUntrained = family.Head.HasPooler && report.Initialized.Count > family.Head.OwnParameters.Count;
        return report;
    }

    /// <inheritdoc cref="Load(EncoderForSequenceClassification, Checkpoint, bool)"/>
    public static LoadReport Load(EncoderForMaskedLM model, Checkpoint files) =>
        Load(model, ModelKind.MaskedLanguageModel(model.Config.Family), files, _ => false);

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
            var path = ModelPath(kind.Family, name);
            if (!parameters.ContainsKey(path))
            {
                (IsUseless(path, kind) ? ignored : IsBesideEncoder(path, kind) ? foreign : unexpected).Add(name);
            }
            else if (!found.TryAdd(path, name))
            {
                clashing.Add($"'{found[path]}' and '{name}' are both {path}");
            }
        }
        List<string> drawn =
            [.. kind.HeadParts.TakeWhile(part => !part.Any(found.ContainsKey)).SelectMany(part => part)];
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
    internal static string ModelPath(EncoderFamily family, string name)
    {
        if (name.EndsWith(".gamma", StringComparison.Ordinal))
        {
            name = name[..^".gamma".Length] + ".weight";
        }
        else if (name.EndsWith(".beta", StringComparison.Ordinal))
        {
            name = name[..^".beta".Length] + ".bias";
        }
        string[] bare = ["embeddings.", $"{family.Blocks}.", $"{EncoderFamily.EmbeddingProjection}.", "pooler."];
        return bare.Any(part => name.StartsWith(part, StringComparison.Ordinal)) ? $"{family.Trunk}.{name}" : name;
    }

    private static bool IsBesideEncoder(string path, ModelKind kind) =>
        !path.StartsWith($"{kind.Family.Trunk}.", StringComparison.Ordinal) && !NotOfHeads.Any(path.Contains);

    private static bool IsUseless(string path, ModelKind kind) =>
        kind.Useless.Any(prefix => path.StartsWith(prefix, StringComparison.Ordinal))
        || Buffers.Any(buffer => path == $"{kind.Family.Trunk}.{buffer}");

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
            throw new InputException($"{files.Path}: the tensors are not those of a {kind.Family.Name} {kind.Name} "
                + $"with these sizes:\n  {string.Join("\n  ", said)}\nNothing was loaded; do config.json and weights "
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
