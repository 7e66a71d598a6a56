using System.Globalization;
using LoraScratch.Lora.Compression;

namespace LoraScratch.Cli.Tables;

/// <summary>What an adapter learned in each layer, in 80 columns.</summary>
internal static class SpectrumTable
{
    private const int MaxRanks = 6;

    /// <summary>Prints it.</summary>
    /// <param name="layers">At least one.</param>
    /// <param name="proposed">The ranks that would do.</param>
    /// <param name="share">The energy that they keep.</param>
    /// <param name="output">Where to.</param>
    public static void Print(IReadOnlyList<LayerSpectrum> layers, RankPattern proposed, double share,
        TextWriter output)
    {
        var hasBase = layers.All(layer => layer.WeightNorm is not null);
        LayerTable.Print(output, ["rank", "|ΔW|", .. hasBase ? (string[])["|ΔW|/|W|"] : [], "eff. rank",
            .. hasBase ? (string[])["cosine", "intruders"] : []], [.. layers.Select(layer => (layer.Path,
                (IReadOnlyList<string>)[$"{layer.Update.Rank} → {proposed.Ranks[layer.Path]}", Number(layer.Norm, "G4"),
                    .. hasBase ? (string[])[Number(layer.Norm / layer.WeightNorm!.Value, "G3")] : [],
                    Number(layer.EffectiveRank, "F2"),
                    .. hasBase ? (string[])[layer.OfUpdate is [var first, ..] ? Number(first.Cosine, "F2") : "-",
                        layer.Intruders == 0 ? "-" : $"{layer.Intruders} of {layer.OfTuned!.Count}"] : []]))]);

        var ranks = Ranks(layers.Max(layer => layer.Values.Count));
        output.WriteLine("\nenergy of the first k singular values, %");
        LayerTable.Print(output, [.. ranks.Select(k => $"k = {k}")], [.. layers.Select(layer => (layer.Path,
            (IReadOnlyList<string>)[.. ranks.Select(k =>
                Number(100 * layer.Update.Decomposition.EnergyOf(Math.Min(k, layer.Values.Count)), "F1"))]))]);

        var (before, after) = (layers.Sum(layer => Cost(layer) * layer.Update.Rank),
            layers.Sum(layer => Cost(layer) * proposed.Ranks[layer.Path]));
        output.WriteLine();
        output.WriteLine($"rank → rank: with {Text.Count(after)} of {Text.Count(before)} parameters "
            + $"{Text.Percent(share)} of the energy of all updates is kept.");
        if (hasBase)
        {
            output.WriteLine("cosine: of the first direction of ΔW, with the nearest of W. Intruders: directions of "
                + $"W + ΔW that are near none of W (below {LayerSpectrum.IntruderCosine.ToString("0.0",
                    CultureInfo.InvariantCulture)}).");
        }
    }

    /// <summary>1, 2, 4, … and the largest; the last few of them.</summary>
    private static int[] Ranks(int largest)
    {
        var all = Enumerable.Range(0, 30).Select(i => 1 << i).TakeWhile(k => k < largest).Append(largest).ToArray();
        return all[Math.Max(0, all.Length - MaxRanks)..];
    }

    private static long Cost(LayerSpectrum layer) =>
        layer.Update.Decomposition.U.Rows + layer.Update.Decomposition.V.Rows;

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
