using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Tokenizers;

internal sealed partial class PipelineTokenizer
{
    private readonly byte[] json;

    private PipelineTokenizer(Setting root, byte[] json)
    {
        this.json = json;
        root.RequireOnly("version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
            "post_processor", "decoder", "model");
        model = TokenModel.Read(root["model"]);
        normalizer = root["normalizer"].IsNothing ? null : Normalizer.Read(root["normalizer"]);
        preTokenizer = root["pre_tokenizer"].IsNothing ? null : PreTokenizer.Read(root["pre_tokenizer"]);
        var addedTokens = AddedTokens.Read(root["added_tokens"], model.Vocabulary);
        added = new AddedTokens(addedTokens, normalizer);
        // where a word begins in the text as it was is not known behind both
        if (preTokenizer is { AsksIfFirst: true } && normalizer is not null && added.AnyNormalized)
        {
            throw root["pre_tokenizer"]["prepend_scheme"].Unsupported("'always' or 'never' beside a normalizer and "
                + "added tokens that are normalized");
        }
        frame = Frame.Read(root["post_processor"]);
        (tokens, idOf) = Collect(root, model.Vocabulary, addedTokens);
        int[] framing = [.. frame.Single.Before, .. frame.Single.After, .. frame.Pair.Before, .. frame.Pair.Between,
            .. frame.Pair.After];
        if (framing.Any(id => id >= tokens.Length))
        {
            throw new InputException($"{root.File}: post_processor puts id {framing.Max()} around texts, and the "
                + $"vocabulary has ids 0 to {tokens.Length - 1}.");
        }
        addedIds = [.. addedTokens.Select(token => token.Id)];
        special = [.. framing, .. addedTokens.Where(token => token.IsSpecial).Select(token => token.Id)];
        if (model.UnknownId >= 0)
        {
            special.Add(model.UnknownId);
        }
    }

    /// <summary>
    /// Whether <see cref="WordPieceTokenizer"/>, which is faster, gives the same ids.
    /// </summary>
    public bool IsPlainWordPiece => model is WordPieceModel { Unknown: "[UNK]", Prefix: "##", MaxLength: 100 }
        && normalizer is BertNormalizer { Clean: true, Ideographs: true } bert && bert.Accents == bert.Lower
        && preTokenizer?.ToString() == BertWords
        && frame.Single is { Before: [var cls], After: [var sep] } && tokens[cls] == "[CLS]" && tokens[sep] == "[SEP]"
        && frame.Pair is { Before: [var pairCls], Between: [var pairSep], After: [var end], FirstOfTypeOne: 1 }
        && pairCls == cls && pairSep == sep && end == sep
        && tokens.Length == model.Vocabulary.Count && IdOf("[PAD]") >= 0
        && WordPieceTokenizer.SpecialNames.Count(name => IdOf(name) >= 0) == added.All.Count
        && added.All.All(token => WordPieceTokenizer.SpecialNames.Contains(token.Content)
            && token.Flags.All(flag => !flag.Value));

    private const string BertWords = "[WhitespaceSplit Removed, Punctuation Isolated]";

    /// <summary>Reads a tokenizer.json.</summary>
    /// <param name="path">What messages call it; beside it lie files that may say more.</param>
    /// <param name="json">Its bytes, UTF-8.</param>
    /// <exception cref="InputException">
    /// It is malformed, or a setting in it or in the files beside it is not followed; the message
    /// names the file and the setting.
    /// </exception>
    public static PipelineTokenizer Parse(string path, byte[] json)
    {
        var tokenizer = JsonFile.Parse(path, json.AsMemory(json.AsSpan().StartsWith("\uFEFF"u8) ? 3 : 0),
            root => new PipelineTokenizer(TokenizerFiles.RequireObject(path, root), json));
        return tokenizer;
    }

    /// <summary>Refuses or takes over what the files in a folder say.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="jsonPath">Its tokenizer.json; null if it has none.</param>
    public void Follow(string folder, string? jsonPath)
    {
        RequireFollowed(folder);
        var (keepsEnd, maxLength) = TokenizerFiles.TruncationIn(folder, jsonPath);
        (KeepsEnd, GivenMaxLength) = (keepsEnd ?? false, maxLength);
        foreach (var root in TokenizerFiles.Read(folder, TokenizerFiles.ConfigName, TokenizerFiles.SpecialTokensName))
        {
            MaskToken ??= TokenizerFiles.Content(root["mask_token"]);
            ClassName ??= root["tokenizer_class"].TextOrNull();
            companions.Add((Path.GetFileName(root.File), File.ReadAllBytes(root.File)));
        }
    }

