using System.Text;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Tokenizers;

internal sealed partial class WordPieceTokenizer
{
    internal static readonly string[] SpecialNames = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

    /// <summary>
    /// Reads a tokenizer: a vocab.txt (the line number, from 0, is the id), a Hugging Face
    /// tokenizer.json, or a model folder with one of them (tokenizer.json first, as in
    /// transformers).
    /// </summary>
    /// <param name="path">The file or folder.</param>
    /// <param name="uncased">
    /// Whether letters are lowered and accents stripped. If null: what tokenizer.json says; for a
    /// vocab.txt the do_lower_case of a tokenizer_config.json beside it; else true.
    /// </param>
    /// <exception cref="InputException">
    /// No such file, or it is not a WordPiece vocabulary, or a setting in it or in the files beside
    /// it asks for ids that this class does not give; the message names file and line or setting.
    /// </exception>
    public static WordPieceTokenizer Load(string path, bool? uncased = null)
    {
        if (Directory.Exists(path))
        {
            path = VocabularyIn(path) ?? throw new InputException(
                $"{path}: this folder has no tokenizer.json and no vocab.txt. Copy the model's vocab.txt into it, or "
                    + "name the file itself.");
        }
        if (!File.Exists(path))
        {
            throw new InputException($"{path}: there is no such file. A vocab.txt, a tokenizer.json or a folder with "
                + "one of them is expected.");
        }
        try
        {
            var isJson = path.EndsWith(".json", StringComparison.OrdinalIgnoreCase);
            var folder = Path.GetDirectoryName(Path.GetFullPath(path))!;
            var tokenizer = isJson
                ? LoadJson(path, uncased)
                : ParseVocabulary(path, File.ReadAllBytes(path), uncased ?? LowerCaseIn(folder) ?? true);
            tokenizer.RequireFollowed(folder, isCaseGiven: uncased is not null, hasOwnRules: isJson);
            var (keepsEnd, maxLength) = TruncationIn(folder, isJson ? path : null);
            (tokenizer.KeepsEnd, tokenizer.GivenMaxLength) = (keepsEnd ?? false, maxLength);
            tokenizer.ClassName = TokenizerFiles.Read(folder, TokenizerFiles.ConfigName)
                .Select(root => root["tokenizer_class"]).Where(name => !name.IsNothing).Select(name => name.Text())
                .FirstOrDefault();
            return tokenizer;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read: {e.Message}");
        }
    }

    /// <summary>A tokenizer with a vocabulary made by the program.</summary>
    /// <param name="vocabulary">
    /// Distinct pieces, [PAD], [UNK], [CLS] and [SEP] among them; the index is the id.
    /// </param>
    /// <param name="uncased">Whether letters are lowered and accents stripped.</param>
    /// <exception cref="InputException">
    /// A piece is empty, appears twice or holds a line feed, or one of the four special tokens is
    /// missing.
    /// </exception>
    public static WordPieceTokenizer FromVocabulary(IEnumerable<string> vocabulary, bool uncased = true) =>
        Create("vocabulary", [.. vocabulary], id => $"piece {id}", uncased);

    /// <summary>Reads the text of a vocab.txt.</summary>
    /// <param name="source">What messages call it.</param>
    /// <param name="bytes">UTF-8, one piece per line; the line number, from 0, is the id.</param>
    /// <param name="uncased">Whether letters are lowered and accents stripped.</param>
    /// <exception cref="InputException">
    /// It is not a WordPiece vocabulary; the message names the line.
    /// </exception>
    public static WordPieceTokenizer ParseVocabulary(string source, ReadOnlySpan<byte> bytes, bool uncased = true)
    {
        if (bytes.StartsWith("\uFEFF"u8))
        {
            bytes = bytes[3..];
        }
        var pieces = new List<string>();
        while (!bytes.IsEmpty)
        {
            var end = bytes.IndexOf((byte)'\n');
            var line = end < 0 ? bytes : bytes[..end];
            bytes = end < 0 ? [] : bytes[(end + 1)..];
            if (line.EndsWith("\r"u8))
            {
                line = line[..^1];
            }
            try
            {
                pieces.Add(StrictUtf8.Decode(line));
            }
            catch (DecoderFallbackException)
            {
                throw new InputException($"{source}, line {pieces.Count + 1}: these bytes are not UTF-8. A vocab.txt "
                    + "is UTF-8 text with one piece per line.");
            }
        }
        while (pieces.Count > 0 && pieces[^1].Length == 0)
        {
            pieces.RemoveAt(pieces.Count - 1);                          // blank lines at the end name no id
        }
        return Create(source, [.. pieces], id => $"line {id + 1}", uncased);
    }

    private static WordPieceTokenizer Create(string source, string[] pieces, Func<int, string> place, bool uncased)
    {
        if (pieces.Length == 0)
        {
            throw new InputException($"{source}: the vocabulary is empty. One piece per line is expected, [PAD], "
                + "[UNK], [CLS] and [SEP] among them.");
        }
        var seen = new Dictionary<string, int>(StringComparer.Ordinal);
        for (var id = 0; id < pieces.Length; id++)
        {
            if (pieces[id].Length == 0)
            {
                throw new InputException($"{source}, {place(id)}: the piece is empty. Remove the blank line; every "
                    + "line below it then moves up by one id.");
            }
            if (pieces[id].Contains('\n'))
            {
                throw new InputException(
                    $"{source}, {place(id)}: the piece holds a line feed, which no vocab.txt can store.");
            }
            if (!seen.TryAdd(pieces[id], id))
            {
                throw new InputException($"{source}, {place(id)}: '{pieces[id]}' is already "
                    + $"{place(seen[pieces[id]])}. Every piece may appear once.");
            }
        }
        foreach (var name in SpecialNames[..4])
        {
            if (!seen.ContainsKey(name))
            {
                throw new InputException($"{source}: the vocabulary of {pieces.Length} pieces lacks {name}. Is this "
                    + "the vocab.txt of a BERT or DistilBERT model?");
            }
        }
        return new WordPieceTokenizer(pieces, uncased);
    }

