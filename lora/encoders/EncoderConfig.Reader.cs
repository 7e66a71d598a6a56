using System.Globalization;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Families;

namespace LoraScratch.Lora.Encoders;

internal sealed partial record EncoderConfig
{
    /// <summary>Reads keys one by one and remembers which were asked for.</summary>
    private sealed class Reader(string source, JsonElement root)
    {
        private readonly HashSet<string> asked = [];
        private readonly List<string> notices = [];

        public EncoderConfig Read()
        {
            if (root.ValueKind != JsonValueKind.Object)
            {
                throw new InputException($"{source}: a JSON object is expected, found {JsonFile.Shown(root)}.");
            }
            var (family, isOwn) = ReadFamily();
            RequireKnownProblem();
            RequireEncoder();
            var standard = new EncoderConfig();
            var (keys, defaults) = (family.Keys, family.Defaults);
            var dropout = Number(keys.Dropout, standard.Dropout);
            var hidden = Integer(keys.Hidden, defaults.Hidden);
            var config = standard with
            {
                Family = family,
                VocabularySize = Integer("vocab_size", defaults.VocabularySize),
                Hidden = hidden,
                OwnEmbeddingWidth = keys.EmbeddingWidth is { } width
                    && Integer(width, defaults.EmbeddingWidth ?? hidden) is var own && own != hidden ? own : null,
                FeedForward = Integer(keys.FeedForward, defaults.FeedForward),
                Layers = Integer(keys.Layers, defaults.Layers),
                Heads = Integer(keys.Heads, defaults.Heads),
                Activation = Text(keys.Activation, standard.Activation),
                Dropout = dropout,
                AttentionDropout = Number(keys.AttentionDropout, standard.AttentionDropout),
                ClassifierDropout = Number(keys.ClassifierDropout, defaults.ClassifierDropout ?? dropout),
                Epsilon = keys.Epsilon is { } epsilon ? Number(epsilon, standard.Epsilon) : standard.Epsilon,
                TokenTypes = keys.TokenTypes is { } types ? Integer(types, defaults.TokenTypes) : 0,
                InitializerRange = Number("initializer_range", standard.InitializerRange),
                PadTokenId = Integer("pad_token_id", defaults.PadTokenId),
                LowRank = isOwn ? ReadLayers("low_rank", Rank) : standard.LowRank,
                Quantized = isOwn ? ReadLayers("quantized", Format) : standard.Quantized,
                DynamicInt8 = isOwn ? Paths("dynamic_int8") : standard.DynamicInt8,
                Labels = ReadLabels(),
                HasClasses = new[] { "id2label", "label2id", "num_labels" }.Any(key => Find(key) is not null)
                    && !HasOneOutput(),
                IsRegression = HasOneOutput() || Find("problem_type") is { } problem && IsRegression(problem),
                IsMultiLabel = Find("problem_type") is { } kind && IsProblem(kind, MultiLabel),
                ReadsPairs = Flag(PairsKey),
                HasSinusoidalPositions = keys.SinusoidalPositions is { } sinusoidal && Flag(sinusoidal),
                IsMultipleChoice = Architectures().Contains(family.Architecture + "ForMultipleChoice"),
                IsTokenClassifier = Architectures().Contains(family.Architecture + "ForTokenClassification"),
            };
            var positions = Integer("max_position_embeddings", standard.MaxPositions);
            config = config with { MaxPositions = (int)Math.Max((long)positions - config.FirstPosition, int.MinValue) };
            if (isOwn && config.IsPlain)
            {
                throw new InputException($"{source}: low_rank, quantized and dynamic_int8 are missing or empty; a "
                    + $"model of type {config.OwnModelType} names its low-rank or quantised layers there.");
            }
            var others = root.EnumerateObject().Where(entry => !asked.Contains(entry.Name))
                .ToDictionary(entry => entry.Name, entry => entry.Value.Clone());
            var unknown = others.Keys.Except([.. KnownButUnused, .. family.UnusedKeys]).Order(StringComparer.Ordinal)
                .ToArray();
            if (unknown.Length > 0)
            {
                notices.Add($"{source}: these keys are kept but have no effect here: "
                    + $"{LoadReport.Listed([.. unknown.Select(key => JsonFile.Cut(key))])}.");
            }
            return config with { OtherKeys = others, Notices = notices };
        }

