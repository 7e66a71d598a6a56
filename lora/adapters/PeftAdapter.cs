using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Families;

namespace LoraScratch.Lora.Adapters;

/// <summary>What <see cref="PeftAdapter.Load"/> gives back.</summary>
/// <param name="Adapter">The adapter, attached to the model.</param>
/// <param name="Config">The file's config.</param>
/// <param name="Warnings">What is odd but allowed, one sentence each.</param>
internal sealed record LoadedAdapter(LoRAAdapter Adapter, PeftConfig Config, IReadOnlyList<string> Warnings);

/// <summary>
/// An adapter alone, in the folder format of the PEFT library: adapter_config.json and
/// adapter_model.safetensors. A module's path there is base_model.model.PATH, and both matrices are
/// the transposes of ours: PATH.lora_A.weight [r, in] = Aᵀ, PATH.lora_B.weight [out, r] = Bᵀ, as in
/// the paper; of an embedding PATH.lora_embedding_A and PATH.lora_embedding_B. The factor is
/// lora_alpha/r there, or lora_alpha/√r with use_rslora; the tutorials' raw alpha is written as
/// lora_alpha = alpha·r. An adapter of quantised layers has use_qalora and qalora_group_size; its
/// alphas are written in PEFT's convention (<see cref="QALoRAPooling.Peft"/>), which is another
/// number for another width.
/// </summary>
public static class PeftAdapter
{
    /// <summary>Name of the config within the folder.</summary>
    public const string ConfigName = "adapter_config.json";

    /// <summary>Name of the tensors within the folder.</summary>
    public const string WeightsName = "adapter_model.safetensors";

    internal const string Prefix = "base_model.model.";

    /// <summary>Writes the folder whole or not at all.</summary>
    /// <param name="folder">The folder; its parent must exist.</param>
    /// <param name="adapter">The adapter, attached to its model.</param>
    /// <param name="baseModel">
    /// The base model's name, as base_model_name_or_path; null if it has none.
    /// </param>
    /// <param name="revision">Its revision, or null.</param>
    /// <param name="overwrite">Replaces a folder that holds a result, and nothing else.</param>
    /// <exception cref="InputException">
    /// The folder cannot be written, or the adapter cannot be expressed in the format.
    /// </exception>
    public static void Save(string folder, LoRAAdapter adapter, string? baseModel = null, string? revision = null,
        bool overwrite = false) =>
        Write(folder, PeftContents.Of(adapter, baseModel, revision).WriteTo, overwrite);

    /// <summary>
    /// Takes the right to write an adapter folder, and refuses one that <see cref="Save"/> could
    /// not write, before a long work begins.
    /// </summary>
    /// <param name="folder">As in <see cref="Save"/>.</param>
    /// <param name="overwrite">As in <see cref="Save"/>.</param>
    /// <returns>
    /// To be disposed when the adapter is saved: until then no other process writes it.
    /// </returns>
    /// <exception cref="InputException">As from <see cref="Save"/>.</exception>
    internal static OutputLock Reserve(string folder, bool overwrite = false) =>
        AtomicFolder.Reserve(folder, RunFiles.IsOfResult, overwrite);

    /// <summary>Writes an adapter folder whole or not at all.</summary>
    internal static void Write(string folder, Action<string> fill, bool overwrite) =>
        AtomicFolder.Write(folder, fill, RunFiles.IsOfResult, overwrite);

    /// <summary>
    /// Writes the two files into a folder that exists, beside whatever else is in it.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <param name="adapter">As in <see cref="Save"/>.</param>
    /// <param name="baseModel">As in <see cref="Save"/>.</param>
    /// <param name="revision">As in <see cref="Save"/>.</param>
    /// <exception cref="InputException">As from <see cref="Save"/>.</exception>
    public static void SaveInto(string folder, LoRAAdapter adapter, string? baseModel = null,
        string? revision = null) => PeftContents.Of(adapter, baseModel, revision).WriteTo(folder);

    /// <inheritdoc cref="Attach"/>
    /// <returns>The adapter, its config, and what is odd but allowed.</returns>
    internal static LoadedAdapter Load(string folder, Module model, RandomStream? random = null, bool anyBase = false)
    {
        using var file = PeftFolder.Open(folder);
        var config = file.Config!;
        var targets = new PeftTargets(PeftFolder.ConfigPath(PeftFolder.Find(folder)), config, model, file);
        var plan = targets.Plan();
        var comparison = new ModelComparison(file, config, plan);
        comparison.RequireNoProblem();                                      // before anything is attached
        List<string> warnings =
        [
            .. file.Warnings, .. targets.Warnings, .. plan.Warnings,
            .. comparison.Warnings.Select(warning => $"{file.Path}: {warning}"),
        ];
        CheckBase(file, config, plan, anyBase, warnings);

        var adapter = LoRAAdapter.Attach(plan, random ?? new RandomStream(0));
        foreach (var (path, parameter) in SavedParameters(plan.ModulesToSave))
        {
            parameter.Set(file.Read(file.Whole[path]));
        }
        foreach (var bias in plan.TrainedBiases.Where(bias => file.Whole.ContainsKey(bias.Path)))
        {
            bias.Parameter.Set(file.Read(file.Whole[bias.Path]));
        }
        foreach (var (path, layer) in adapter.Layers)
        {
            var stored = file.ReadLayer(file.FindPair(path, layer.Base.IsEmbedding));
            layer.Lora.A.Set(stored.A);
            layer.Lora.B.Set(stored.B);
            if (file.BiasesOfB.TryGetValue(path, out var ofB))
            {
                AddScaled(layer.Base.Bias!, file.Read(ofB), stored.Scaling);
            }
        }
        foreach (var table in plan.ModulesToSave.Select(kept => kept.Module).OfType<Embedding>())
        {
            table.Freeze();                                                 // PEFT saves it, but trains it nowhere
        }
        return new LoadedAdapter(adapter, config, warnings);
    }

