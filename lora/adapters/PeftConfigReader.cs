using System.Text.Json;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Adapters;

/// <summary>
/// Reads an adapter_config.json key by key and collects what cannot be used; the defaults stand in
/// for it.
/// </summary>
internal sealed class PeftConfigReader(string path, JsonElement root)
{
    private static readonly string[] TaskTypes =
        ["SEQ_CLS", "SEQ_2_SEQ_LM", "CAUSAL_LM", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION"];

    /// <summary>Keys that <see cref="Read"/> follows.</summary>
    private static readonly HashSet<string> Followed =
    [
        "peft_type", "task_type", "r", "lora_alpha", "lora_dropout", "use_rslora", "bias", "fan_in_fan_out",
            "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern",
        "modules_to_save", "base_model_name_or_path", "revision", "rank_pattern", "alpha_pattern", "init_lora_weights",
            "use_qalora", "lora_bias",
    ];

    /// <summary>
    /// Keys that say where the adapter comes from or how it was trained; what it computes does not
    /// depend on them.
    /// </summary>
    private static readonly HashSet<string> Irrelevant =
    [
        "auto_mapping", "inference_mode", "peft_version", "megatron_core", "qalora_group_size", "eva_config",
            "ensure_weight_tying", "loftq_config", "corda_config", "lora_ga_config", "runtime_config",
    ];

    /// <summary>
    /// Keys with the only values that are supported, and what any other value would ask for.
    /// </summary>
    private static readonly Dictionary<string, (string[] Supported, string Meaning)> Restricted = new()
    {
        ["use_dora"] = (["false"], "DoRA, which scales each row of the merged weight by a learned magnitude"),
        ["use_bdlora"] = (["false"], "block-diagonal LoRA"),
        ["target_parameters"] = (["null", "[]"], "adapting parameters that belong to no linear layer"),
        ["layer_replication"] = (["null", "[]"], "a base model with repeated layers"),
        ["trainable_token_indices"] = (["null", "[]", "{}"], "trained token embeddings"),
        ["megatron_config"] = (["null", "{}"], "layers of Megatron"),
        ["alora_invocation_tokens"] = (["null", "[]"], "an adapter that is switched on by tokens"),
        ["arrow_config"] = (["null", "{}"], "routing among several adapters"),
    };

    /// <summary>Ways to draw A and B that leave the base as it is.</summary>
    private static readonly string[] Initializations = ["gaussian", "eva", "orthogonal"];

    /// <summary>
    /// Initial values that change the base weights when PEFT loads the adapter, so that A and B
    /// alone do not give the model back.
    /// </summary>
    private static readonly string[] BaseChanging = ["pissa", "olora", "loftq", "corda", "lora_ga"];

    // longer than any path in a model: messages quote names whole
    private const int LongestName = 500;

    private readonly List<string> warnings = [];
    private readonly List<string> faults = [];

    /// <summary>What cannot be used, each naming its key.</summary>
    public IReadOnlyList<string> Faults => faults;

    public PeftConfig Read()
    {
        if (Text("peft_type") is not "LORA")
        {
            faults.Add($"peft_type is {Shown("peft_type")}; only \"LORA\" adapters are supported");
        }
        var config = new PeftConfig
        {
            Rank = WholeNumber("r", 8),
            Alpha = Number("lora_alpha", 8),
            Dropout = Probability("lora_dropout"),
            UseRsLora = Flag("use_rslora"),
            PooledInputs = Flag("use_qalora") ? WholeNumber("qalora_group_size", 16) : null,
            Bias = Bias(),
            HasBiasOfB = Flag("lora_bias"),
            TargetNames = NamesOrText("target_modules").Names,
            TargetExpression = NamesOrText("target_modules").Text,
            ExcludedNames = NamesOrText("exclude_modules").Names,
            ExcludedExpression = NamesOrText("exclude_modules").Text is { Length: > 0 } excluded ? excluded : null,
            Blocks = Blocks(),
            BlockLists = NamesOrText("layers_pattern") is { Text: { Length: > 0 } one }
                ? [one] : NamesOrText("layers_pattern").Names,
            ModulesToSave = Names("modules_to_save"),
            TaskType = Text("task_type"),
            BaseModel = Text("base_model_name_or_path"),
            Revision = Text("revision"),
            RankPattern = Table("rank_pattern", (key, value) => WholeNumber(key, value, 1)),
            AlphaPattern = Table("alpha_pattern", (key, value) => Number(key, value, 1)),
        };
        Check(config);
        return config with { Warnings = warnings };
    }

    private void Check(PeftConfig config)
    {
        if (config.TaskType is { } task && !TaskTypes.Contains(task))
        {
            faults.Add($"task_type is {Shown("task_type")}; the types are {string.Join(", ", TaskTypes)} and null");
        }
        if (Find("target_modules") is null || config is { TargetExpression: null or "", TargetNames.Count: 0 })
        {
            faults.Add(
                "target_modules is missing or empty; it must name the adapted layers, such as [\"query\", \"value\"]");
        }
        if (config.TargetExpression is not null && (config.Blocks.Count > 0 || config.BlockLists.Count > 0))
        {
            faults.Add("layers_to_transform and layers_pattern go with a list of target_modules, not with the one "
                + $"expression {Shown("target_modules")}; let the expression name the blocks");
        }
        if (config.BlockLists.Count > 0 && config.Blocks.Count == 0)
        {
            warnings.Add($"{path}: layers_pattern has no effect without layers_to_transform.");
        }
        if (Flag("fan_in_fan_out"))
        {
            warnings.Add($"{path}: fan_in_fan_out has no effect: it is for layers that store W as [in, out], and "
                + "every layer here is a Linear, which stores [out, in]. PEFT takes it for false then, too.");
        }
        CheckRestricted();
        CheckInitialization();
        foreach (var property in root.EnumerateObject()
            .Where(property => !Followed.Contains(property.Name) && !Irrelevant.Contains(property.Name)
                && !Restricted.ContainsKey(property.Name) && !IsOff(property.Value)))
        {
            warnings.Add($"{path}: the key {Describe.Name(property.Name)} ({Shown(property.Name)}) is unknown and was "
                + "passed over.");
        }
    }

    /// <summary>
    /// What a newer version writes for a setting that is not used: it asks for nothing.
    /// </summary>
    private static bool IsOff(JsonElement value) =>
        value.ValueKind is JsonValueKind.Null or JsonValueKind.False || Compact(value) is "[]" or "{}" or "\"\"";

    private void CheckRestricted()
    {
        foreach (var (key, (supported, meaning)) in Restricted)
        {
            if (Find(key) is { } value && !supported.Contains(Compact(value)))
            {
                faults.Add($"{key} is {Shown(key)}, which asks for {meaning}; only {supported[0]} is supported");
            }
        }
    }

    private void CheckInitialization()
    {
        if (Find("init_lora_weights") is not { } value || value.ValueKind is JsonValueKind.True or JsonValueKind.False)
        {
            return;
        }
        var name = value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
        if (BaseChanging.Any(known => name.StartsWith(known, StringComparison.OrdinalIgnoreCase)))
        {
            faults.Add($"init_lora_weights is {Shown("init_lora_weights")}: this initialization also changes the "
                + "base weights, so A and B alone do not give the model back. "
                + "Convert the adapter to plain LoRA (PEFT: save_pretrained with "
                + "path_initial_model_for_weight_conversion)");
        }
        else if (!Initializations.Contains(name, StringComparer.OrdinalIgnoreCase))
        {
            faults.Add($"init_lora_weights is {Shown("init_lora_weights")}; true, false, "
                + $"{string.Join(", ", Initializations.Select(known => $"\"{known}\""))} are supported");
        }
    }

    private LoRABias Bias()
    {
        switch (Text("bias"))
        {
            case null or "none":
                return LoRABias.None;
            case "all":
                return LoRABias.All;
            case "lora_only":
                return LoRABias.LoRAOnly;
            default:
                faults.Add($"bias is {Shown("bias")}; \"none\", \"all\" or \"lora_only\" was expected");
                return LoRABias.None;
        }
    }

    private IReadOnlyList<int> Blocks()
    {
        const string key = "layers_to_transform";
        if (Find(key) is not { } value)
        {
            return [];
        }
        JsonElement[] numbers = value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray()] : [value];
        if (numbers.All(number => number.ValueKind == JsonValueKind.Number && number.TryGetInt32(out var block)
            && block >= 0))
        {
            return [.. numbers.Select(number => number.GetInt32())];
        }
        faults.Add($"{key} is {Shown(key)}; the number of a block, or a list of such numbers, was expected");
        return [];
    }

    private JsonElement? Find(string key) =>
        root.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private string? Text(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => value.GetString(),
        _ => Fault<string?>($"{key} is {Shown(key)}; text or null was expected", null),
    };

    private bool Flag(string key) => Find(key) switch
    {
        null => false,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        _ => Fault($"{key} is {Shown(key)}; true or false was expected", false),
    };

    private (IReadOnlyList<string> Names, string? Text) NamesOrText(string key) =>
        Find(key) is { ValueKind: JsonValueKind.String } text ? ([], text.GetString()) : (Names(key) ?? [], null);

    private IReadOnlyList<string>? Names(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Array } value when value.EnumerateArray()
            .All(item => item.ValueKind == JsonValueKind.String
                && item.GetString()!.Length is > 0 and <= LongestName) =>
            [.. value.EnumerateArray().Select(item => item.GetString()!)],
        _ => Fault<IReadOnlyList<string>?>($"{key} is {Shown(key)}; a list of module names was expected", null),
    };

    private float Probability(string key) => (float)Number(key, 0) is >= 0 and < 1 and var probability
        ? probability
        : Fault($"{key} is {Shown(key)}; a probability in [0, 1) was expected", 0f);

    private double Number(string key, double absent) => Find(key) is { } value ? Number(key, value, absent) : absent;

    private int WholeNumber(string key, int absent) =>
        Find(key) is { } value ? WholeNumber(key, value, absent) : absent;

    private double Number(string key, JsonElement value, double absent) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && double.IsFinite(number)
        ? number
        : Fault($"{key} is {JsonFile.Cut(Compact(value))}; a number was expected", absent);

    private int WholeNumber(string key, JsonElement value, int absent) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number >= 1
        ? number
        : Fault($"{key} is {JsonFile.Cut(Compact(value))}; a whole number of at least 1 was expected", absent);

    private Dictionary<string, T> Table<T>(string key, Func<string, JsonElement, T> read) => Find(key) switch
    {
        null => [],
        { ValueKind: JsonValueKind.Object } value =>
            value.EnumerateObject().ToDictionary(entry => entry.Name,
                entry => read($"{key}[\"{JsonFile.Cut(entry.Name)}\"]", entry.Value)),
        _ => Fault<Dictionary<string, T>>($"{key} is {Shown(key)}; an object was expected", []),
    };

    private string Shown(string key) =>
        root.TryGetProperty(key, out var value) ? JsonFile.Cut(Compact(value)) : "missing";

    private static string Compact(JsonElement value) => JsonSerializer.Serialize(value);

    private T Fault<T>(string what, T instead)
    {
        if (!faults.Contains(what))                         // a key may be asked for more than once
        {
            faults.Add(what);
        }
        return instead;
    }
}
