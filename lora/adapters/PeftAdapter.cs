using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Adapters;

/// <summary>What <see cref="PeftAdapter.Load"/> gives back.</summary>
/// <param name="Adapter">The adapter, attached to the model.</param> <param name="Config">The file's config.</param> <param name="Warnings">What is odd but allowed, one sentence each.</param>
public sealed record LoadedAdapter(LoRAAdapter Adapter, PeftConfig Config, IReadOnlyList<string> Warnings);

/// <summary>
/// An adapter alone, in the folder format of the PEFT library: adapter_config.json and adapter_model.safetensors. A module's path there is base_model.model.PATH, and both matrices are
/// the transposes of ours: PATH.lora_A.weight [r, in] = Aᵀ, PATH.lora_B.weight [out, r] = Bᵀ, as in the paper; of an embedding PATH.lora_embedding_A
/// and PATH.lora_embedding_B. The factor is lora_alpha/r there, or lora_alpha/√r with use_rslora; the
/// tutorials' raw alpha is written as lora_alpha = alpha·r. An adapter of quantised layers has use_qalora and qalora_group_size; its alphas are written in PEFT's convention
/// (<see cref="QALoRAPooling.Peft"/>), which is another number for another width.
/// </summary>
public static class PeftAdapter
{
    /// <summary>Name of the config within the folder.</summary>
    public const string ConfigName = "adapter_config.json";

    /// <summary>Name of the tensors within the folder.</summary>
    public const string WeightsName = "adapter_model.safetensors";

    internal const string Prefix = "base_model.model.";

    /// <summary>Writes the folder whole or not at all. An older one is replaced if it holds nothing but an adapter.</summary>
    /// <param name="folder">The folder; its parent must exist.</param> <param name="adapter">The adapter, attached to its model.</param>
    /// <param name="baseModel">The base model's name, as base_model_name_or_path; null if it has none.</param> <param name="revision">Its revision, or null.</param>
    /// <exception cref="InputException">The folder cannot be written, or the adapter cannot be expressed in the format.</exception>
    public static void Save(string folder, LoRAAdapter adapter, string? baseModel = null, string? revision = null)
    {
        var contents = PeftContents.Of(adapter, baseModel, revision);
        AtomicFolder.Write(folder, contents.WriteTo, name => name is ConfigName or WeightsName);
    }

    /// <summary>Writes the two files into a folder that exists, beside whatever else is in it.</summary>
    /// <inheritdoc cref="Save"/>
    public static void SaveInto(string folder, LoRAAdapter adapter, string? baseModel = null, string? revision = null) => PeftContents.Of(adapter, baseModel, revision).WriteTo(folder);

    /// <summary>
    /// Attaches the adapter of a folder to a model. Strict: every tensor that is missing, unexpected, of another shape or not finite is listed, and the model is not touched then.
    /// </summary>
    /// <param name="folder">With adapter_config.json and adapter_model.safetensors; every dtype of floats is taken.</param> <param name="model">The base model, without LoRA.</param>
    /// <param name="random">Draws the dropout masks, should it be trained further; null: a stream of seed 0.</param>
    /// <param name="anyBase">Takes weights that are not the ones the adapter was trained on, with a warning instead of an error.</param>
    /// <exception cref="InputException">
    /// A file is missing or malformed, the config asks for what is not supported, the adapter does not fit the model, or it was trained on other weights.
    /// </exception>
    public static LoadedAdapter Load(string folder, Module model, RandomStream? random = null, bool anyBase = false)
    {
        var configPath = Path.Combine(folder, ConfigName);
        var config = PeftConfig.Read(configPath);
        using var file = OpenWeights(folder);
        var targets = new PeftTargets(configPath, config, model);
        var plan = targets.Plan();
        var warnings = config.Warnings.Concat(targets.Warnings).Concat(plan.Warnings).ToList();
        var values = new PeftReader(file, plan, config).Read(warnings);     // throws before anything is attached
        CheckBase(file, config, plan, anyBase, warnings);

        var adapter = LoRAAdapter.Attach(plan, random ?? new RandomStream(0));
        foreach (var (path, layer) in adapter.Layers)
        {
            var (lora, isEmbedding) = (layer.Lora, layer.Base.IsEmbedding);
            lora.A.Set(RowMajor.Transposed(values[KeyOfA(path, isEmbedding)], lora.Rank, lora.A.Shape[0]));
            lora.B.Set(RowMajor.Transposed(values[KeyOfB(path, isEmbedding)], lora.OutFeatures, lora.Rank));
        }
        foreach (var (path, parameter) in SavedParameters(plan.Kept))
        {
            parameter.Set(values[Prefix + path]);
        }
        foreach (var bias in plan.KeptBiases)
        {
            bias.Parameter.Set(values[KeyOfBias(bias, plan)]);
        }
        return new LoadedAdapter(adapter, config, warnings);
    }

