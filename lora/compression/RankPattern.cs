using System.Text.Encodings.Web;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Compression;

/// <summary>
/// A rank for each layer, as PEFT's rank_pattern has them: keys are regular expressions for the
/// path of a layer or its end after a dot. In a file, one JSON object.
/// </summary>
/// <param name="Ranks">By key; the first that matches a path counts.</param>
internal sealed record RankPattern(IReadOnlyDictionary<string, int> Ranks)
{
    private static readonly JsonSerializerOptions Json =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, WriteIndented = true };

    /// <summary>
    /// The ranks that keep a share of the squared norm of all updates together with the fewest
    /// parameters: σ² for each of the in + out parameters that a rank costs decides which layer
    /// gets the next one. Every layer keeps one at least.
    /// </summary>
    /// <param name="layers">The updates.</param>
    /// <param name="share">In (0, 1]</param>
    /// <exception cref="InputException">The share is out of range.</exception>
    public static RankPattern ForEnergy(IReadOnlyList<UpdateSpectrum> layers, double share)
    {
        RankRules.Check(null, share);
        var ranks = layers.Select(_ => 1).ToArray();
        var kept = layers.Sum(layer => Square(layer, 0));
        var wanted = share * layers.Sum(layer => layer.Decomposition.Values.Sum(value => value * value));
        var next = new PriorityQueue<int, double>(layers.Select((layer, i) => (i, -Worth(layer, 1))));
        // what remains when everything is taken is rounding
        while (kept < wanted && next.TryDequeue(out var i, out var worth) && worth < 0)
        {
            kept += Square(layers[i], ranks[i]++);
            next.Enqueue(i, -Worth(layers[i], ranks[i]));
        }
        return new(layers.Select((layer, i) => KeyValuePair.Create(layer.Path, ranks[i])).ToDictionary());
    }

    /// <summary>Reads a file.</summary>
    /// <exception cref="InputException">
    /// It is missing, no JSON object, or a value is no rank.
    /// </exception>
    public static RankPattern Read(string path) => JsonFile.Read(path, root =>
    {
        if (root.ValueKind != JsonValueKind.Object || !root.EnumerateObject().Any())
        {
            throw new InputException($"{path}: one JSON object is expected, with a rank for each layer: "
                + "{\"layer.0.attention.q_lin\": 4}.");
        }
        return new RankPattern(root.EnumerateObject().ToDictionary(entry => entry.Name, entry =>
            entry.Value.ValueKind == JsonValueKind.Number && entry.Value.TryGetInt32(out var rank) && rank >= 1 ? rank
                : throw new InputException($"{path}: \"{entry.Name}\" is {JsonFile.Shown(entry.Value)}; expected a "
                    + "rank, a whole number from 1.")));
    });

    /// <summary>The file's contents.</summary>
    public string ToJson() => JsonSerializer.Serialize(Ranks, Json) + "\n";

    /// <summary>The rank of each of some layers; those that no key matches keep theirs.</summary>
    /// <param name="layers">The updates.</param>
    /// <exception cref="InputException">
    /// A key matches no layer, or a layer has a smaller rank already.
    /// </exception>
    public IReadOnlyList<int> Of(IReadOnlyList<UpdateSpectrum> layers)
    {
        if (Ranks.Keys.FirstOrDefault(key => layers.All(layer => ModulePattern.FirstKey([key], layer.Path) is null))
            is { } idle)
        {
            throw new InputException($"The rank pattern has '{idle}', which meets none of the adapter's layers: "
                + $"{NearMisses.Census(layers.Select(layer => layer.Path))}.");
        }
        return [.. layers.Select(layer =>
        {
            var most = layer.Decomposition.Values.Count;
            var rank = ModulePattern.FirstKey(Ranks.Keys, layer.Path) is { } key ? Ranks[key] : most;
            return rank <= most ? rank : throw new InputException($"The rank pattern gives {layer.Path} rank {rank}; "
                + $"it has rank {most}, and more cannot come of it.");
        })];
    }

    private static double Square(UpdateSpectrum layer, int i) =>
        i < layer.Decomposition.Values.Count ? layer.Decomposition.Values[i] * layer.Decomposition.Values[i] : 0;

    /// <summary>What the term after the first so many is worth.</summary>
    private static double Worth(UpdateSpectrum layer, int taken) =>
        Square(layer, taken) / (layer.Decomposition.U.Rows + layer.Decomposition.V.Rows);
}