        /// <summary>The architecture, and whether the file is one of this program's own.</summary>
        private (EncoderFamily Family, bool IsOwn) ReadFamily()
        {
            if (Find("model_type") is not { } type)
            {
                // files that are older than the key tell by their class
                return (Architectures().Select(EncoderFamilies.OfArchitecture).OfType<EncoderFamily>().FirstOrDefault()
                    ?? DistilBert.Family, false);
            }
            var name = type.ValueKind == JsonValueKind.String ? type.GetString()! : null;
            var isOwn = name?.StartsWith(OwnPrefix, StringComparison.Ordinal) == true;
            return name is not null && EncoderFamilies.Of(isOwn ? name[OwnPrefix.Length..] : name) is { } family
                ? (family, isOwn) : throw Wrong("model_type", type, EncoderFamilies.Expected(name));
        }

        /// <summary>Refuses what would compute something else than an encoder.</summary>
        private void RequireEncoder()
        {
            // looked at without being asked for: what they say is written back as it is
            if (root.TryGetProperty("position_embedding_type", out var positions)
                && positions.ValueKind != JsonValueKind.Null
                && !(positions.ValueKind == JsonValueKind.String && positions.GetString() == "absolute"))
            {
                throw Wrong("position_embedding_type", positions, "\"absolute\"; others are not supported");
            }
            foreach (var key in (string[])["is_decoder", "add_cross_attention"])
            {
                if (root.TryGetProperty(key, out var flag) && flag.ValueKind is not (JsonValueKind.Null
                    or JsonValueKind.False))
                {
                    throw Wrong(key, flag, "false: a model that looks at earlier tokens alone is no encoder");
                }
            }
        }

        private string[] Architectures() => Find("architectures") is { ValueKind: JsonValueKind.Array } names
            ? [.. names.EnumerateArray().Where(name => name.ValueKind == JsonValueKind.String)
                .Select(name => name.GetString()!)] : [];

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

        private void RequireKnownProblem()
        {
            if (Find("problem_type") is { } problem && !IsRegression(problem) && !IsProblem(problem, SingleLabel)
                && !IsProblem(problem, MultiLabel))
            {
                throw Wrong("problem_type", problem, $"null, \"{SingleLabel}\" or \"{MultiLabel}\"");
            }
        }

        private static bool IsRegression(JsonElement problem) => IsProblem(problem, "regression");

        private static bool IsProblem(JsonElement problem, string name) =>
            problem.ValueKind == JsonValueKind.String && problem.GetString() == name;

        /// <summary>
        /// Whether there is one output, which transformers takes for the number of a regression.
        /// </summary>
        private bool HasOneOutput() => Find("id2label") is { ValueKind: JsonValueKind.Object } names
            ? names.GetPropertyCount() == 1
            : Find("num_labels") is { ValueKind: JsonValueKind.Number } count && count.TryGetInt32(out var number)
                && number == 1;

