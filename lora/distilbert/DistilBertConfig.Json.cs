using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.DistilBert;

public sealed partial record DistilBertConfig
{
    /// <summary>What transformers calls the model with a classification head, and the one that guesses masked tokens.</summary>
    public const string ClassifierArchitecture = "DistilBertForSequenceClassification", MaskedLanguageArchitecture = "DistilBertForMaskedLM";

    /// <summary>The model_type of a model with low-rank layers: no other program knows it, so that none reads the folder and draws the weights at random that it does not find there.</summary>
    public const string LowRankModelType = "lorascratch-distilbert-low-rank";

    private static readonly JsonDocumentOptions StrictJson = new() { AllowDuplicateProperties = false };
    private static readonly JsonWriterOptions Indented = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    // Keys that say nothing about the arithmetic of a classifier: written back, not worth a notice.
    private static readonly string[] KnownButUnused =
        ["_name_or_path", "architectures", "finetuning_task", "model_type", "output_past", "qa_dropout", "tie_weights_", "torch_dtype", "dtype", "transformers_version"];

    /// <summary>Reads a config.json.</summary>
    /// <param name="path">The file, or a folder that holds one.</param>
    /// <exception cref="InputException">No such file, not JSON, another model type, or a value that cannot be; the message names file and key.</exception>
    public static DistilBertConfig Load(string path)
    {
        var file = Directory.Exists(path) ? Path.Combine(path, "config.json") : path;
        if (!File.Exists(file))
            throw new InputException($"{file}: there is no such file. The config.json of a DistilBERT model is expected.");
        try
        {
            return Parse(file, File.ReadAllBytes(file));
        }
        catch (Exception trouble) when (trouble is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{file}: cannot be read: {trouble.Message}");
        }
    }

    /// <summary>Reads the text of a config.json.</summary>
    /// <param name="source">What messages call it.</param> <param name="utf8">The JSON.</param>
    /// <exception cref="InputException">As for <see cref="Load"/>.</exception>
    public static DistilBertConfig Parse(string source, ReadOnlyMemory<byte> utf8)
    {
        try
        {
            using var json = JsonDocument.Parse(utf8, StrictJson);
            var config = new Reader(source, json.RootElement).Read();
            return config.Problem() is { } problem ? throw new InputException($"{source}: {problem}.") : config;
        }
        catch (InvalidOperationException)                   // the BCL's word for \uD800 without its partner
        {
            throw new InputException($"{source}: a string has half a surrogate pair, which is no text. Write the file again.");
        }
        catch (JsonException trouble)
        {
            throw new InputException($"{source}: this is not valid JSON: {trouble.Message}");
        }
    }

