using System.Text.Json;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Adapters;

/// <summary>Reads an adapter_config.json key by key.</summary>
internal sealed class PeftConfigReader(string path, JsonElement root)
{
    private static readonly string[] TaskTypes = ["SEQ_CLS", "SEQ_2_SEQ_LM", "CAUSAL_LM", "TOKEN_CLS", "QUESTION_ANS", "FEATURE_EXTRACTION"];

    /// <summary>Keys that say where the adapter comes from or how it was trained; what it computes does not depend on them.</summary>
    private static readonly HashSet<string> Irrelevant =
    [
        "auto_mapping", "inference_mode", "peft_version", "megatron_core", "qalora_group_size", "eva_config", "ensure_weight_tying", "layers_pattern", "loftq_config", "corda_config",
    ];

    /// <summary>Keys with the only values that are supported, and what any other value would ask for.</summary>
    private static readonly Dictionary<string, (string[] Supported, string Meaning)> Restricted = new()
    {
        ["use_dora"] = (["false", "null"], "DoRA, which scales each row of the merged weight by a learned magnitude"),
        ["use_qalora"] = (["false", "null"], "QA-LoRA in PEFT's form"),
        ["bias"] = (["\"none\"", "null"], "trained biases of the base model"),
        ["lora_bias"] = (["false", "null"], "a bias beside B"),
        ["fan_in_fan_out"] = (["false", "null"], "weights stored as [in, out]"),
        ["layers_to_transform"] = (["null", "[]"], "adapting some of the layers by number; list their full paths in target_modules instead"),
        ["exclude_modules"] = (["null", "[]"], "leaving out some of the target modules; list the others in target_modules instead"),
        ["target_parameters"] = (["null", "[]"], "adapting parameters that belong to no linear layer"),
        ["layer_replication"] = (["null", "[]"], "a base model with repeated layers"),
        ["trainable_token_indices"] = (["null", "[]", "{}"], "trained token embeddings"),
        ["megatron_config"] = (["null"], "layers of Megatron"),
        ["alora_invocation_tokens"] = (["null", "[]"], "an adapter that is switched on by tokens"),
        ["arrow_config"] = (["null"], "routing among several adapters"),
    };

    /// <summary>Initial values that change the base weights when PEFT loads the adapter, so that A and B alone do not give the model back.</summary>
    private static readonly string[] BaseChanging = ["pissa", "olora", "loftq", "corda"];

    private readonly List<string> warnings = [];

    public PeftConfig Read()
    {
        if (root.ValueKind != JsonValueKind.Object)
        {
            throw Fault("a JSON object was expected");
        }
        if (Text("peft_type") is not "LORA")
        {
            throw Fault($"peft_type is {Shown("peft_type")}; only \"LORA\" adapters are supported");
        }
        var task = Text("task_type");
        if (task is not null && !TaskTypes.Contains(task))
        {
            throw Fault($"task_type is {Shown("task_type")}; the types are {string.Join(", ", TaskTypes)} and null");
        }
        CheckRestricted();
        CheckInitialization();
        var config = new PeftConfig
        {
            Rank = WholeNumber("r", 8),
            Alpha = Number("lora_alpha", 8),
            Dropout = (float)Number("lora_dropout", 0),
            UseRsLora = Flag("use_rslora"),
            TargetNames = Find("target_modules") is { ValueKind: JsonValueKind.Array } ? Names("target_modules")! : [],
            TargetExpression = Find("target_modules") is { ValueKind: JsonValueKind.String } ? Expression() : null,
            ModulesToSave = Names("modules_to_save"),
            TaskType = task,
            BaseModel = Text("base_model_name_or_path"),
            Revision = Text("revision"),
            RankPattern = Table("rank_pattern", WholeNumber),
            AlphaPattern = Table("alpha_pattern", Number),
        };
        if (config.TargetExpression is null && config.TargetNames.Count == 0)
        {
            throw Fault("target_modules is missing or empty; it must name the adapted layers, such as [\"q_lin\", \"v_lin\"]");
        }
        NoteUnknown();
        return config with { Warnings = warnings };
    }