        /// <summary>
        /// The names of the classes. As in transformers, those of id2label count, whatever label2id
        /// and num_labels say beside it.
        /// </summary>
        private IReadOnlyList<string> ReadLabels()
        {
            if (HasOneOutput())
            {
                return new EncoderConfig().Labels;
            }
            var names = Find("id2label") is { } id2Label ? FromId2Label(id2Label) : null;
            if (Find("label2id") is { } label2Id)
            {
                var (inverse, fault) = FromLabel2Id(label2Id);
                if (names is null)
                {
                    names = inverse ?? throw new InputException($"{source}: {fault}");
                }
                else if (inverse is null || !names.SequenceEqual(inverse))
                {
                    notices.Add($"{source}: label2id is not id2label the other way round; the names of id2label hold.");
                }
            }
            if (Find("num_labels") is { } number)
            {
                var count = Integer("num_labels", 0);
                if (names is not null && names.Length != count)
                {
                    notices.Add(
                        $"{source}: num_labels is {count}, but there are {names.Length} names of classes, which hold.");
                }
                if (names is null && (count < 2 || count > 1_000_000))
                {
                    throw Wrong("num_labels", number, "at least 2 classes");
                }
                names ??= [.. Enumerable.Range(0, count).Select(Numbered)];
            }
            return names is null ? new EncoderConfig().Labels : Distinct(names);
        }

        /// <summary>
        /// A name that another class has already says nothing: its number stands in for it.
        /// </summary>
        private string[] Distinct(string[] names)
        {
            var known = new HashSet<string>(StringComparer.Ordinal);
            string[] distinct = [.. names.Select((name, id) => known.Add(name) ? name : Numbered(id))];
            if (!distinct.SequenceEqual(names))
            {
                var twice = names.GroupBy(name => name).First(group => group.Count() > 1).Key;
                notices.Add($"{source}: id2label has the name '{JsonFile.Cut(twice)}' more than once; from the second "
                    + $"time on the classes are named by their numbers, such as {distinct.Except(names).First()}.");
            }
            return distinct;
        }

        private static string Numbered(int id) => $"LABEL_{id}";

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
                    || id >= names.Length || Name(entry.Value) is not { } name)
                {
                    throw new InputException($"{source}: id2label has the entry {Describe.Name(entry.Name)}: "
                        + $"{JsonFile.Shown(entry.Value)}; ids 0 to {names.Length - 1} with a name each are expected.");
                }
                names[id] = name;
            }
            // As many entries as places: a place left empty means that two entries share an id ("0" and "00", say).
            var gap = Array.IndexOf(names, null);
            return gap < 0 ? [.. names.OfType<string>()]
                : throw new InputException($"{source}: id2label has no entry for class {gap}; each id from 0 to "
                    + $"{names.Length - 1} is expected once.");
        }

        /// <summary>
        /// A name as it is written: programs have numbers, and true and false, for names too.
        /// </summary>
        private static string? Name(JsonElement value) => value.ValueKind switch
        {
            JsonValueKind.String => value.GetString(),
            JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => value.GetRawText(),
            _ => null,
        };

        /// <summary>The names by id, or what is wrong with them.</summary>
        private static (string[]? Names, string? Fault) FromLabel2Id(JsonElement entries)
        {
            if (entries.ValueKind != JsonValueKind.Object)
            {
                return (null, $"label2id is {JsonFile.Shown(entries)}; expected an object such as "
                    + "{\"negative\": 0, \"positive\": 1}.");
            }
            var names = new string?[entries.GetPropertyCount()];
            foreach (var entry in entries.EnumerateObject())
            {
                if (Name(entry.Value) is not { } text
                    || !int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var id)
                    || id >= names.Length || names[id] is not null)
                {
                    return (null, $"label2id gives {Describe.Name(entry.Name)} {JsonFile.Shown(entry.Value)}; each id "
                        + $"from 0 to {names.Length - 1} is expected once.");
                }
                names[id] = entry.Name;
            }
            return ([.. names.OfType<string>()], null);
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

        private bool Flag(string key) => Find(key) is { } value && (value.ValueKind switch
        {
            JsonValueKind.True => true,
            JsonValueKind.False => false,
            _ => throw Wrong(key, value, "true or false"),
        });

        private InputException Wrong(string key, JsonElement found, string expected) =>
            new($"{source}: {key} is {JsonFile.Shown(found)}; expected {expected}.");
    }
}
