using System.Text.Json;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>What stands around a text, or around the two of a pair.</summary>
/// <param name="Before">The ids before a text: [CLS].</param>
/// <param name="After">The ids behind it: [SEP].</param>
internal readonly record struct SingleFrame(int[] Before, int[] After)
{
    /// <summary>Of how many ids it is.</summary>
    public int Length => Before.Length + After.Length;
}

/// <summary>What stands around and between the two texts of a pair.</summary>
/// <param name="Before">The ids before the first.</param>
/// <param name="Between">Those between the two.</param>
/// <param name="After">Those behind the second.</param>
/// <param name="FirstOfTypeOne">
/// The first of Between that has type 1, its length if the second text is the first of that type;
/// null where everything has type 0.
/// </param>
internal readonly record struct PairFrame(int[] Before, int[] Between, int[] After, int? FirstOfTypeOne)
{
    /// <summary>Of how many ids it is.</summary>
    public int Length => Before.Length + Between.Length + After.Length;
}

/// <summary>What a tokenizer.json's "post_processor" puts around texts.</summary>
/// <param name="Single">Around a text.</param>
/// <param name="Pair">Around a pair.</param>
internal sealed record Frame(SingleFrame Single, PairFrame Pair)
{
    /// <summary>Reads a post-processor.</summary>
    /// <exception cref="InputException">
    /// It is none that is supported, or puts nothing before a text: a classifier reads the vector
    /// of the first token, and a text may have none of its own.
    /// </exception>
    public static Frame Read(Setting setting)
    {
        var frame = setting.IsNothing ? null : ReadPart(setting);
        return frame is { Single.Before.Length: > 0, Pair.Before.Length: > 0 } ? frame : throw new InputException(
            $"{setting.File}: {setting.Name} puts no token before a text, and a classifier reads the first one. "
                + "TemplateProcessing, BertProcessing and RobertaProcessing are supported.");
    }

    /// <summary>What is followed, in a form that can be compared.</summary>
    public override string ToString() => $"{List(Single.Before)} A {List(Single.After)}; {List(Pair.Before)} A "
        + $"{List(Pair.Between)} B {List(Pair.After)}, type 1 from {Pair.FirstOfTypeOne?.ToString() ?? "nowhere"}";

    private static string List(int[] ids) => string.Join(' ', ids);

    private static Frame? ReadPart(Setting setting)
    {
        var type = setting["type"];
        switch (type.Text())
        {
            case "ByteLevel":                                           // moves offsets only
                setting.RequireOnly("type", "add_prefix_space", "trim_offsets", "use_regex");
                return null;
            case "Sequence":
                setting.RequireOnly("type", "processors");
                var frames = setting["processors"].RequiredItems().Select(ReadPart).OfType<Frame>().ToArray();
                return frames.Length < 2 ? frames.FirstOrDefault() : throw setting["processors"].Unsupported(
                    "a list with one that puts tokens around a text");
            case "BertProcessing":
                setting.RequireOnly("type", "sep", "cls");
                var (cls, sep) = (IdOf(setting["cls"]), IdOf(setting["sep"]));
                return new Frame(new([cls], [sep]), new([cls], [sep], [sep], FirstOfTypeOne: 1));
            case "RobertaProcessing":
                setting.RequireOnly("type", "sep", "cls", "trim_offsets", "add_prefix_space");
                // without the two Hugging Face's reads it as BertProcessing, which has one token between a pair
                (_, _) = (setting["trim_offsets"].Flag(), setting["add_prefix_space"].Flag());
                (cls, sep) = (IdOf(setting["cls"]), IdOf(setting["sep"]));
                return new Frame(new([cls], [sep]), new([cls], [sep, sep], [sep], FirstOfTypeOne: null));
            case "TemplateProcessing":
                setting.RequireOnly("type", "single", "pair", "special_tokens");
                var tokens = setting["special_tokens"].Entries()
                    .ToDictionary(entry => entry.Key, entry => ReadSpecial(entry.Value));
                return new Frame(ReadSingle(setting["single"], tokens), ReadPair(setting["pair"], tokens));
            default:
                throw type.Unsupported("TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel or Sequence");
        }
    }

    /// <summary>["[CLS]", 101]</summary>
    private static int IdOf(Setting setting) =>
        setting.Items().ToArray() is [{ Value.ValueKind: JsonValueKind.String }, var id]
            ? id.Number() : throw setting.Wrong("a token and its id");

    private static int[] ReadSpecial(Setting setting)
    {
        setting.RequireOnly("id", "ids", "tokens");
        return [.. setting["ids"].RequiredItems().Select(id => id.Number())];
    }

    private static SingleFrame ReadSingle(Setting setting, Dictionary<string, int[]> tokens)
    {
        var parts = ReadTemplate(setting, tokens);
        var text = parts.FindIndex(part => part.Ids is null);
        return parts.Count(part => part.Ids is null) == 1 && parts[text].Name == "A"
                && parts.All(part => part.Type == 0)
            ? new SingleFrame(Ids(parts[..text]), Ids(parts[(text + 1)..]))
            : throw setting.Unsupported("a template with A once, and everything of type 0,");
    }

    private static PairFrame ReadPair(Setting setting, Dictionary<string, int[]> tokens)
    {
        var parts = ReadTemplate(setting, tokens);
        int first = parts.FindIndex(part => part.Name == "A" && part.Ids is null),
            second = parts.FindIndex(part => part.Name == "B" && part.Ids is null);
        var one = parts.FindIndex(part => part.Type == 1);
        if (parts.Count(part => part.Ids is null) != 2 || first < 0 || second < first || one >= 0
            && (one <= first || one > second || parts[one..].Exists(part => part.Type != 1))
            || parts.Exists(part => part.Type > 1))
        {
            throw setting.Unsupported("a template with A, then B, and types 0 … 0 1 … 1 that change between the two,");
        }
        return new PairFrame(Ids(parts[..first]), Ids(parts[(first + 1)..second]), Ids(parts[(second + 1)..]),
            one < 0 ? null : Ids(parts[(first + 1)..one]).Length);
    }

    private static int[] Ids(List<(string Name, int[]? Ids, int Type)> parts) =>
        [.. parts.SelectMany(part => part.Ids!)];

    /// <summary>
    /// A part is {"SpecialToken": {"id": "[CLS]", "type_id": 0}} or {"Sequence": {"id": "A", …}}.
    /// </summary>
    private static List<(string Name, int[]? Ids, int Type)> ReadTemplate(Setting setting,
        Dictionary<string, int[]> tokens)
    {
        var parts = new List<(string, int[]?, int)>();
        foreach (var part in setting.Items())
        {
            part.RequireOnly("SpecialToken", "Sequence");
            var (special, sequence) = (part["SpecialToken"], part["Sequence"]);
            var token = special.IsNothing ? sequence : special;
            token.RequireOnly("id", "type_id");
            var name = token["id"].Text();
            if (!special.IsNothing && !tokens.ContainsKey(name))
            {
                throw token["id"].Wrong("a token of special_tokens");
            }
            parts.Add((name, special.IsNothing ? null : tokens[name], token["type_id"].Number()));
        }
        return parts;
    }
}
