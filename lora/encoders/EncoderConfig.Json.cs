using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Families;

namespace LoraScratch.Lora.Encoders;

internal sealed partial record EncoderConfig
{
    // model_type of a model with layers in low-rank or quantised form
    private const string OwnPrefix = "lorascratch-";

    private const string SingleLabel = "single_label_classification", MultiLabel = "multi_label_classification",
        PairsKey = "text_pair";

    private static readonly JsonWriterOptions Indented =
        new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // Keys that say nothing about the arithmetic of a classifier: written back, not worth a notice.
    private static readonly string[] KnownButUnused =
    [
        "_name_or_path", "architectures", "bos_token_id", "dtype", "eos_token_id", "finetuning_task",
        "gradient_checkpointing", "is_decoder", "add_cross_attention", "model_type", "output_past",
        "position_embedding_type", "tie_weights_", "torch_dtype", "transformers_version", "use_cache",
    ];

    /// <summary>
    /// The model_type of a model with layers in low-rank or quantised form: no other program knows
    /// it, so that none reads the folder and initialises the weights at random that it does not
    /// find there.
    /// </summary>
    public string OwnModelType => OwnPrefix + Family.ModelType;

    /// <summary>Reads a config.json.</summary>
    /// <param name="path">The file, or a folder that holds one.</param>
    /// <exception cref="InputException">
    /// No such file, not JSON, another model type, or a value that cannot be; the message names
    /// file and key.
    /// </exception>
    public static EncoderConfig Load(string path)
    {
        var file = Directory.Exists(path) ? Path.Combine(path, "config.json") : path;
        return JsonFile.Read(file, root => Parse(file, root), "The config.json of an encoder "
            + $"({EncoderFamilies.Names}) is expected.");
    }

    /// <summary>Reads the text of a config.json.</summary>
    /// <param name="source">What messages call it.</param>
    /// <param name="utf8">The JSON.</param>
    /// <exception cref="InputException">As for <see cref="Load"/>.</exception>
    public static EncoderConfig Parse(string source, ReadOnlyMemory<byte> utf8) =>
        JsonFile.Parse(source, utf8, root => Parse(source, root));

    private static EncoderConfig Parse(string source, JsonElement root)
    {
        var config = new Reader(source, root).Read();
        return config.Problem() is { } problem ? throw new InputException($"{source}: {problem}.") : config;
    }

    /// <summary>The config.json that transformers reads, keys sorted.</summary>
    /// <param name="architecture">
    /// The class that reads the tensors beside it; null: the family's classifier. A masked language
    /// model has no classes, and its file names none.
    /// </param>
    /// <param name="dtype">The type of these tensors.</param>
    public string ToJson(string? architecture = null, DType dtype = DType.F32)
    {
        architecture ??= Family.ClassifierArchitecture;
        var keys = Family.Keys;
        var entries = new SortedDictionary<string, Action<Utf8JsonWriter>>(StringComparer.Ordinal);
        foreach (var (key, value) in OtherKeys)
        {
            entries[key] = value.WriteTo;
        }
        entries["model_type"] = json => json.WriteStringValue(IsPlain ? Family.ModelType : OwnModelType);
        entries["architectures"] = json =>
        {
            json.WriteStartArray();
            json.WriteStringValue(architecture);
            json.WriteEndArray();
        };
        entries["torch_dtype"] = json =>
            json.WriteStringValue(dtype switch { DType.F16 => "float16", DType.BF16 => "bfloat16", _ => "float32" });
        foreach (var (key, value) in Family.FixedKeys)
        {
            entries[key] = json => json.WriteBooleanValue(value);
        }
        entries["vocab_size"] = json => json.WriteNumberValue(VocabularySize);
        entries["max_position_embeddings"] = json => json.WriteNumberValue(PositionRows);
        entries[keys.Hidden] = json => json.WriteNumberValue(Hidden);
        entries[keys.FeedForward] = json => json.WriteNumberValue(FeedForward);
        entries[keys.Layers] = json => json.WriteNumberValue(Layers);
        entries[keys.Heads] = json => json.WriteNumberValue(Heads);
        entries[keys.Activation] = json => json.WriteStringValue(Activation);
        entries[keys.Dropout] = json => json.WriteNumberValue(Dropout);
        entries[keys.AttentionDropout] = json => json.WriteNumberValue(AttentionDropout);
        entries[keys.ClassifierDropout] = json => json.WriteNumberValue(ClassifierDropout);
        if (keys.Epsilon is { } epsilon)
        {
            entries[epsilon] = json => json.WriteNumberValue(Epsilon);
        }
        if (keys.TokenTypes is { } types)
        {
            entries[types] = json => json.WriteNumberValue(TokenTypes);
        }
        if (keys.EmbeddingWidth is { } width)
        {
            entries[width] = json => json.WriteNumberValue(EmbeddingWidth);
        }
        entries["initializer_range"] = json => json.WriteNumberValue(InitializerRange);
        entries["pad_token_id"] = json => json.WriteNumberValue(PadTokenId);
        if (LowRank.Count > 0)
        {
            entries["low_rank"] = json => WriteLayers(json, LowRank, json.WriteNumberValue);
        }
        if (Quantized.Count > 0)
        {
            entries["quantized"] = json => WriteLayers(json, Quantized, format =>
            {
                json.WriteStartObject();
                json.WriteNumber("bits", format.Bits);
                json.WriteNumber("group_size", format.GroupSize);
                json.WriteEndObject();
            });
        }
        if (DynamicInt8.Count > 0)
        {
            entries["dynamic_int8"] = json =>
            {
                json.WriteStartArray();
                foreach (var path in DynamicInt8)
                {
                    json.WriteStringValue(path);
                }
                json.WriteEndArray();
            };
        }
        if (architecture == Family.ClassifierArchitecture)
        {
            entries["problem_type"] = json => json.WriteStringValue(IsMultiLabel ? MultiLabel : SingleLabel);
            if (ReadsPairs)
            {
                entries[PairsKey] = json => json.WriteBooleanValue(true);
            }
            entries["id2label"] = json =>
                WriteObject(json, id => json.WriteString(id.ToString(CultureInfo.InvariantCulture), Labels[id]));
            entries["label2id"] = json => WriteObject(json, id => json.WriteNumber(Labels[id], id));
        }

        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer, Indented))
        {
            json.WriteStartObject();
            foreach (var (key, write) in entries)
            {
                json.WritePropertyName(key);
                write(json);
            }
            json.WriteEndObject();
        }
        return Encoding.UTF8.GetString(buffer.ToArray()) + "\n";

        void WriteObject(Utf8JsonWriter json, Action<int> writeLabel)
        {
            json.WriteStartObject();
            for (var id = 0; id < Labels.Count; id++)
            {
                writeLabel(id);
            }
            json.WriteEndObject();
        }

        static void WriteLayers<T>(Utf8JsonWriter json, IReadOnlyDictionary<string, T> layers, Action<T> writeForm)
        {
            json.WriteStartObject();
            foreach (var (path, form) in layers.OrderBy(entry => entry.Key, StringComparer.Ordinal))
            {
                json.WritePropertyName(path);
                writeForm(form);
            }
            json.WriteEndObject();
        }
    }
}
