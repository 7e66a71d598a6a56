using System.Globalization;
using System.Text.Json;
using LoraScratch.Engine;

namespace LoraScratch.Lora.DistilBert;

public sealed partial record DistilBertConfig
{
    /// <summary>Reads keys one by one and remembers which were asked for.</summary>
    private sealed class Reader(string source, JsonElement root)
    {
        private readonly HashSet<string> asked = [];

        public DistilBertConfig Read()
        {
            if (root.ValueKind != JsonValueKind.Object)
            {
                throw new InputException($"{source}: a JSON object is expected, found {Kind(root)}.");
            }
            var isOwn = Find("model_type") is { ValueKind: JsonValueKind.String } name
                && name.GetString() == OwnModelType;
            if (!isOwn && Find("model_type") is { } type
                && (type.ValueKind != JsonValueKind.String || type.GetString() != "distilbert"))
            {
                throw Wrong("model_type", type, "\"distilbert\"; other architectures are not supported");
            }
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
                LowRank = isOwn ? ReadLayers("low_rank", Rank) : standard.LowRank,
                Quantized = isOwn ? ReadLayers("quantized", Format) : standard.Quantized,
                DynamicInt8 = isOwn ? Paths("dynamic_int8") : standard.DynamicInt8,
                Labels = ReadLabels(),
                HasClasses = new[] { "id2label", "label2id", "num_labels" }.Any(key => Find(key) is not null),
            };
            if (isOwn && config.IsPlain)
            {
                throw new InputException($"{source}: low_rank, quantized and dynamic_int8 are missing or empty; a "
                    + $"model of type {OwnModelType} names its low-rank or quantised layers there.");
            }
            var others = root.EnumerateObject().Where(entry => !asked.Contains(entry.Name))
                .ToDictionary(entry => entry.Name, entry => entry.Value.Clone());
            var unknown = others.Keys.Except(KnownButUnused).Order(StringComparer.Ordinal).ToArray();
            return config with
            {
                OtherKeys = others,
                Notices = unknown.Length == 0
                    ? [] : [$"{source}: these keys are kept but have no effect here: {string.Join(", ", unknown)}."],
            };
        }

        /// <summary>Layers by their paths, each with the form that it has.</summary>
        private Dictionary<string, T> ReadLayers<T>(string key, Func<string, JsonElement, T> readForm) =>
            Find(key) switch
            {
                null => [],
                { ValueKind: JsonValueKind.Object } entries =>
                    entries.EnumerateObject()
                    .ToDictionary(entry => entry.Name, entry => readForm($"{key} of '{entry.Name}'", entry.Value)),
                { } other => throw Wrong(key, other, "an object with a layer's path for each key"),
            };

        /// <summary>A list of layers.</summary>
        private string[] Paths(string key) => Find(key) switch
        {
            null => [],
            { ValueKind: JsonValueKind.Array } entries when entries.EnumerateArray()
                .All(entry => entry.ValueKind == JsonValueKind.String) =>
                [.. entries.EnumerateArray().Select(entry => entry.GetString()!)],
            { } other => throw Wrong(key, other, "a list of layers' paths"),
        };

