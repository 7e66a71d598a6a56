using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Tokenizers;

/// <content> What stands beside a vocabulary, as transformers writes it: tokenizer_config.json,
/// special_tokens_map.json and added_tokens.json. Like everything in tokenizer.json, a setting
/// there that would change an id is either followed or refused by name. </content>
internal sealed partial class WordPieceTokenizer
{
    private const string ConfigName = "tokenizer_config.json";

    private static readonly string[] TokenFlags = ["single_word", "lstrip", "rstrip", "normalized"];

    private static readonly string[] SpecialSettings =
        ["cls_token", "sep_token", "unk_token", "pad_token", "mask_token", "bos_token", "eos_token"];

    /// <summary>
    /// Tokenizers that cut a vocab.txt as BERT's does, without the Fast at their end.
    /// </summary>
    private static readonly string[] BertClasses =
    [
        "BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer", "SqueezeBertTokenizer",
        "ConvBertTokenizer", "LayoutLMTokenizer", "LxmertTokenizer", "PreTrainedTokenizer", "TokenizersBackend",
    ];

    /// <inheritdoc/>
    public override void RequireAgreement(string folder)
    {
        if (VocabularyIn(folder) is not { } path)
        {
            RequireFollowed(folder, isCaseGiven: false, hasOwnRules: false);
            RequireSameTruncation(TruncationIn(folder, null), Path.Combine(folder, ConfigName));
            return;
        }
        var other = Load(path);
        RequireSameTruncation((other.KeepsEnd, other.GivenMaxLength), path);
        if (other.Uncased != Uncased)
        {
            throw new InputException($"{path}: its tokenizer is {Case(other.Uncased)}, the model's {Case(Uncased)}: "
                + $"texts would get other tokens than the adapter was trained on. {Remedy}");
        }
        for (var id = 0; id < Math.Max(pieces.Length, other.pieces.Length); id++)
        {
            var (here, there) = (PieceOrNothing(id), other.PieceOrNothing(id));
            if (here != there)
            {
                throw new InputException($"{path}: id {id} is {there}, in the model's vocabulary {here}: "
                    + $"texts would get other tokens than the adapter was trained on. {Remedy}");
            }
        }

    }

    private static string Case(bool uncased) => uncased ? "uncased" : "cased";

    private string PieceOrNothing(int id) => id < pieces.Length ? $"'{pieces[id]}'" : "nothing";

    /// <summary>
    /// The do_lower_case of a folder's tokenizer_config.json; null where nothing says it.
    /// </summary>
    private static bool? LowerCaseIn(string folder)
    {
        var path = Path.Combine(folder, ConfigName);
        return File.Exists(path)
            ? JsonFile.Read(path, root => Flag(path, Get(RequireObject(path, root), "do_lower_case")))
            : null;

        static bool? Flag(string path, JsonElement? value) => value switch
        {
            null or { ValueKind: JsonValueKind.Null } => null,
            { ValueKind: JsonValueKind.True } => true,
            { ValueKind: JsonValueKind.False } => false,
            _ => throw new InputException($"{path}: do_lower_case is {Text(value)}; expected true or false."),
        };
    }

    /// <summary>Refuses what the files in a folder say and this tokenizer does not do.</summary>
    /// <param name="folder">The vocabulary's folder.</param>
    /// <param name="isCaseGiven">The caller has decided about lower case.</param>
    /// <param name="hasOwnRules">A tokenizer.json, which says itself how texts are cut.</param>
    private void RequireFollowed(string folder, bool isCaseGiven, bool hasOwnRules)
    {
        if (!isCaseGiven && LowerCaseIn(folder) is { } lower && lower != Uncased)
        {
            throw new InputException($"{Path.Combine(folder, ConfigName)}: do_lower_case is "
                + $"{(lower ? "true" : "false")}, but the tokenizer itself is {Case(Uncased)}: the two give different "
                + "ids. Correct the one that is wrong.");
        }
        ForObject(folder, "added_tokens.json", (path, root) =>
        {
            foreach (var token in root.EnumerateObject())
            {
                RequireKnownToken(path, "", token.Name, Text(token.Value), isPlain: true);
            }
        });
        ForObject(folder, ConfigName, (path, root) =>
        {
            if (!isCaseGiven)
            {
                RequireUnless(path, root, "strip_accents", Uncased ? "true" : "false");
            }
            RequireUnless(path, root, "tokenize_chinese_chars", "true");
            RequireUnless(path, root, "do_basic_tokenize", "true");
            RequireUnless(path, root, "split_special_tokens", "false");
            RequireUnless(path, root, "wordpieces_prefix", "##");
            if (!hasOwnRules && Get(root, "tokenizer_class") is { ValueKind: JsonValueKind.String } kind)
            {
                RequireBertClass(path, Text(kind));
            }
            RequireKnownTokens(path, "never_split", Get(root, "never_split"));
            RequireKnownTokens(path, "added_tokens_decoder", Get(root, "added_tokens_decoder"));
            RequireSpecialTokens(path, root);
        });
        ForObject(folder, "special_tokens_map.json", RequireSpecialTokens);
    }

    private static void ForObject(string folder, string name, Action<string, JsonElement> check)
    {
        var path = Path.Combine(folder, name);
        if (File.Exists(path))
        {
            JsonFile.Read(path, root =>
            {
                check(path, RequireObject(path, root));
                return true;
            });
        }
    }

    private static JsonElement RequireObject(string path, JsonElement root) => root.ValueKind == JsonValueKind.Object
        ? root
        : throw new InputException($"{path}: a JSON object is expected, and this is {Text(root)}. "
            + "Copy or download the file again.");

