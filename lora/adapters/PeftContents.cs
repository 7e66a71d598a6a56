using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Adapters;

/// <summary>The two files of an adapter, ready to be written.</summary>
/// <param name="Config">adapter_config.json</param>
/// <param name="Tensors">adapter_model.safetensors</param>
/// <param name="Fingerprint">Its metadata about the base.</param>
internal sealed record PeftContents(
    PeftConfig Config, IReadOnlyList<TensorToWrite> Tensors, IReadOnlyList<KeyValuePair<string, string>> Fingerprint)
{
    public static PeftContents Of(LoRAAdapter adapter, string? baseModel, string? revision)
    {
        if (!adapter.IsAttached)
        {
            throw new InvalidOperationException("PeftAdapter: attach the adapter before saving it; what its head "
                + "learned is laid by while it is detached.");
        }
        if (adapter.Layers.Any(layer => layer.Path.Length == 0))
        {
            throw new InputException("PeftAdapter: the model itself is a linear layer and has no path; the format "
                + "names layers by their paths. Put it into a Sequential.");
        }
        var (tasks, saved) = Saved(adapter);
        var (targets, blocks) = Targets(adapter);
        var layers = adapter.Layers.Select(layer => (layer.Path, layer.Layer.Lora.Rank, PeftAlpha(layer.Layer.Lora)));
        var config = new PeftConfig
        {
            UseRsLora = adapter.Plan.Settings.ScalingRule == LoRAScaling.AlphaOverSqrtRank,
            Dropout = adapter.Plan.Settings.Dropout,
            PooledInputs = PooledInputs(adapter),
            TargetNames = targets,
            Blocks = blocks,
            TaskType = tasks,
            ModulesToSave = saved.Count > 0 ? [.. saved.Select(kept => kept.Path)] : null,
            Bias = adapter.Plan.Settings.Bias,
            BaseModel = baseModel,
            Revision = revision,
        }.With([.. layers]);
        var whole = PeftAdapter.SavedParameters(saved).ToList();
        var biases = adapter.Plan.TrainedBiases.Where(bias => whole.All(entry => entry.Parameter != bias.Parameter));
        return new PeftContents(config,
            [
                .. adapter.Layers.SelectMany(LowRank),
                .. whole.Select(entry => TensorToWrite.Of(PeftAdapter.Prefix + entry.Path, entry.Parameter)),
                .. biases.Select(bias => TensorToWrite.Of(PeftAdapter.KeyOfBias(bias, adapter.Plan), bias.Parameter)),
            ], [.. BaseFingerprint.Of(adapter)]);
    }

    public void WriteTo(string folder)
    {
        // transformers asks which library's layout the tensors have before it loads a file: "pt" is PyTorch's.
        var metadata = new Dictionary<string, string>(Fingerprint) { ["format"] = "pt" };
        SafeTensorsWriter.Write(Path.Combine(folder, PeftAdapter.WeightsName), Tensors, metadata);
        AtomicFile.WriteText(Path.Combine(folder, PeftAdapter.ConfigName), Config.ToJson());
    }

    /// <summary>
    /// The trained modules, and the task that makes PEFT look for them. With SEQ_CLS it takes every
    /// module whose path ends with 'classifier' or 'score' for a trained one and fails if one of
    /// them is not in the file, so all of those are written, trained or not.
    /// </summary>
    private static (string? TaskType, IReadOnlyList<ModuleToSave> Modules) Saved(LoRAAdapter adapter)
    {
        var kept = adapter.Plan.ModulesToSave;
        if (kept.Count == 0)
        {
            return (null, []);
        }
        var heads = PeftHeads.ImpliedBy(PeftHeads.Classification);
        var isClassifier = kept.Any(entry => heads.Any(head => entry.Path.EndsWith(head, StringComparison.Ordinal)));
        IReadOnlyList<string> endings = [.. kept.Select(entry => entry.Path), .. isClassifier ? heads : []];
        return (isClassifier ? PeftHeads.Classification : null, PeftHeads.EndingWith(endings, adapter.Model));
    }

    /// <summary>
    /// lora_alpha, which is divided by r (or √r with use_rslora) when it is read: raw alpha is
    /// alpha·r there. PEFT's pooling has a factor of its own.
    /// </summary>
    private static double PeftAlpha(ILoRALayer lora)
    {
        var settings = lora is QALoRALayer pooled
            ? pooled.Settings.In(QALoRAPooling.Peft, pooled.InFeatures, pooled.GroupSize)
            : lora.Settings;
        return settings.ScalingRule == LoRAScaling.Alpha ? settings.Alpha * settings.Rank : settings.Alpha;
    }

    /// <summary>
    /// qalora_group_size, of which the format has one for all linear layers; null where none is
    /// quantised.
    /// </summary>
    private static int? PooledInputs(LoRAAdapter adapter)
    {
        var sizes = adapter.Layers.Where(layer => !layer.Layer.Base.IsEmbedding)
            .Select(layer => (layer.Path, Size: (layer.Layer.Lora as QALoRALayer)?.GroupSize))
            .DistinctBy(layer => layer.Size).ToList();
        return sizes.Count <= 1 ? sizes.FirstOrDefault().Size : throw new InputException(
            $"PeftAdapter: {sizes[0].Path} is {Form(sizes[0].Size)}, {sizes[1].Path} {Form(sizes[1].Size)}, and the "
                + "format has one qalora_group_size for all layers. Train an adapter for each kind.");

        static string Form(int? size) => size is null ? "not quantised" : $"quantised in groups of {size}";
    }

    /// <summary>
    /// The last part of a path where it means adapted layers only, or with layers_to_transform
    /// does; else its last two, such as intermediate.dense, or the whole path.
    /// </summary>
    private static (IReadOnlyList<string> Names, IReadOnlyList<int> Blocks) Targets(LoRAAdapter adapter)
    {
        var adapted = adapter.Layers.Select(layer => layer.Path).ToHashSet();
        var others = adapter.Model.NamedModules().Select(entry => entry.Path)
            .Where(path => path.Length > 0
                && !adapted.Any(own => path == own || path.StartsWith($"{own}.", StringComparison.Ordinal)))
            .ToList();
        string[] whole = [.. adapted.Select(ShortestTarget).Distinct()];
        int[] blocks = [.. adapted.Select(ModulePattern.BlockOf).OfType<int>().Distinct().Order()];
        // a layer outside the blocks is named by its whole path, which layers_to_transform does not restrict
        string[] within = [.. adapted.Select(path => ModulePattern.BlockOf(path) is null ? path
            : NearMisses.LastPart(path)).Distinct()];
        return whole.Any(name => ModulePattern.BlockOf(name) is not null) && !others.Any(path =>
            within.Any(name => ModulePattern.Named(name).InBlocks(blocks, []).Matches(path)))
            ? (within, blocks) : (whole, []);

        string ShortestTarget(string path)
        {
            var parts = path.Split('.');
            string[] names = [parts[^1], string.Join('.', parts.TakeLast(2))];
            return names.FirstOrDefault(name => !others.Any(ModulePattern.Named(name).Matches)) ?? path;
        }
    }

    private static IEnumerable<TensorToWrite> LowRank((string Path, LayerWithLoRA Layer) adapted)
    {
        var (lora, isEmbedding) = (adapted.Layer.Lora, adapted.Layer.Base.IsEmbedding);
        var (rank, rows, outFeatures) = (lora.Rank, lora.A.Shape[0], lora.OutFeatures);
        yield return TensorToWrite.Floats(PeftAdapter.KeyOfA(adapted.Path, isEmbedding), [rank, rows],
            RowMajor.Transposed(lora.A.ToArray(), rows, rank));
        yield return TensorToWrite.Floats(PeftAdapter.KeyOfB(adapted.Path, isEmbedding), [outFeatures, rank],
            RowMajor.Transposed(lora.B.ToArray(), rank, outFeatures));
    }
}