    /// <summary>
    /// Attaches the adapter of a folder to a model. Strict: every tensor that is missing,
    /// unexpected, of another shape or not finite is listed, and the model is not touched then.
    /// </summary>
    /// <param name="folder">
    /// With adapter_config.json and adapter_model.safetensors; every dtype of floats is taken.
    /// </param>
    /// <param name="model">The base model, without LoRA.</param>
    /// <param name="random">
    /// Draws the dropout masks, should it be trained further; null: a stream of seed 0.
    /// </param>
    /// <param name="anyBase">
    /// Takes weights that are not the ones the adapter was trained on, with a warning instead of an
    /// error.
    /// </param>
    /// <param name="warn">Is told what is odd but allowed, one sentence each; may be null.</param>
    /// <returns>The adapter, attached to the model.</returns>
    /// <exception cref="InputException">
    /// A file is missing or malformed, the config asks for what is not supported, the adapter does
    /// not fit the model, or it was trained on other weights.
    /// </exception>
    public static LoRAAdapter Attach(string folder, Module model, RandomStream? random = null, bool anyBase = false,
        Action<string>? warn = null)
    {
        var loaded = Load(folder, model, random, anyBase);
        foreach (var warning in loaded.Warnings)
        {
            warn?.Invoke(warning);
        }
        return loaded.Adapter;
    }

    /// <summary>
    /// The folder that has the adapter: the given one, or its only sub-folder with an adapter, as
    /// PEFT saves one that has a name of its own.
    /// </summary>
    /// <param name="folder">As it was given.</param>
    /// <exception cref="InputException">
    /// There is no such folder, or it holds no adapter, or several.
    /// </exception>
    public static string Find(string folder)
    {
        var place = PeftFolder.Find(folder);
        return File.Exists(PeftFolder.ConfigPath(place)) ? place : throw new InputException(Directory.Exists(folder)
            ? $"{folder}: no {ConfigName}. An adapter folder holds it and {WeightsName}."
            : $"{folder}: there is no such folder. An adapter folder with {ConfigName} and {WeightsName} is expected.");
    }

    /// <summary>
    /// The number of outputs of the classification head that an adapter brings along.
    /// </summary>
    /// <param name="folder">The adapter folder.</param>
    /// <returns>The rows of its output layer; null where it has no head.</returns>
    /// <exception cref="InputException">The tensors are missing or malformed.</exception>
    internal static int? ReadClassCount(string folder)
    {
        using var file = PeftFolder.OpenWeights(PeftFolder.Find(folder));
        var shape = EncoderFamilies.All.Select(family => family.Head.Output).Distinct()
            .Select(output => file.Tensors.GetValueOrDefault($"{Prefix}{output}.weight")?.Shape)
            .FirstOrDefault(shape => shape is not null);
        return shape is [var classes and >= 1 and <= int.MaxValue, _] ? (int)classes : null;
    }

    internal static string KeyOfA(string path, bool isEmbedding) => AdapterConvention.Peft.KeyOfA(path, isEmbedding);

    internal static string KeyOfB(string path, bool isEmbedding) => AdapterConvention.Peft.KeyOfB(path, isEmbedding);

    /// <summary>
    /// The key of a trained bias: PEFT moves an adapted layer's own parameters under base_layer.
    /// </summary>
    internal static string KeyOfBias(TrainedBias bias, LoRAPlan plan) =>
        Prefix + (plan.Layers.Any(layer => layer.Base.Bias == bias.Parameter)
            ? $"{bias.Path[..^".bias".Length]}.base_layer.bias"
            : bias.Path);

    /// <summary>The parameters of saved modules with their paths in the model, each once.</summary>
    internal static IEnumerable<(string Path,
        Parameter Parameter)> SavedParameters(IEnumerable<ModuleToSave> modules) =>
        modules
            .SelectMany(kept => kept.Module.NamedParameters()
                .Select(entry => ($"{kept.Path}.{entry.Path}", entry.Parameter)))
            .DistinctBy(entry => entry.Item1);

    /// <summary>b ← b + s·b′</summary>
    private static void AddScaled(Parameter bias, float[] values, double scaling)
    {
        var sum = bias.ToArray();
        for (var i = 0; i < sum.Length; i++)
        {
            sum[i] = (float)(sum[i] + scaling * values[i]);
        }
        bias.Set(sum);
    }

    /// <summary>
    /// Refuses, or with <paramref name="anyBase"/> notes, weights that the adapter was not trained
    /// on.
    /// </summary>
    private static void CheckBase(
        AdapterFile file, PeftConfig config, LoRAPlan plan, bool anyBase, List<string> warnings)
    {
        var (unknown, different) = BaseFingerprint.Compare(file.Metadata, plan);
        if (different.Count > 0)
        {
            var named = string.Join(", ", different.Take(3)) + (different.Count > 3 ? ", …" : "");
            var what = $"{file.Path}: the adapter was trained on another base: the weights of {different.Count} of "
                + $"{plan.Layers.Count} adapted layers are not the ones it was trained on ({named})";
            if (!anyBase)
            {
                var remedy = config.BaseModel is null
                    ? " Name the model that it was trained on."
                    : BaseFingerprint.Remedy(config.BaseModel);
                throw new InputException(
                    $"{what}.{remedy} To use it on this one all the same, give option 'anyBase'.");
            }
            warnings.Add($"{what}; used all the same.");
        }
        else if (unknown.Count > 0)
        {
            warnings.Add($"{file.Path}: does not say which base weights it was trained on (no base_sha256 in its "
                + "metadata, as other programs write it), so that was not checked.");
        }
    }
}
