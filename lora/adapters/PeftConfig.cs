using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Adapters;

/// <summary>
/// What an adapter_config.json of PEFT says, as far as it decides what the adapter computes.
/// Reading is strict: a setting that would change the result and that is not supported is refused
/// by name; keys that are unknown are reported.
/// </summary>
internal sealed partial record PeftConfig
{
    private const string AllLinear = "all-linear";

    /// <summary>The rank of the layers that no pattern names; 8 where the file is silent.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>
    /// lora_alpha of the layers that no pattern names; 8 where the file is silent.
    /// </summary>
    public double Alpha { get; init; } = 8;

    /// <summary>lora_dropout</summary>
    public float Dropout { get; init; }

    /// <summary>True: the factor is alpha/√r, not alpha/r.</summary>
    public bool UseRsLora { get; init; }

    /// <summary>
    /// qalora_group_size where use_qalora is true: inputs of a quantised layer that are pooled into
    /// one, in PEFT's convention (<see cref="QALoRAPooling.Peft"/>). Null: plain LoRA.
    /// </summary>
    public int? PooledInputs { get; init; }

    /// <summary>
    /// The names in a list of target_modules; empty where it is one regular expression.
    /// </summary>
    public IReadOnlyList<string> TargetNames { get; init; } = [];

    /// <summary>
    /// target_modules where it is one string: a regular expression for whole paths, or
    /// "all-linear".
    /// </summary>
    public string? TargetExpression { get; init; }

    /// <summary>
    /// The names in a list of exclude_modules: layers that are not adapted though a target means
    /// them.
    /// </summary>
    public IReadOnlyList<string> ExcludedNames { get; init; } = [];

    /// <summary>
    /// exclude_modules where it is one string: a regular expression for whole paths.
    /// </summary>
    public string? ExcludedExpression { get; init; }

    /// <summary>
    /// layers_to_transform: the numbers of the blocks whose layers are adapted; empty for all.
    /// </summary>
    public IReadOnlyList<int> Blocks { get; init; } = [];

    /// <summary>
    /// layers_pattern: names of the lists that <see cref="Blocks"/> counts in, such as "layer";
    /// empty for any.
    /// </summary>
    public IReadOnlyList<string> BlockLists { get; init; } = [];

    /// <summary>bias: which biases of the base are in the adapter.</summary>
    public LoRABias Bias { get; init; }

    /// <summary>
    /// lora_bias: whether B has a bias b of its own, so that the update is s·(B·A·x + b). It is
    /// added to the layer's bias when the adapter is loaded.
    /// </summary>
    public bool HasBiasOfB { get; init; }

    /// <summary>modules_to_save, as in the file.</summary>
    public IReadOnlyList<string>? ModulesToSave { get; init; }

    /// <summary>task_type, such as SEQ_CLS; null for none.</summary>
    public string? TaskType { get; init; }

    /// <summary>The base model's name, where the adapter tells it.</summary>
    public string? BaseModel { get; init; }

    /// <summary>The base model's revision, where the adapter tells it.</summary>
    public string? Revision { get; init; }

    /// <summary>rank_pattern: a regular expression for the end of a path → rank.</summary>
    public IReadOnlyDictionary<string, int> RankPattern { get; init; } = new Dictionary<string, int>();

    /// <summary>alpha_pattern, likewise.</summary>
    public IReadOnlyDictionary<string, double> AlphaPattern { get; init; } = new Dictionary<string, double>();

    /// <summary>Keys that were read over, each with what that means.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>The settings of the LoRA layers.</summary>
    public LoRASettings Settings =>
        new(Rank, Alpha, UseRsLora ? LoRAScaling.AlphaOverSqrtRank : LoRAScaling.AlphaOverRank, Dropout: Dropout)
        {
            RankPattern = RankPattern,
            AlphaPattern = AlphaPattern,
            Bias = HasBiasOfB && Bias == LoRABias.None ? LoRABias.LoRAOnly : Bias,
            Pooling = PooledInputs is null ? QALoRAPooling.Repository : QALoRAPooling.Peft,
        };

    /// <summary>
    /// True where target_modules is "all-linear": every linear layer but the task's head.
    /// </summary>
    public bool TargetsAllLinear => string.Equals(TargetExpression, AllLinear, StringComparison.OrdinalIgnoreCase);

    /// <summary>
    /// What target_modules means, in the blocks of layers_to_transform; exclude_modules is still to
    /// be taken off.
    /// </summary>
    /// <exception cref="InputException">A target is no name or expression.</exception>
    public IReadOnlyList<ModulePattern> Targets => TargetExpression switch
    {
        null when Blocks.Count > 0 =>
            [.. TargetNames.Select(name => ModulePattern.Named(name).InBlocks(Blocks, BlockLists))],
        null => [.. TargetNames.Select(ModulePattern.Named)],
        _ when TargetsAllLinear => [ModulePattern.AllLinear],
        _ => [ModulePattern.Regex(TargetExpression)],
    };

    /// <summary>What exclude_modules means.</summary>
    /// <exception cref="InputException">It is no regular expression.</exception>
    public IReadOnlyList<ModulePattern> Excluded =>
        ExcludedExpression is null
        ? [.. ExcludedNames.Select(ModulePattern.Named)] : [ModulePattern.Regex(ExcludedExpression)];

    /// <summary>
    /// modules_to_save together with what PEFT adds to it for the task. A module is meant if its
    /// path merely ends with one of these: 'classifier' means 'pre_classifier' as well.
    /// </summary>
    public IReadOnlyList<string> SavedModuleEndings =>
        [.. (ModulesToSave ?? []).Concat(PeftHeads.ImpliedBy(TaskType)).Distinct()];

    /// <summary>Reads an adapter_config.json.</summary>
    /// <exception cref="InputException">
    /// It is missing, no JSON, no LoRA config, or says something that is not supported; the message
    /// names every such key.
    /// </exception>
    public static PeftConfig Read(string path)
    {
        var (config, faults) = ReadWithFaults(path);
        return faults.Count switch
        {
            0 => config,
            1 => throw new InputException($"{path}: {faults[0]}."),
            _ => throw new InputException($"{path}: {faults.Count} settings cannot be used:\n  "
                + $"{string.Join("\n  ", faults)}"),
        };
    }

    /// <summary>Reads an adapter_config.json as far as it goes.</summary>
    /// <returns>
    /// The config, with defaults where a setting cannot be used, and what is wrong with each of
    /// those.
    /// </returns>
    /// <exception cref="InputException">It is missing or no JSON object.</exception>
    internal static (PeftConfig Config, IReadOnlyList<string> Faults) ReadWithFaults(string path) =>
        JsonFile.Read(path, root =>
        {
            if (root.ValueKind != JsonValueKind.Object)
            {
                throw new InputException($"{path}: a JSON object is expected, found {JsonFile.Shown(root)}.");
            }
            var reader = new PeftConfigReader(path, root);
            return (reader.Read(), reader.Faults);
        }, $"An adapter's folder holds {PeftAdapter.ConfigName} and {PeftAdapter.WeightsName}.");
}
