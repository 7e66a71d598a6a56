using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Adapters;

/// <summary>Ranks and alphas of single layers in PEFT's config: one for most, patterns for the others.</summary>
internal static class PeftLayers
{
    /// <summary>lora_alpha of a layer.</summary>
    public static double AlphaOf(PeftConfig config, string path) => ModulePattern.FirstKey(config.AlphaPattern.Keys, path) is { } key ? config.AlphaPattern[key] : config.Alpha;

    /// <summary>r of a layer.</summary>
    public static int RankOf(PeftConfig config, string path) => ModulePattern.FirstKey(config.RankPattern.Keys, path) is { } key ? config.RankPattern[key] : config.Rank;

    /// <summary>A key that means this layer and no other: a key means the ends of paths too, and '^' keeps it to the one path where another layer's ends alike.</summary>
    public static string PatternFor(string path, IEnumerable<string> all) => all.Any(other => other.EndsWith($".{path}", StringComparison.Ordinal)) ? $"^{path}" : path;

    public static T Commonest<T>(IEnumerable<T> values) => values.GroupBy(value => value).MaxBy(group => group.Count())!.Key;
}
