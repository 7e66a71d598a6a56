using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>The files of a tokenizer in a folder, as transformers names them.</summary>
internal static class TokenizerFiles
{
    /// <summary>The whole tokenizer.</summary>
    public const string JsonName = "tokenizer.json";

    /// <summary>Settings of the Python class.</summary>
    public const string ConfigName = "tokenizer_config.json";

    /// <summary>The names of the special tokens.</summary>
    public const string SpecialTokensName = "special_tokens_map.json";

    /// <summary>The keys of the special tokens.</summary>
    public static readonly string[] SpecialSettings =
        ["cls_token", "sep_token", "unk_token", "pad_token", "mask_token", "bos_token", "eos_token"];

    /// <summary>Whether a folder has a vocabulary of some kind.</summary>
    public static bool HasTokenizer(string folder) =>
        ((string[])[JsonName, "vocab.txt", "vocab.json"]).Any(name => File.Exists(Path.Combine(folder, name)));

    /// <summary>The objects in those of some files that a folder has.</summary>
    /// <exception cref="InputException">One is no JSON object.</exception>
    public static IReadOnlyList<Setting> Read(string folder, params IEnumerable<string> names) =>
    [
        .. names.Select(name => Path.Combine(folder, name)).Where(File.Exists)
            .Select(path => JsonFile.Read(path, root => RequireObject(path, root.Clone()))),
    ];

    /// <summary>A file must be a JSON object.</summary>
    public static Setting RequireObject(string path, JsonElement root) => root.ValueKind == JsonValueKind.Object
        ? new Setting(path, "", root)
        : throw new InputException($"{path}: a JSON object is expected, and this is {JsonFile.Shown(root)}. "
            + "Copy or download the file again.");

    /// <summary>
    /// A token is written as its text or as an object with it; null where there is none.
    /// </summary>
    public static string? Content(Setting token) => token.IsNothing ? null
        : token.Value is { ValueKind: JsonValueKind.Object } ? token["content"].Text() : token.Text();

    /// <summary>
    /// Which end of a text that is too long a folder's files keep, and what is too long, as
    /// transformers finds it: tokenizer_config.json decides what it says, else tokenizer.json; and
    /// a length beyond any model, as transformers writes where it knows none, is none. Padding is
    /// of no concern: batches are packed, and a pad has no id in them.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <param name="jsonPath">Its tokenizer.json; null if it has none.</param>
    /// <returns>Nulls for what they do not say.</returns>
    /// <exception cref="InputException">A value is no possible or no supported one.</exception>
    public static (bool? KeepsEnd, int? MaxLength) TruncationIn(string folder, string? jsonPath)
    {
        (bool? KeepsEnd, int? MaxLength) found = default;
        if (jsonPath is not null)
        {
            JsonFile.Read(jsonPath, root =>
            {
                var truncation = new Setting(jsonPath, "", root)["truncation"];
                truncation.RequireOnly("direction", "max_length", "strategy", "stride");
                found = (KeepsEnd(truncation["direction"]), Length(truncation["max_length"]));
                if (!truncation.IsNothing && truncation["strategy"] is { IsNothing: false } strategy
                    && strategy.Text() != "LongestFirst")
                {
                    throw strategy.Unsupported("LongestFirst");
                }
                return true;
            });
        }
        foreach (var root in Read(folder, ConfigName))
        {
            found.KeepsEnd = KeepsEnd(root["truncation_side"]) ?? found.KeepsEnd;
            foreach (var name in (string[])["max_len", "model_max_length"])         // max_len in old files
            {
                if (!root[name].IsNothing)
                {
                    found.MaxLength = Length(root[name]);
                }
            }
        }
        return found;

        static bool? KeepsEnd(Setting side) => side switch
        {
            { IsNothing: true } => null,
            { Value.ValueKind: JsonValueKind.String } when side.Text() is "left" or "Left" => true,
            { Value.ValueKind: JsonValueKind.String } when side.Text() is "right" or "Right" => false,
            _ => throw side.Wrong("left or right"),
        };

        static int? Length(Setting length) => length switch
        {
            { IsNothing: true } => null,
            { Value.ValueKind: JsonValueKind.Number } when length.Value.Value.TryGetDouble(out var value)
                && value >= 3 => value < 1e9 ? (int)value : null,
            _ => throw length.Wrong("a number of tokens from 3"),
        };
    }
}
