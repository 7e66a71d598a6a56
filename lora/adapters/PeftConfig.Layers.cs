using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Adapters;

/// <summary>
/// Ranks and alphas of single layers: one number for most, patterns for the others.
/// </summary>
internal sealed partial record PeftConfig
{
    /// <summary>r of a layer.</summary>
    internal int RankOf(string path) =>
        ModulePattern.FirstKey(RankPattern.Keys, path) is { } key ? RankPattern[key] : Rank;

    /// <summary>lora_alpha of a layer.</summary>
    internal double AlphaOf(string path) =>
        ModulePattern.FirstKey(AlphaPattern.Keys, path) is { } key ? AlphaPattern[key] : Alpha;

    /// <summary>This config with the ranks and alphas of given layers.</summary>
    /// <param name="layers">Path, r and lora_alpha of each; at least one.</param>
    internal PeftConfig With(IReadOnlyList<(string Path, int Rank, double Alpha)> layers)
    {
        var rank = layers.GroupBy(layer => layer.Rank).MaxBy(group => group.Count())!.Key;
        var alpha = layers.GroupBy(layer => layer.Alpha).MaxBy(group => group.Count())!.Key;
        return this with
        {
            Rank = rank,
            Alpha = alpha,
            RankPattern = layers.Where(layer => layer.Rank != rank)
                .ToDictionary(layer => PatternFor(layer.Path), layer => layer.Rank),
            AlphaPattern = layers.Where(layer => layer.Alpha != alpha)
                .ToDictionary(layer => PatternFor(layer.Path), layer => layer.Alpha),
        };

        // A key means the ends of paths too; '^' keeps it to the one path where another layer's ends alike.
        string PatternFor(string path) =>
            layers.Any(other => other.Path.EndsWith($".{path}", StringComparison.Ordinal)) ? $"^{path}" : path;
    }
}
