using System.Text.Json;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Adapters;

/// <summary>
/// What an adapter_config.json of PEFT says, as far as it decides what the adapter computes. Reading is strict: a setting that would change the result and that is not supported is refused by name;
/// keys that are unknown are reported.
/// </summary>
public sealed record PeftConfig
{
    /// <summary>The rank of the layers that no pattern names; 8 where the file is silent.</summary>
    public int Rank { get; init; } = 8;

    /// <summary>lora_alpha of the layers that no pattern names; 8 where the file is silent.</summary>
    public double Alpha { get; init; } = 8;

    /// <summary>lora_dropout</summary>
    public float Dropout { get; init; }

    /// <summary>True: the factor is alpha/√r, not alpha/r.</summary>
    public bool UseRsLora { get; init; }

    /// <summary>The names in a list of target_modules; empty where it is one regular expression.</summary>
    public IReadOnlyList<string> TargetNames { get; init; } = [];

    /// <summary>target_modules where it is one string: a regular expression for whole paths, or "all-linear".</summary>
    public string? TargetExpression { get; init; }

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
    public LoRASettings Settings => new(Rank, Alpha, UseRsLora ? LoRAScaling.AlphaOverSqrtRank : LoRAScaling.AlphaOverRank, Dropout: Dropout)
    {
        RankPattern = RankPattern,
        AlphaPattern = AlphaPattern,
    };

    /// <summary>The layers that have an update.</summary>
    /// <exception cref="InputException">A target is no name or expression.</exception>
    public IReadOnlyList<ModulePattern> Targets => TargetExpression switch
    {
        null => [.. TargetNames.Select(ModulePattern.Named)],
        _ => [ModulePattern.Regex(TargetExpression)],
    };

    /// <summary>
    /// modules_to_save together with what PEFT adds to it for the task. A module is meant if its path merely ends with one of these: 'classifier' means 'pre_classifier' as well.
    /// </summary>
    public IReadOnlyList<string> SavedModuleEndings => [.. (ModulesToSave ?? []).Concat(ImpliedBy(TaskType)).Distinct()];

    /// <summary>The modules that PEFT trains and saves for a task without being told.</summary>
    internal static IReadOnlyList<string> ImpliedBy(string? taskType) => taskType switch
    {
        "SEQ_CLS" or "TOKEN_CLS" => ["classifier", "score"],
        "QUESTION_ANS" => ["qa_outputs"],
        _ => [],
    };

    /// <summary>Reads an adapter_config.json.</summary>
    /// <exception cref="InputException">It is missing, no JSON, no LoRA config, or says something that is not supported; the message names the key.</exception>
    public static PeftConfig Read(string path)
    {
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path), new JsonDocumentOptions { AllowDuplicateProperties = false });
            return new PeftConfigReader(path, document.RootElement).Read();
        }
        catch (JsonException trouble)
        {
            throw new InputException($"{path}: no valid JSON: {trouble.Message}");
        }
        catch (Exception trouble) when (trouble is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InputException($"{path}: no such file. An adapter's folder holds adapter_config.json and adapter_model.safetensors.");
        }
        catch (Exception trouble) when (trouble is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read: {trouble.Message}");
        }
    }

    /// <summary>The JSON text as PEFT writes it: keys sorted, indented by 2.</summary>
    public string ToJson()
    {
        using var memory = new MemoryStream();
        using (var json = new Utf8JsonWriter(memory, new JsonWriterOptions { Indented = true, IndentSize = 2, NewLine = "\n" }))
        {
            json.WriteStartObject();
            json.WriteStartObject("alpha_pattern");
            foreach (var (key, alpha) in AlphaPattern.OrderBy(entry => entry.Key, StringComparer.Ordinal))
            {
                json.WriteNumber(key, alpha);
            }
            json.WriteEndObject();
            json.WriteNull("auto_mapping");
            json.WriteString("base_model_name_or_path", BaseModel);
            json.WriteString("bias", "none");
            json.WriteBoolean("fan_in_fan_out", false);
            json.WriteBoolean("inference_mode", true);
            json.WriteBoolean("init_lora_weights", true);
            json.WriteNull("layers_pattern");
            json.WriteNull("layers_to_transform");
            json.WriteNumber("lora_alpha", Alpha);
            json.WriteNumber("lora_dropout", Dropout);
            WriteNames(json, "modules_to_save", ModulesToSave);
            json.WriteString("peft_type", "LORA");
            json.WriteNumber("r", Rank);
            json.WriteStartObject("rank_pattern");
            foreach (var (key, rank) in RankPattern.OrderBy(entry => entry.Key, StringComparer.Ordinal))
            {
                json.WriteNumber(key, rank);
            }
            json.WriteEndObject();
            json.WriteString("revision", Revision);
            if (TargetExpression is not null)
            {
                json.WriteString("target_modules", TargetExpression);
            }
            else
            {
                WriteNames(json, "target_modules", TargetNames);
            }
            json.WriteString("task_type", TaskType);
            json.WriteBoolean("use_dora", false);
            json.WriteBoolean("use_rslora", UseRsLora);
            json.WriteEndObject();
        }
        return System.Text.Encoding.UTF8.GetString(memory.ToArray()) + "\n";
    }

    private static void WriteNames(Utf8JsonWriter json, string key, IReadOnlyList<string>? names)
    {
        if (names is null)
        {
            json.WriteNull(key);
            return;
        }
        json.WriteStartArray(key);
        foreach (var name in names.Order(StringComparer.Ordinal))
        {
            json.WriteStringValue(name);
        }
        json.WriteEndArray();
    }
}