    /// <summary>A setting that may be left out, or null, or must be what is done.</summary>
    private static void RequireUnless(string path, JsonElement root, string name, string done)
    {
        if (Text(Get(root, name)) is var found && found is not ("nothing" or "null"))
        {
            Require(path, name, found, done);
        }
    }

    /// <summary>
    /// Which end of a text that is too long a folder's files keep, and what is too long, as
    /// transformers finds it: tokenizer_config.json decides what it says, else tokenizer.json; and
    /// a length beyond any model, as transformers writes where it knows none, is none.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <param name="jsonPath">Its tokenizer.json; null if it has none.</param>
    /// <returns>Nulls for what they do not say.</returns>
    private static (bool? KeepsEnd, int? MaxLength) TruncationIn(string folder, string? jsonPath)
    {
        (bool? KeepsEnd, int? MaxLength) found = default;
        if (jsonPath is not null)
        {
            JsonFile.Read(jsonPath, root =>
            {
                var truncation = Get(root, "truncation");
                found = (KeepsEnd(jsonPath, "truncation.direction", Get(truncation, "direction")),
                    Length(jsonPath, "truncation.max_length", Get(truncation, "max_length")));
                return true;
            });
        }
        ForObject(folder, ConfigName, (path, root) =>
        {
            found.KeepsEnd = KeepsEnd(path, "truncation_side", Get(root, "truncation_side")) ?? found.KeepsEnd;
            foreach (var name in (string[])["max_len", "model_max_length"])         // max_len in old files
            {
                if (Get(root, name) is { ValueKind: not JsonValueKind.Null } length)
                {
                    found.MaxLength = Length(path, name, length);
                }
            }
        });
        return found;

        static bool? KeepsEnd(string path, string name, JsonElement? side) => Text(side) switch
        {
            "nothing" or "null" => null,
            "left" or "Left" => true,
            "right" or "Right" => false,
            var other => throw new InputException($"{path}: {name} is {other}; expected left or right."),
        };

        static int? Length(string path, string name, JsonElement? length) => length switch
        {
            null or { ValueKind: JsonValueKind.Null } => null,
            { ValueKind: JsonValueKind.Number } number when number.TryGetDouble(out var value) && value >= 3 =>
                value < 1e9 ? (int)value : null,
            _ => throw new InputException($"{path}: {name} is {Text(length)}; expected a number of tokens from 3."),
        };
    }

    private static void RequireBertClass(string path, string kind)
    {
        if (!BertClasses.Contains(kind.EndsWith("Fast", StringComparison.Ordinal) ? kind[..^4] : kind))
        {
            throw new InputException($"{path}: tokenizer_class is {kind}, which may cut texts in another way than "
                + "BERT's WordPiece tokenizer, and so give other ids than the model was trained on. A tokenizer.json "
                + "beside the vocabulary would say how.");
        }
    }

    /// <summary>
    /// [CLS], [SEP] and [UNK] by their names, and no others beside the five that are known.
    /// </summary>
    private void RequireSpecialTokens(string path, JsonElement root)
    {
        foreach (var (name, token) in new[] { ("cls_token", "[CLS]"), ("sep_token", "[SEP]"), ("unk_token", "[UNK]") })
        {
            if (Get(root, name) is { ValueKind: not JsonValueKind.Null } value)
            {
                Require(path, name, Content(value), token);
            }
        }
        foreach (var name in SpecialSettings)
        {
            if (Get(root, name) is { ValueKind: not JsonValueKind.Null } value)
            {
                RequireKnownToken(path, name, value, id: null);
            }
        }
        RequireKnownTokens(path, "additional_special_tokens", Get(root, "additional_special_tokens"));
        RequireKnownTokens(path, "extra_special_tokens", Get(root, "extra_special_tokens"));
    }

    /// <summary>A list of tokens, or an object with a token for each id or name.</summary>
    private void RequireKnownTokens(string path, string setting, JsonElement? tokens)
    {
        switch (tokens)
        {
            case null or { ValueKind: JsonValueKind.Null }:
                break;
            case { ValueKind: JsonValueKind.Array } list:
                foreach (var token in list.EnumerateArray())
                {
                    RequireKnownToken(path, setting, token, Get(token, "id") is { } id ? Text(id) : null);
                }
                break;
            case { ValueKind: JsonValueKind.Object } entries:
                var isById = setting == "added_tokens_decoder";
                foreach (var entry in entries.EnumerateObject())
                {
                    RequireKnownToken(path, setting, entry.Value, isById ? entry.Name : null);
                }
                break;
            default:
                throw new InputException($"{path}: {setting} is {Text(tokens)}; a list of tokens is expected.");
        }
    }

    private void RequireKnownToken(string path, string setting, JsonElement token, string? id) =>
        RequireKnownToken(path, setting, Content(token), id, TokenFlags.All(flag => Text(Get(token, flag)) != "true"));

    private void RequireKnownToken(string path, string setting, string content, string? id, bool isPlain)
    {
        var known = SpecialNames.Contains(content) && isPlain;
        if (known && (id is null || id == $"{IdOf(content)}"))
        {
            return;
        }
        var place = (setting.Length > 0 ? $" of {setting}" : "") + (id is null ? "" : $" with id {id}");
        throw new InputException(known
            ? $"{path}: added token '{content}'{place} is not supported: its id in the vocabulary is {IdOf(content)}. "
                + "Do the two files belong together?"
            : $"{path}: added token '{content}'{place} is not supported: it would be cut into pieces. "
                + $"Only {string.Join(", ", SpecialNames)} are, without single_word, lstrip, rstrip and normalized. "
                + "A plain word can be a token of the vocabulary instead, with the same id.");
    }

    /// <summary>A token is written as its text or as an object with it.</summary>
    private static string Content(JsonElement token) => Text(Get(token, "content") ?? token);
}
