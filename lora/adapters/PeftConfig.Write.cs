using System.Text.Json;

namespace LoraScratch.Lora.Adapters;

internal sealed partial record PeftConfig
{
    /// <summary>The JSON text as PEFT writes it: keys sorted, indented by 2.</summary>
    public string ToJson()
    {
        using var memory = new MemoryStream();
        using (var json = new Utf8JsonWriter(memory,
            new JsonWriterOptions { Indented = true, IndentSize = 2, NewLine = "\n" }))
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
            json.WriteString("bias", LoRASettings.Name(Bias));
            WriteNamesOrExpression(json, "exclude_modules", ExcludedNames, ExcludedExpression);
            json.WriteBoolean("fan_in_fan_out", false);
            json.WriteBoolean("inference_mode", true);
            json.WriteBoolean("init_lora_weights", true);
            WriteNames(json, "layers_pattern", BlockLists.Count > 0 ? BlockLists : null);
            WriteNumbers(json, "layers_to_transform", Blocks);
            json.WriteNumber("lora_alpha", Alpha);
            json.WriteNumber("lora_dropout", Dropout);
            WriteNames(json, "modules_to_save", ModulesToSave);
            json.WriteString("peft_type", "LORA");
            if (PooledInputs is { } groupSize)
            {
                json.WriteNumber("qalora_group_size", groupSize);
            }
            json.WriteNumber("r", Rank);
            json.WriteStartObject("rank_pattern");
            foreach (var (key, rank) in RankPattern.OrderBy(entry => entry.Key, StringComparer.Ordinal))
            {
                json.WriteNumber(key, rank);
            }
            json.WriteEndObject();
            json.WriteString("revision", Revision);
            WriteNamesOrExpression(json, "target_modules", TargetNames, TargetExpression);
            json.WriteString("task_type", TaskType);
            json.WriteBoolean("use_dora", false);
            if (PooledInputs is not null)
            {
                json.WriteBoolean("use_qalora", true);
            }
            json.WriteBoolean("use_rslora", UseRsLora);
            json.WriteEndObject();
        }
        return System.Text.Encoding.UTF8.GetString(memory.ToArray()) + "\n";
    }

    private static void WriteNamesOrExpression(Utf8JsonWriter json, string key, IReadOnlyList<string> names,
        string? expression)
    {
        if (expression is not null)
        {
            json.WriteString(key, expression);
        }
        else
        {
            WriteNames(json, key, names.Count > 0 ? names : null);
        }
    }

    private static void WriteNumbers(Utf8JsonWriter json, string key, IReadOnlyList<int> numbers)
    {
        if (numbers.Count == 0)
        {
            json.WriteNull(key);
            return;
        }
        json.WriteStartArray(key);
        foreach (var number in numbers)
        {
            json.WriteNumberValue(number);
        }
        json.WriteEndArray();
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