        private int Rank(string key, JsonElement value) =>
            value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var rank)
            ? rank : throw Wrong(key, value, "a rank, a whole number");

        private QuantizationFormat Format(string key, JsonElement value) =>
            Part(value, "bits") is { } bits && Part(value, "group_size") is { } group
            ? new QuantizationFormat(bits, group)
            : throw Wrong(key, value, "bits and group_size, such as {\"bits\": 4, \"group_size\": 32}");

        private static int? Part(JsonElement value, string name) =>
            value.ValueKind == JsonValueKind.Object && value.TryGetProperty(name, out var part)
            && part.ValueKind == JsonValueKind.Number && part.TryGetInt32(out var number) ? number : null;

        private IReadOnlyList<string> ReadLabels()
        {
            var names = Find("id2label") is { } id2Label ? FromId2Label(id2Label) : null;
            if (Find("label2id") is { } label2Id)
            {
                var inverse = FromLabel2Id(label2Id);
                if (names is not null && !names.SequenceEqual(inverse))
                {
                    throw new InputException($"{source}: label2id and id2label contradict each other: "
                        + $"[{string.Join(", ", inverse)}] against [{string.Join(", ", names)}].");
                }
                names ??= inverse;
            }
            if (Find("num_labels") is { } number)
            {
                var count = Integer("num_labels", 0);
                if (names is not null && names.Length != count)
                {
                    throw Wrong("num_labels", number, $"{names.Length}, as many as id2label names");
                }
                if (count < 2 || count > 1_000_000)
                {
                    throw Wrong("num_labels", number, "at least 2 classes");
                }
                names ??= [.. Enumerable.Range(0, count).Select(id => $"LABEL_{id}")];
            }
            return names ?? new DistilBertConfig().Labels;
        }

        private string[] FromId2Label(JsonElement entries)
        {
            if (entries.ValueKind != JsonValueKind.Object)
            {
                throw Wrong("id2label", entries, "an object such as {\"0\": \"negative\", \"1\": \"positive\"}");
            }
            var names = new string?[entries.GetPropertyCount()];
            foreach (var entry in entries.EnumerateObject())
            {
                if (!int.TryParse(entry.Name, NumberStyles.None, CultureInfo.InvariantCulture, out var id)
                    || id >= names.Length || entry.Value.ValueKind != JsonValueKind.String)
                {
                    throw new InputException($"{source}: id2label has the entry \"{entry.Name}\": "
                        + $"{entry.Value.GetRawText()}; ids 0 to {names.Length - 1} with a name each are expected.");
                }
                names[id] = entry.Value.GetString();
            }
            return Complete("id2label", names);
        }

        private string[] FromLabel2Id(JsonElement entries)
        {
            if (entries.ValueKind != JsonValueKind.Object)
            {
                throw Wrong("label2id", entries, "an object such as {\"negative\": 0, \"positive\": 1}");
            }
            var names = new string?[entries.GetPropertyCount()];
            foreach (var entry in entries.EnumerateObject())
            {
                if (entry.Value.ValueKind != JsonValueKind.Number || !entry.Value.TryGetInt32(out var id) || id < 0
                    || id >= names.Length)
                {
                    throw new InputException($"{source}: label2id gives \"{entry.Name}\" {entry.Value.GetRawText()}; "
                        + $"each id from 0 to {names.Length - 1} is expected once.");
                }
                names[id] = entry.Name;
            }
            return Complete("label2id", names);
        }

        // As many entries as places: a place left empty means that two entries share an id ("0" and "00", say).
        private string[] Complete(string key, string?[] names)
        {
            var gap = Array.IndexOf(names, null);
            return gap < 0 ? [.. names.OfType<string>()]
                : throw new InputException($"{source}: {key} has no entry for class {gap}; each id from 0 to "
                    + $"{names.Length - 1} is expected once.");
        }

        private JsonElement? Find(string key)
        {
            asked.Add(key);
            return root.TryGetProperty(key, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
        }

        private int Integer(string key, int standard) => Find(key) is not { } value ? standard
            : value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number)
            ? number : throw Wrong(key, value, "a whole number");

        private float Number(string key, float standard) => Find(key) is not { } value ? standard
            : value.ValueKind == JsonValueKind.Number && value.TryGetSingle(out var number)
            ? number : throw Wrong(key, value, "a number");

        private string Text(string key, string standard) => Find(key) is not { } value ? standard
            : value.ValueKind == JsonValueKind.String ? value.GetString()! : throw Wrong(key, value, "a string");

        private void RequireIfPresent(string key, string expected, Func<JsonElement, bool> holds)
        {
            if (Find(key) is { } value && !holds(value))
            {
                throw Wrong(key, value, expected);
            }
        }

        private InputException Wrong(string key, JsonElement found, string expected) =>
            new($"{source}: {key} is {Kind(found)}; expected {expected}.");

        private static string Kind(JsonElement value) => value.ValueKind switch
        {
            JsonValueKind.Object => "an object",
            JsonValueKind.Array => "a list",
            _ => value.GetRawText() is { Length: > 80 } longText ? longText[..80] + "…" : value.GetRawText(),
        };
    }
}