    private void CheckRestricted()
    {
        foreach (var (key, (supported, meaning)) in Restricted)
        {
            if (Find(key) is { } value && !supported.Contains(Compact(value)))
            {
                throw Fault($"{key} is {Shown(key)}, which asks for {meaning}; only {supported[0]} is supported");
            }
        }
    }

    private void CheckInitialization()
    {
        if (Find("init_lora_weights") is { ValueKind: JsonValueKind.String } value
            && BaseChanging.FirstOrDefault(name => value.GetString()!.StartsWith(name, StringComparison.OrdinalIgnoreCase)) is not null)
        {
            throw Fault($"init_lora_weights is {Shown("init_lora_weights")}: this initialization also changes the base weights, so A and B alone do not give the model back. "
                + "Convert the adapter to plain LoRA (PEFT: save_pretrained with path_initial_model_for_weight_conversion)");
        }
    }

    private void NoteUnknown()
    {
        string[] read = ["peft_type", "task_type", "r", "lora_alpha", "lora_dropout", "use_rslora", "target_modules", "modules_to_save", "base_model_name_or_path", "revision", "rank_pattern", "alpha_pattern", "init_lora_weights"];
        foreach (var property in root.EnumerateObject())
        {
            if (!read.Contains(property.Name) && !Irrelevant.Contains(property.Name) && !Restricted.ContainsKey(property.Name))
            {
                warnings.Add($"{path}: the key '{property.Name}' ({Shown(property.Name)}) is unknown and was passed over.");
            }
        }
    }

    private string Expression()
    {
        var expression = Text("target_modules")!;
        return expression != "all-linear"
            ? expression
            : throw Fault("target_modules is \"all-linear\", which PEFT replaces by the list of layers when it saves an adapter; put that list here");
    }

    private JsonElement? Find(string key) => root.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;

    private string? Text(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => value.GetString(),
        _ => throw Fault($"{key} is {Shown(key)}; text or null was expected"),
    };

    private bool Flag(string key) => Find(key) switch
    {
        null => false,
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        _ => throw Fault($"{key} is {Shown(key)}; true or false was expected"),
    };

    private IReadOnlyList<string>? Names(string key) => Find(key) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Array } value when value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String) => [.. value.EnumerateArray().Select(item => item.GetString()!)],
        _ => throw Fault($"{key} is {Shown(key)}; a list of module names was expected"),
    };

    private double Number(string key, double absent) => Find(key) is { } value ? Number(key, value) : absent;

    private int WholeNumber(string key, int absent) => Find(key) is { } value ? WholeNumber(key, value) : absent;

    private double Number(string key, JsonElement value) => value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var number) && double.IsFinite(number)
        ? number
        : throw Fault($"{key} is {Compact(value)}; a number was expected");

    private int WholeNumber(string key, JsonElement value) => value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number >= 1
        ? number
        : throw Fault($"{key} is {Compact(value)}; a whole number of at least 1 was expected");

    private Dictionary<string, T> Table<T>(string key, Func<string, JsonElement, T> read) => Find(key) switch
    {
        null => [],
        { ValueKind: JsonValueKind.Object } value => value.EnumerateObject().ToDictionary(entry => entry.Name, entry => read($"{key}[\"{entry.Name}\"]", entry.Value)),
        _ => throw Fault($"{key} is {Shown(key)}; an object was expected"),
    };

    private string Shown(string key) => root.TryGetProperty(key, out var value) ? Compact(value) is { Length: <= 80 } text ? text : $"{Compact(value)[..80]}…" : "missing";

    private static string Compact(JsonElement value) => JsonSerializer.Serialize(value);

    private InputException Fault(string what) => new($"{path}: {what}.");
}
