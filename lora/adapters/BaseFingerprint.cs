using System.Security.Cryptography;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Adapters;

/// <summary>
/// The base weights that an adapter was trained on, as hashes in the metadata of its tensor file:
/// for each adapted layer base_sha256.PATH = SHA-256 of W, as the bytes of its float32 values,
/// row-major as it is stored, little-endian; of a quantised W, as its packed codes and then scale
/// and zero of every group. An update A·B means nothing on another W.
/// </summary>
internal static class BaseFingerprint
{
    private const string Key = "base_sha256.";

    /// <summary>
    /// The entries for an attached adapter; W is taken without the update, merged or not.
    /// </summary>
    public static IEnumerable<KeyValuePair<string, string>> Of(LoRAAdapter adapter) =>
        adapter.Layers.Select(layer => KeyValuePair.Create(Key + layer.Path, Hash(layer.Layer.AppendBaseWeightTo)));

    /// <summary>The entries of a file's metadata.</summary>
    public static IEnumerable<KeyValuePair<string, string>> In(IReadOnlyDictionary<string, string> metadata) =>
        metadata.Where(entry => entry.Key.StartsWith(Key, StringComparison.Ordinal));

    /// <summary>
    /// Compares the weights of a model that is about to be adapted with a file's entries.
    /// </summary>
    /// <returns>The layers without an entry, and those whose W is another one.</returns>
    public static (IReadOnlyList<string> Unknown,
        IReadOnlyList<string> Different) Compare(IReadOnlyDictionary<string, string> metadata, LoRAPlan plan)
    {
        List<string> unknown = [], different = [];
        foreach (var layer in plan.Layers)
        {
            if (!metadata.TryGetValue(Key + layer.Path, out var hash))
            {
                unknown.Add(layer.Path);
            }
            else if (hash != Hash(layer.Base.Weight.AppendTo))
            {
                different.Add(layer.Path);
            }
        }
        return (unknown, different);
    }

    /// <summary>
    /// A sentence that says how to get the model that an adapter was trained on; empty where its
    /// config names none.
    /// </summary>
    /// <param name="baseModel">base_model_name_or_path</param>
    public static string Remedy(string? baseModel) => baseModel switch
    {
        null => "",
        _ when !BuiltInBase.IsNamedBy(baseModel) =>
            $" It was trained on '{JsonFile.Cut(baseModel, 300)}': name that model with option 'baseModel'.",
        _ when !BuiltInBase.IsHere => $" It was trained on '{baseModel}', and {BuiltInBase.Missing}.",
        _ when baseModel == BuiltInBase.Name =>
            $" It was trained on {BuiltInBase.Description}: leave option 'baseModel' out.",
        _ => $" It was trained on '{baseModel}', and {BuiltInBase.Description} is {BuiltInBase.Name} now: train it "
            + "anew, or use it with the version that it is from.",
    };

    private static string Hash(Action<IncrementalHash> append)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        append(hash);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