    /// <summary>The config.json that transformers reads, keys sorted.</summary>
    /// <param name="architecture">The class that reads the tensors beside it; a masked language model has no classes, and its file names none.</param> <param name="dtype">The type of these tensors.</param>
    public string ToJson(string architecture = ClassifierArchitecture, DType dtype = DType.F32)
    {
        var entries = new SortedDictionary<string, Action<Utf8JsonWriter>>(StringComparer.Ordinal);
        foreach (var (key, value) in OtherKeys)
            entries[key] = value.WriteTo;
        entries["model_type"] = json => json.WriteStringValue(LowRank.Count > 0 ? LowRankModelType : "distilbert");
        entries["architectures"] = json =>
        {
            json.WriteStartArray();
            json.WriteStringValue(architecture);
            json.WriteEndArray();
        };
        entries["torch_dtype"] = json => json.WriteStringValue(dtype switch { DType.F16 => "float16", DType.BF16 => "bfloat16", _ => "float32" });
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
            entries["low_rank"] = json =>
            {
                json.WriteStartObject();
                foreach (var (path, rank) in LowRank.OrderBy(entry => entry.Key, StringComparer.Ordinal))
                    json.WriteNumber(path, rank);
                json.WriteEndObject();
            };
        }
        if (architecture == ClassifierArchitecture)
        {
            entries["problem_type"] = json => json.WriteStringValue("single_label_classification");
            entries["id2label"] = json => WriteObject(json, id => json.WriteString(id.ToString(CultureInfo.InvariantCulture), Labels[id]));
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
                writeLabel(id);
            json.WriteEndObject();
        }
    }

    /// <summary>Reads keys one by one and remembers which were asked for.</summary>
    private sealed class Reader(string source, JsonElement root)
    {
        private readonly HashSet<string> asked = [];

        public DistilBertConfig Read()
        {
            if (root.ValueKind != JsonValueKind.Object)
                throw new InputException($"{source}: a JSON object is expected, found {Kind(root)}.");
            var isLowRank = Find("model_type") is { ValueKind: JsonValueKind.String } name && name.GetString() == LowRankModelType;
            if (!isLowRank && Find("model_type") is { } type && (type.ValueKind != JsonValueKind.String || type.GetString() != "distilbert"))
                throw Wrong("model_type", type, "\"distilbert\"; other architectures are not supported");
            RequireIfPresent("sinusoidal_pos_embds", "false", value => value.ValueKind == JsonValueKind.False);
            RequireIfPresent("problem_type", "null or \"single_label_classification\"",
                value => value.ValueKind == JsonValueKind.String && value.GetString() == "single_label_classification");
            var standard = new DistilBertConfig();
            var config = standard with
            {
                VocabularySize = Integer("vocab_size", standard.VocabularySize),
                MaxPositions = Integer("max_position_embeddings", standard.MaxPositions),
                Hidden = Integer("dim", standard.Hidden),
                FeedForward = Integer("hidden_dim", standard.FeedForward),
                Layers = Integer("n_layers", standard.Layers),
                Heads = Integer("n_heads", standard.Heads),
                Activation = Text("activation", standard.Activation),
                Dropout = Number("dropout", standard.Dropout),
                AttentionDropout = Number("attention_dropout", standard.AttentionDropout),
                ClassifierDropout = Number("seq_classif_dropout", standard.ClassifierDropout),
                InitializerRange = Number("initializer_range", standard.InitializerRange),
                PadTokenId = Integer("pad_token_id", standard.PadTokenId),
                LowRank = isLowRank ? ReadLowRank() : standard.LowRank,
                Labels = ReadLabels(),
                HasClasses = new[] { "id2label", "label2id", "num_labels" }.Any(key => Find(key) is not null),
            };
            var others = root.EnumerateObject().Where(entry => !asked.Contains(entry.Name)).ToDictionary(entry => entry.Name, entry => entry.Value.Clone());
            var unknown = others.Keys.Except(KnownButUnused).Order(StringComparer.Ordinal).ToArray();
            return config with
            {
                OtherKeys = others,
                Notices = unknown.Length == 0 ? [] : [$"{source}: these keys are kept but have no effect here: {string.Join(", ", unknown)}."],
            };
        }

        private Dictionary<string, int> ReadLowRank()
        {
            if (Find("low_rank") is not { } entries)
                throw new InputException($"{source}: low_rank is missing; a model of type {LowRankModelType} names its low-rank layers there.");
            if (entries.ValueKind != JsonValueKind.Object)
                throw Wrong("low_rank", entries, "an object of layers and ranks, such as {\"distilbert.transformer.layer.0.ffn.lin1\": 96}");
            return entries.EnumerateObject().ToDictionary(entry => entry.Name, entry => entry.Value.ValueKind == JsonValueKind.Number && entry.Value.TryGetInt32(out var rank) ? rank
                : throw Wrong($"low_rank of '{entry.Name}'", entry.Value, "a rank, a whole number"));
        }

        private IReadOnlyList<string> ReadLabels()
        {
            var names = Find("id2label") is { } id2Label ? FromId2Label(id2Label) : null;
            if (Find("label2id") is { } label2Id)
            {
                var inverse = FromLabel2Id(label2Id);
                if (names is not null && !names.SequenceEqual(inverse))
                    throw new InputException($"{source}: label2id and id2label contradict each other: [{string.Join(", ", inverse)}] against [{string.Join(", ", names)}].");
                names ??= inverse;
            }
            if (Find("num_labels") is { } number)
            {
                var count = Integer("num_labels", 0);
                if (names is not null && names.Length != count)
                    throw Wrong("num_labels", number, $"{names.Length}, as many as id2label names");
                if (count < 2 || count > 1_000_000)
                    throw Wrong("num_labels", number, "at least 2 classes");
                names ??= [.. Enumerable.Range(0, count).Select(id => $"LABEL_{id}")];
            }
            return names ?? new DistilBertConfig().Labels;
        }

        private string[] FromId2Label(JsonElement entries)
        {
            if (entries.ValueKind != JsonValueKind.Object)
                throw Wrong("id2label", entries, "an object such as {\"0\": \"negative\", \"1\": \"positive\"}");
            var names = new string?[entries.GetPropertyCount()];
            foreach (var entry in entries.EnumerateObject())
            {
                if (!int.TryParse(entry.Name, NumberStyles.None, CultureInfo.InvariantCulture, out var id) || id >= names.Length || entry.Value.ValueKind != JsonValueKind.String)
                    throw new InputException($"{source}: id2label has the entry \"{entry.Name}\": {entry.Value.GetRawText()}; ids 0 to {names.Length - 1} with a name each are expected.");
                names[id] = entry.Value.GetString();
            }
            return Complete("id2label", names);
        }

        private string[] FromLabel2Id(JsonElement entries)
        {
            if (entries.ValueKind != JsonValueKind.Object)
                throw Wrong("label2id", entries, "an object such as {\"negative\": 0, \"positive\": 1}");
            var names = new string?[entries.GetPropertyCount()];
            foreach (var entry in entries.EnumerateObject())
            {
                if (entry.Value.ValueKind != JsonValueKind.Number || !entry.Value.TryGetInt32(out var id) || id < 0 || id >= names.Length)
                    throw new InputException($"{source}: label2id gives \"{entry.Name}\" {entry.Value.GetRawText()}; each id from 0 to {names.Length - 1} is expected once.");
                names[id] = entry.Name;
            }
            return Complete("label2id", names);
        }

        // As many entries as places: a place left empty means that two entries share an id ("0" and "00", say).
        private string[] Complete(string key, string?[] names)
        {
            var gap = Array.IndexOf(names, null);
            return gap < 0 ? [.. names.OfType<string>()]
                : throw new InputException($"{source}: {key} has no entry for class {gap}; each id from 0 to {names.Length - 1} is expected once.");
        }

        private JsonElement? Find(string key)
        {
            asked.Add(key);
            return root.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
        }

        private int Integer(string key, int standard) => Find(key) is not { } value ? standard
            : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) ? number : throw Wrong(key, value, "a whole number");

        private float Number(string key, float standard) => Find(key) is not { } value ? standard
            : value.ValueKind == JsonValueKind.Number && value.TryGetSingle(out var number) ? number : throw Wrong(key, value, "a number");

        private string Text(string key, string standard) => Find(key) is not { } value ? standard
            : value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Wrong(key, value, "a string");

        private void RequireIfPresent(string key, string expected, Func<JsonElement, bool> holds)
        {
            if (Find(key) is { } value && !holds(value))
                throw Wrong(key, value, expected);
        }

        private InputException Wrong(string key, JsonElement found, string expected) => new($"{source}: {key} is {Kind(found)}; expected {expected}.");

        private static string Kind(JsonElement value) => value.ValueKind switch
        {
            JsonValueKind.Object => "an object",
            JsonValueKind.Array => "a list",
            _ => value.GetRawText() is { Length: > 80 } longText ? longText[..80] + "…" : value.GetRawText(),
        };
    }
}
