using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Embeddings;

/// <summary>
/// What the files of sentence-transformers say beside a model: modules.json lists what a text goes
/// through, 1_Pooling/config.json how the vectors of its tokens become one, and
/// sentence_bert_config.json how long it may be.
/// </summary>
/// <param name="Pooling">Null where nothing is said.</param>
/// <param name="Normalize">Null where nothing is said.</param>
/// <param name="MaxLength">Tokens at most; null where nothing is said.</param>
internal sealed record SentenceFolder(EmbeddingPooling? Pooling, bool? Normalize, int? MaxLength)
{
    private const string ModulesName = "modules.json", LengthName = "sentence_bert_config.json";

    private const string Mean = "pooling_mode_mean_tokens", First = "pooling_mode_cls_token";

    /// <summary>Reads them.</summary>
    /// <param name="folder">The model's.</param>
    /// <exception cref="InputException">
    /// A file is malformed, or asks for something that is not supported; the message names it.
    /// </exception>
    public static SentenceFolder Read(string folder)
    {
        var lengths = Path.Combine(folder, LengthName);
        int? longest = File.Exists(lengths) ? JsonFile.Read(lengths, int? (root) =>
            root.ValueKind == JsonValueKind.Object && root.TryGetProperty("max_seq_length", out var value)
                && value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var tokens) ? tokens : null) : null;
        var path = Path.Combine(folder, ModulesName);
        if (!File.Exists(path))
        {
            return new(null, null, longest);
        }
        var modules = JsonFile.Read(path, root => Modules(path, root));
        if (modules.Find(module => module.Kind is not ("Transformer" or "Pooling" or "Normalize")).Kind is { } other)
        {
            throw new InputException($"{path}: the module '{JsonFile.Cut(other)}' is not supported; Transformer, "
                + "Pooling and Normalize are. The vectors would be others than this model's.");
        }
        var pooling = modules.Find(module => module.Kind == "Pooling") is { Kind: not null } found
            ? Path.Combine(folder, found.Path, "config.json") : null;
        return new(
            pooling is null ? null : JsonFile.Read(pooling, EmbeddingPooling? (root) => PoolingOf(pooling, root)),
            modules.Exists(module => module.Kind == "Normalize"), longest);
    }

    private static List<(string Kind, string Path)> Modules(string path, JsonElement root)
    {
        static string? Text(JsonElement module, string key) => module.ValueKind == JsonValueKind.Object
            && module.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.String
            ? value.GetString() : null;
        if (root.ValueKind != JsonValueKind.Array || root.EnumerateArray().Any(module => Text(module, "type") is null))
        {
            throw new InputException($"{path}: a list of modules, each with a type and a path, is expected.");
        }
        return [.. root.EnumerateArray().Select(module =>
            (Text(module, "type")!.Split('.')[^1], Text(module, "path") ?? ""))];
    }

    private static EmbeddingPooling PoolingOf(string path, JsonElement root)
    {
        var chosen = root.ValueKind != JsonValueKind.Object ? [] : root.EnumerateObject()
            .Where(entry => entry.Name.StartsWith("pooling_mode_", StringComparison.Ordinal)
                && entry.Value.ValueKind == JsonValueKind.True).Select(entry => entry.Name).ToList();
        return chosen switch
        {
            [Mean] => EmbeddingPooling.Mean,
            [First] => EmbeddingPooling.FirstToken,
            [] => throw new InputException($"{path}: says no pooling; {Mean} or {First} is expected to be true."),
            _ => throw new InputException($"{path}: the pooling is "
                + string.Join(" and ", chosen.Select(name => JsonFile.Cut(name)))
                + $"; expected {Mean} or {First} alone."),
        };
    }
}