    /// <summary>The number of classes of the classification head that an adapter brings along.</summary>
    /// <param name="folder">The adapter folder.</param>
    /// <returns>The rows of its classifier.weight; null where it has no head.</returns>
    /// <exception cref="InputException">The tensors are missing or malformed.</exception>
    public static int? ReadClassCount(string folder)
    {
        using var file = OpenWeights(folder);
        return file.Tensors.TryGetValue(Prefix + "classifier.weight", out var weight) && weight.Shape is [var classes and >= 2 and <= int.MaxValue, _] ? (int)classes : null;
    }

    internal static string KeyOfA(string path, bool isEmbedding) => AdapterConvention.Peft.KeyOfA(path, isEmbedding);

    internal static string KeyOfB(string path, bool isEmbedding) => AdapterConvention.Peft.KeyOfB(path, isEmbedding);

    /// <summary>The key of a trained bias: PEFT moves an adapted layer's own parameters under base_layer.</summary>
    internal static string KeyOfBias(KeptBias bias, AttachPlan plan)
    {
        var isOfAdapted = plan.Layers.Any(layer => layer.Base.Bias == bias.Parameter);
        return Prefix + (isOfAdapted ? $"{bias.Path[..^".bias".Length]}.base_layer.bias" : bias.Path);
    }

    /// <summary>The parameters of saved modules with their paths in the model, each once.</summary>
    internal static IEnumerable<(string Path, Parameter Parameter)> SavedParameters(IEnumerable<KeptModule> modules) =>
        modules.SelectMany(kept => kept.Module.NamedParameters().Select(entry => ($"{kept.Path}.{entry.Path}", entry.Parameter))).DistinctBy(entry => entry.Item1);

    /// <summary>The modules that PEFT takes for saved ones: those whose path merely ends with one of the names, so that 'classifier' means 'pre_classifier' too.</summary>
    internal static IReadOnlyList<KeptModule> EndingWith(IReadOnlyList<string> endings, Module model) =>
        [.. model.NamedModules().Where(entry => entry.Path.Length > 0 && endings.Any(ending => entry.Path.EndsWith(ending, StringComparison.Ordinal)) && entry.Module.Parameters().Any())
            .Select(entry => new KeptModule(entry.Path, entry.Module))];

    /// <summary>Refuses, or with <paramref name="anyBase"/> notes, weights that the adapter was not trained on.</summary>
    private static void CheckBase(SafeTensorsFile file, PeftConfig config, AttachPlan plan, bool anyBase, List<string> warnings)
    {
        var (unknown, different) = BaseFingerprint.Compare(file.Metadata, plan);
        if (different.Count > 0)
        {
            var what = $"{file.Path}: the adapter was trained on another base: the weights of {different.Count} of {plan.Layers.Count} adapted layers are not the ones it was trained on ({string.Join(", ", different.Take(3))}{(different.Count > 3 ? ", …" : "")})";
            if (!anyBase)
            {
                throw new InputException($"{what}.{(config.BaseModel is null ? " Name the model that it was trained on." : BaseFingerprint.Remedy(config.BaseModel))} To use it on this one all the same, give --any-base (in code: anyBase: true).");
            }
            warnings.Add($"{what}; used all the same.");
        }
        else if (unknown.Count > 0)
        {
            warnings.Add($"{file.Path}: does not say which base weights it was trained on (no base_sha256 in its metadata, as other programs write it), so that was not checked.");
        }
    }

    internal static SafeTensorsFile OpenWeights(string folder)
    {
        var path = Path.Combine(folder, WeightsName);
        if (!File.Exists(path) && File.Exists(Path.Combine(folder, "adapter_model.bin")))
        {
            throw new InputException($"{folder}: holds adapter_model.bin, a pickled file of PyTorch, and no {WeightsName}. Convert it: load it in PEFT and call save_pretrained, which writes safetensors.");
        }
        return SafeTensorsFile.Open(path);
    }
}