    private static (string[] Tokens, Dictionary<string, int> IdOf) Collect(Setting root,
        IReadOnlyDictionary<string, int> vocabulary, List<AddedToken> addedTokens)
    {
        var idOf = new Dictionary<string, int>(vocabulary, StringComparer.Ordinal);
        foreach (var token in addedTokens)
        {
            idOf.TryAdd(token.Content, token.Id);
        }
        var tokens = new string?[idOf.Count];
        foreach (var (token, id) in idOf)
        {
            if (id >= tokens.Length)
            {
                throw new InputException($"{root.File}: model.vocab gives '{token}' the id {id}; ids of "
                    + $"{tokens.Length} pieces go from 0 to {tokens.Length - 1}.");
            }
            if (tokens[id] is { } other)
            {
                throw new InputException(
                    $"{root.File}: model.vocab gives '{other}' and '{token}' the same id {id}.");
            }
            tokens[id] = token;
        }
        return ([.. tokens.OfType<string>()], idOf);
    }

    /// <summary>
    /// The files beside a tokenizer.json must not say otherwise, nor make tokens of what is none.
    /// </summary>
    private void RequireFollowed(string folder)
    {
        foreach (var root in TokenizerFiles.Read(folder, "added_tokens.json"))
        {
            foreach (var (token, id) in root.Entries())
            {
                RequireKnown(id, token, id.Number());
            }
        }
        foreach (var root in TokenizerFiles.Read(folder, TokenizerFiles.ConfigName, TokenizerFiles.SpecialTokensName))
        {
            RequireFlag(root["split_special_tokens"], false);
            if (normalizer is BertNormalizer bert)
            {
                RequireFlag(root["do_lower_case"], bert.Lower);
                RequireFlag(root["strip_accents"], bert.Accents);
                RequireFlag(root["tokenize_chinese_chars"], bert.Ideographs);
            }
            if (preTokenizer is ByteLevel bytes)
            {
                RequireFlag(root["add_prefix_space"], bytes.AddPrefixSpace);
            }
            foreach (var (id, token) in root["added_tokens_decoder"].Entries())
            {
                RequireKnown(token, TokenizerFiles.Content(token) ?? throw token.Wrong("a token"),
                    int.TryParse(id, out var number) ? number : throw token.Wrong("a token under its id"));
            }
            foreach (var name in TokenizerFiles.SpecialSettings)
            {
                RequireKnown(root[name]);
            }
            foreach (var name in (string[])["additional_special_tokens", "extra_special_tokens"])
            {
                var list = root[name];
                foreach (var token in list.Value is { ValueKind: JsonValueKind.Object }
                    ? list.Entries().Select(entry => entry.Value) : list.Items())
                {
                    RequireKnown(token);
                }
            }
        }

        void RequireKnown(Setting token, string? content = null, int? id = null)
        {
            if (token.IsNothing || (content ??= TokenizerFiles.Content(token)) is null)
            {
                return;
            }
            var known = added.All.FirstOrDefault(known => known.Content == content);
            var place = $"{token.File}: added token '{content}' of {token.Name}";
            if (known is null)
            {
                throw new InputException($"{place} is not supported: it would be cut into pieces, for the "
                    + "tokenizer.json does not have it among its added_tokens. Save the tokenizer again with "
                    + "transformers.");
            }
            if (id is not null && id != known.Id)
            {
                throw new InputException(
                    $"{place} has id {id}, and in the tokenizer.json {known.Id}. Do the two files belong together?");
            }
            foreach (var (name, value) in known.Flags)
            {
                if (token.Value is { ValueKind: JsonValueKind.Object } && token[name].Flag(otherwise: value) != value)
                {
                    throw new InputException($"{place} has {name} {(value ? "false" : "true")}, and in the "
                        + $"tokenizer.json {(value ? "true" : "false")}. Do the two files belong together?");
                }
            }
        }

        static void RequireFlag(Setting setting, bool done)
        {
            if (!setting.IsNothing && setting.Flag() != done)
            {
                throw new InputException($"{setting.File}: {setting.Name} is {(done ? "false" : "true")}, but the "
                    + $"tokenizer itself does as with {(done ? "true" : "false")}: the two give different ids. "
                    + "Correct the one that is wrong.");
            }
        }
    }
}