    private static string? VocabularyIn(string folder) =>
        Array.Find([Path.Combine(folder, "tokenizer.json"), Path.Combine(folder, "vocab.txt")], File.Exists);

    // ---- tokenizer.json: everything in it that would change an id is either followed or refused by name

    private static WordPieceTokenizer LoadJson(string path, bool? uncased) =>
        JsonFile.Read(path, root => OfJson(path, root, uncased));

    private static WordPieceTokenizer OfJson(string path, JsonElement root, bool? uncased)
    {
        var model = Get(root, "model");
        // older files leave the type out, and the other settings tell: those of BPE have merges
        if (Get(model, "type") is not null || Get(model, "merges") is not null)
        {
            Require(path, "model.type", Text(Get(model, "type")), "WordPiece");
        }
        Require(path, "model.unk_token", Text(Get(model, "unk_token")), "[UNK]");
        Require(path, "model.continuing_subword_prefix", Text(Get(model, "continuing_subword_prefix")), "##");
        Require(path, "model.max_input_chars_per_word", Text(Get(model, "max_input_chars_per_word")),
            $"{MaxWordLength}");
        var normalizer = Get(root, "normalizer");
        Require(path, "normalizer.type", Text(Get(normalizer, "type")), "BertNormalizer");
        Require(path, "normalizer.clean_text", Text(Get(normalizer, "clean_text")), "true");
        Require(path, "normalizer.handle_chinese_chars", Text(Get(normalizer, "handle_chinese_chars")), "true");
        var lower = Text(Get(normalizer, "lowercase"));
        var strip = Text(Get(normalizer, "strip_accents"));
        if (strip is not "null" and not "nothing")
        {
            Require(path, "normalizer.strip_accents", strip, lower);
        }
        Require(path, "pre_tokenizer.type", Text(Get(Get(root, "pre_tokenizer"), "type")), "BertPreTokenizer");
        var pieces = PiecesById(path, Get(model, "vocab"));
        var tokenizer = Create(path, pieces, id => $"id {id}", uncased ?? lower == "true");
        tokenizer.RequireKnownTokens(path, "added_tokens", Get(root, "added_tokens"));
        tokenizer.RequireFrame(path, Get(root, "post_processor"));
        return tokenizer;
    }

    /// <summary>What stands around a text must be [CLS] and [SEP].</summary>
    private void RequireFrame(string path, JsonElement? processor)
    {
        var type = Text(Get(processor, "type"));
        if (type == "BertProcessing")
        {
            Require(path, "post_processor.cls", List(Get(processor, "cls")), $"[CLS], {ClassificationId}");
            Require(path, "post_processor.sep", List(Get(processor, "sep")), $"[SEP], {SeparatorId}");
            return;
        }
        Require(path, "post_processor.type", type, "TemplateProcessing");
        Require(path, "post_processor.single", List(Get(processor, "single")), "[CLS], A, [SEP]");
        foreach (var (name, id) in new[] { ("[CLS]", ClassificationId), ("[SEP]", SeparatorId) })
        {
            var ids = Get(Get(Get(processor, "special_tokens"), name), "ids");
            Require(path, $"post_processor.special_tokens.{name}.ids", List(ids), $"{id}");
        }

        // A part of a template is {"SpecialToken": {"id": "[CLS]", …}} or {"Sequence": {"id": "A", …}}.
        static string List(JsonElement? list) => list is { ValueKind: JsonValueKind.Array } parts
            ? string.Join(", ", parts.EnumerateArray().Select(part =>
                Text(Get(Get(part, "SpecialToken") ?? Get(part, "Sequence"), "id") ?? part)))
            : Text(list);
    }

    private static string[] PiecesById(string path, JsonElement? vocabulary)
    {
        if (vocabulary is not { ValueKind: JsonValueKind.Object } entries)
        {
            throw new InputException(
                $"{path}: model.vocab should be an object that gives every piece its id, and is {Text(vocabulary)}.");
        }
        var pieces = new string?[entries.GetPropertyCount()];
        foreach (var entry in entries.EnumerateObject())
        {
            if (entry.Value.ValueKind != JsonValueKind.Number || !entry.Value.TryGetInt32(out var id)
                || (uint)id >= (uint)pieces.Length)
            {
                throw new InputException($"{path}: model.vocab gives '{entry.Name}' the id {entry.Value.GetRawText()}; "
                    + $"ids of {pieces.Length} pieces go from 0 to {pieces.Length - 1}.");
            }
            if (pieces[id] is { } other)
            {
                throw new InputException($"{path}: model.vocab gives '{other}' and '{entry.Name}' the same id {id}.");
            }
            pieces[id] = entry.Name;
        }
        return pieces!;
    }

    private static JsonElement? Get(JsonElement? parent, string name) =>
        parent is { ValueKind: JsonValueKind.Object } json && json.TryGetProperty(name, out var value) ? value : null;

    private static string Text(JsonElement? value) => value switch
    {
        null => "nothing",
        { ValueKind: JsonValueKind.String } text => text.GetString()!,
        { ValueKind: JsonValueKind.Object or JsonValueKind.Array } => "a list or an object",
        { } other => other.GetRawText(),
    };

    private static void Require(string path, string name, string found, string expected)
    {
        if (found != expected)
        {
            throw new InputException($"{path}: {name} is {found}, and only {expected} is supported: another value "
                + "would give other ids than the model was trained on.");
        }
    }
}
