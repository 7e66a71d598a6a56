using System.Text.RegularExpressions;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Hub;

/// <summary>
/// Which of a repository's files are read here, and so downloaded: those of a model, of an adapter,
/// or of both.
/// </summary>
internal static partial class HubFiles
{
    private const string ModelConfig = "config.json", AdapterConfig = "adapter_config.json",
        AdapterWeights = "adapter_model.safetensors", TokenizerJson = "tokenizer.json",
        TokenizerConfig = "tokenizer_config.json", WordPieces = "vocab.txt", TrainingSummary = "training.json";

    /// <summary>What is taken where it is there, besides weights.</summary>
    private static readonly string[] Small =
    [
        ModelConfig, AdapterConfig, TokenizerJson, TokenizerConfig, "special_tokens_map.json", "added_tokens.json",
        WordPieces, "vocab.json", "merges.txt", TrainingSummary,
    ];

    /// <summary>Pickled weights, which are never downloaded, with what they would become.</summary>
    private static readonly (string Pickle, string Wanted)[] Pickles =
    [
        ("pytorch_model.bin", Checkpoint.FileName), ("pytorch_model.bin.index.json", Checkpoint.FileName),
        ("adapter_model.bin", AdapterWeights),
    ];

    private static readonly string[] SentencePieces = ["sentencepiece.bpe.model", "spiece.model", "tokenizer.model"];

    /// <summary>Every name that is looked for, shards apart.</summary>
    public static IReadOnlyList<string> Known { get; } =
        [.. Small, Checkpoint.FileName, Checkpoint.IndexName, AdapterWeights];

    /// <summary>
    /// The files to download, the shards of an index apart: these <see cref="Shards"/> names when
    /// the index is there.
    /// </summary>
    /// <param name="name">For messages.</param>
    /// <param name="files">All that the repository has.</param>
    /// <exception cref="InputException">
    /// It has no model and no adapter in files that can be read here; the message says what it has,
    /// and how it is converted.
    /// </exception>
    public static IReadOnlyList<string> Wanted(HubName name, IReadOnlySet<string> files)
    {
        var (isAdapter, isModel) = (files.Contains(AdapterConfig), files.Contains(ModelConfig));
        if (!isAdapter && !isModel)
        {
            throw new InputException($"{name}: is neither a model ({ModelConfig}) nor an adapter ({AdapterConfig}): "
                + $"it has {Listed(files)}.");
        }
        string[] weights = [.. isAdapter && files.Contains(AdapterWeights) ? [AdapterWeights] : (string[])[],
            .. files.Contains(Checkpoint.FileName) ? [Checkpoint.FileName]
                : files.Contains(Checkpoint.IndexName) ? [Checkpoint.IndexName] : (string[])[]];
        if (weights.Length == 0)
        {
            throw NoWeights(name, files, isAdapter ? AdapterWeights : Checkpoint.FileName);
        }
        if (weights.Any(file => file != AdapterWeights) && !HasTokenizer(files.Contains)
            && Array.Find(SentencePieces, files.Contains) is { } pieces)
        {
            throw new InputException($"{name}: has {pieces} and no {TokenizerJson}, which says more than it. In "
                + $"Python, AutoTokenizer.from_pretrained(\"{name.Name}\").save_pretrained(FOLDER) writes one.");
        }
        return [.. Small.Where(files.Contains), .. weights];
    }

    /// <summary>The shards that an index names.</summary>
    /// <param name="name">For messages.</param>
    /// <param name="index">The index, downloaded.</param>
    /// <param name="files">All that the repository has.</param>
    /// <exception cref="InputException">
    /// It is no index, or names a file that is no shard or not there.
    /// </exception>
    public static IReadOnlyList<string> Shards(HubName name, string index, IReadOnlySet<string> files)
    {
        string[] shards = [.. ShardIndex.Read(index).Values.Distinct().Order(StringComparer.Ordinal)];
        var wrong = Array.Find(shards, shard => !ShardName().IsMatch(shard) || !files.Contains(shard));
        return wrong is null ? shards : throw new InputException($"{name}: {Checkpoint.IndexName} names the file "
            + $"{Describe.Name(wrong)}, which is no .safetensors file of the repository. Ask its owner to upload it "
            + "again.");
    }

    /// <summary>
    /// Whether a folder has all that a model or an adapter needs; Python downloads single files as
    /// well.
    /// </summary>
    public static bool IsWhole(string folder)
    {
        bool Has(string file) => File.Exists(Path.Combine(folder, file));
        return Has(AdapterConfig) && Has(AdapterWeights) || Has(ModelConfig) && HasTokenizer(Has)
            && (Has(Checkpoint.FileName) || Has(Checkpoint.IndexName) && HasShards(folder));
    }

    /// <summary>
    /// What the hub may have beside the files of a folder that would change an answer; null:
    /// nothing. Python downloads single files as well.
    /// </summary>
    public static string? Doubt(HubCache cache, HubSnapshot snapshot)
    {
        bool Has(string file) => File.Exists(Path.Combine(snapshot.Folder, file));
        bool MayExist(string file) => !Has(file) && !cache.KnowsAbsent(snapshot.Name, snapshot.Commit, file);
        var (file, saying) =
            Has(WordPieces) && !Has(TokenizerJson) && MayExist(TokenizerConfig)
                ? (TokenizerConfig, "whether letters are made small")
            : Has(AdapterConfig) && !Has(TrainingSummary) && MayExist(ModelConfig)
                ? (ModelConfig, "how the adapter's classes are called, and how many may hold") : default;
        return file is null ? null : $"{snapshot.Name}: the cache does not know whether the hub has a {file}, which "
            + $"would say {saying}. {HubCache.Download(snapshot.Name)}";
    }

    private static bool HasTokenizer(Func<string, bool> has) =>
        has(TokenizerJson) || has(WordPieces) || has("vocab.json") && has("merges.txt");

    private static bool HasShards(string folder)
    {
        try
        {
            return ShardIndex.Read(Path.Combine(folder, Checkpoint.IndexName)).Values.Distinct()
                .All(shard => File.Exists(Path.Combine(folder, shard)));
        }
        catch (InputException)
        {
            return false;                                       // what is damaged is downloaded again
        }
    }

    private static InputException NoWeights(HubName name, IReadOnlySet<string> files, string wanted)
    {
        var (pickle, becomes) = Array.Find(Pickles, entry => files.Contains(entry.Pickle));
        return new InputException(pickle is null
            ? $"{name}: has no {wanted}: it has {Listed(files)}."
            : $"{name}: has {pickle}, a pickled file of PyTorch, and no {becomes}. It is not downloaded. "
                + OtherFile.Conversion(pickle.Replace(".index.json", "", StringComparison.Ordinal), becomes));
    }

    private static string Listed(IReadOnlySet<string> files) => files.Count == 0 ? "no files" : string.Join(", ",
        files.Order(StringComparer.Ordinal).Take(8).Select(Describe.Name)) + (files.Count > 8 ? ", …" : "");

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.safetensors\z")]
    private static partial Regex ShardName();
}
