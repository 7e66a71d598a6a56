using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Encoders;

internal sealed partial record EncoderConfig
{
    /// <summary>
    /// What transformers calls the model with a classification head, and the one that guesses
    /// masked tokens.
    /// </summary>
    public const string ClassifierArchitecture = "DistilBertForSequenceClassification",
        MaskedLanguageArchitecture = "DistilBertForMaskedLM";

    /// <summary>
    /// The model_type of a model with layers in low-rank or quantised form: no other program knows
    /// it, so that none reads the folder and initialises the weights at random that it does not
    /// find there.
    /// </summary>
    public const string OwnModelType = "lorascratch-distilbert";

    private const string SingleLabel = "single_label_classification", MultiLabel = "multi_label_classification",
        PairsKey = "text_pair";

    private static readonly JsonWriterOptions Indented =
        new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // Keys that say nothing about the arithmetic of a classifier: written back, not worth a notice.
    private static readonly string[] KnownButUnused =
        ["_name_or_path", "architectures", "finetuning_task", "model_type", "output_past", "qa_dropout", "tie_weights_",
            "torch_dtype", "dtype", "transformers_version"];

    /// <summary>Reads a config.json.</summary>
    /// <param name="path">The file, or a folder that holds one.</param>
    /// <exception cref="InputException">
    /// No such file, not JSON, another model type, or a value that cannot be; the message names
    /// file and key.
    /// </exception>
    public static EncoderConfig Load(string path)
    {
        var file = Directory.Exists(path) ? Path.Combine(path, "config.json") : path;
        return JsonFile.Read(file, root => Parse(file, root), "The config.json of a DistilBERT model is expected.");
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
    /// The class that reads the tensors beside it; a masked language model has no classes, and its
    /// file names none.
    /// </param>
    /// <param name="dtype">The type of these tensors.</param>
    public string ToJson(string architecture = ClassifierArchitecture, DType dtype = DType.F32)
    {
        var entries = new SortedDictionary<string, Action<Utf8JsonWriter>>(StringComparer.Ordinal);
        foreach (var (key, value) in OtherKeys)
        {
            entries[key] = value.WriteTo;
        }
        entries["model_type"] = json => json.WriteStringValue(IsPlain ? "distilbert" : OwnModelType);
        entries["architectures"] = json =>
        {
            json.WriteStartArray();
            json.WriteStringValue(architecture);
            json.WriteEndArray();
        };
        entries["torch_dtype"] = json =>
            json.WriteStringValue(dtype switch { DType.F16 => "float16", DType.BF16 => "bfloat16", _ => "float32" });
        entries["tie_weights_"] = json => json.WriteBooleanValue(true);
        entries["sinusoidal_pos_embds"] = json => json.WriteBooleanValue(false);
        entries["vocab_size"] = json => json.WriteNumberValue(VocabularySize);
        entries["max_position_embeddings"] = json => json.WriteNumberValue(MaxPositions);
        entries["dim"] = json => json.WriteNumberValue(Hidden);
        entries["hidden_dim"] = json => json.WriteNumberValue(FeedForward);
        entries["n_layers"] = json => json.WriteNumberValue(Layers);
        entries["n_heads"] = json => json.WriteNumberValue(Heads);
        entries["activation"] = json => json.WriteStringValue(Activation);
        entries["dropout"] = json => json.WriteNumberValue(Dropout);
        entries["attention_dropout"] = json => json.WriteNumberValue(AttentionDropout);
        entries["seq_classif_dropout"] = json => json.WriteNumberValue(ClassifierDropout);
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
        if (architecture == ClassifierArchitecture)
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
