using System.Text;
using System.Text.Json.Nodes;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Tokenizers;

internal abstract partial class Tokenizer
{
    private static readonly string[] SentencePieceNames =
        ["sentencepiece.bpe.model", "spiece.model", "tokenizer.model"];

    /// <summary>
    /// Reads a tokenizer of any kind: a tokenizer.json, which is the authority where there is one;
    /// else a vocab.txt (WordPiece), or a vocab.json with its merges.txt (byte-level BPE, as
    /// RoBERTa's Python class writes it).
    /// </summary>
    /// <param name="path">One of these files, or a folder that has them.</param>
    /// <exception cref="InputException">
    /// There is none, it is malformed, or it has a setting that would change an id and is not
    /// followed; the message names file and setting.
    /// </exception>
    public static Tokenizer Load(string path)
    {
        var folder = Directory.Exists(path) ? path : Path.GetDirectoryName(Path.GetFullPath(path))!;
        var file = !Directory.Exists(path) ? path
            : ((string[])[TokenizerFiles.JsonName, "vocab.txt", "vocab.json"])
                .Select(name => Path.Combine(path, name)).FirstOrDefault(File.Exists);
        if (file is null)
        {
            throw Array.Find(SentencePieceNames, name => File.Exists(Path.Combine(path, name))) is { } model
                ? new InputException($"{Path.Combine(path, model)}: is a SentencePiece model, and beside it is no "
                    + "tokenizer.json, which says more than it. In Python, AutoTokenizer.from_pretrained(FOLDER)"
                    + ".save_pretrained(FOLDER) writes one.")
                : new InputException($"{path}: this folder has no tokenizer.json, vocab.txt, or vocab.json with a "
                    + "merges.txt. Copy the model's tokenizer files into it, or name the file itself.");
        }
        if (!File.Exists(file))
        {
            throw new InputException($"{file}: there is no such file. A tokenizer.json, a vocab.txt or a folder with "
                + "one of them is expected.");
        }
        try
        {
            return Path.GetFileName(file) == "vocab.json" ? LoadMerges(folder, file)
                : file.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? LoadJson(folder, file)
                : WordPieceTokenizer.Load(file);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{file}: cannot be read: {e.Message}");
        }
    }

    /// <summary>
    /// A WordPiece tokenizer as most are has a class of its own, which is faster.
    /// </summary>
    private static Tokenizer LoadJson(string folder, string file)
    {
        var tokenizer = PipelineTokenizer.Parse(file, File.ReadAllBytes(file));
        tokenizer.Follow(folder, file);
        return tokenizer.IsPlainWordPiece ? WordPieceTokenizer.Load(file) : tokenizer;
    }

    /// <summary>
    /// vocab.json and merges.txt, and what RoBERTa's tokenizer does with them: the tokenizer.json
    /// that transformers would make of the two.
    /// </summary>
    private static PipelineTokenizer LoadMerges(string folder, string file)
    {
        var mergesFile = Path.Combine(folder, "merges.txt");
        if (!File.Exists(mergesFile))
        {
            throw new InputException($"{file}: is a vocabulary of byte-pair encoding, and {mergesFile} is not there. "
                + "Copy it too.");
        }
        var merges = File.ReadAllText(mergesFile, Encoding.UTF8).Split('\n').Select(line => line.TrimEnd('\r'))
            .Where(line => line.Length > 0 && !line.StartsWith("#version", StringComparison.Ordinal));
        var vocabulary = JsonFile.Read(file, root => TokenizerFiles.RequireObject(file, root.Clone()));
        int Id(string token) => vocabulary[token] is { IsNothing: false } id ? id.Number()
            : throw new InputException($"{file}: has no '{token}', which RoBERTa's tokenizer puts around texts. Save "
                + "the tokenizer as a tokenizer.json.");
        JsonObject Added(string token) => new()
        {
            ["id"] = Id(token),
            ["content"] = token,
            ["single_word"] = false,
            ["lstrip"] = token == "<mask>",
            ["rstrip"] = false,
            ["normalized"] = false,
            ["special"] = true,
        };
        var addsSpace = TokenizerFiles.Read(folder, TokenizerFiles.ConfigName)
            .Any(root => root["add_prefix_space"].Flag(otherwise: false));
        var json = new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray(
                [.. ((string[])["<s>", "<pad>", "</s>", "<unk>", "<mask>"]).Select(Added)]),
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "ByteLevel",
                ["add_prefix_space"] = addsSpace,
                ["trim_offsets"] = true,
                ["use_regex"] = true,
            },
            ["post_processor"] = new JsonObject
            {
                ["type"] = "RobertaProcessing",
                ["sep"] = new JsonArray("</s>", Id("</s>")),
                ["cls"] = new JsonArray("<s>", Id("<s>")),
                ["trim_offsets"] = true,
                ["add_prefix_space"] = addsSpace,
            },
            ["decoder"] = new JsonObject { ["type"] = "ByteLevel" },
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["vocab"] = JsonNode.Parse(vocabulary.Value!.Value.GetRawText()),
                ["merges"] = new JsonArray([.. merges.Select(merge => (JsonNode)merge)]),
            },
        };
        var tokenizer = PipelineTokenizer.Parse(file, Encoding.UTF8.GetBytes(json.ToJsonString()));
        tokenizer.Follow(folder, jsonPath: null);
        return tokenizer;
    }
}
