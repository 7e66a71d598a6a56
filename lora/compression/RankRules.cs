using System.Globalization;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Compression;

/// <summary>What may be asked of a rank or a share of the energy.</summary>
internal static class RankRules
{
    /// <summary>Refuses what cannot be.</summary>
    /// <param name="rank">Option rank, or null.</param>
    /// <param name="energy">Option energy, or null.</param>
    /// <exception cref="InputException">
    /// Both or neither are given, or the one that is given is out of range.
    /// </exception>
    public static void Check(int? rank, double? energy)
    {
        if (rank is null == energy is null)
        {
            throw new InputException(rank is null
                ? "Neither option 'rank' nor option 'energy' is given: say how large the factors may be, or which "
                    + "share of the squared norm they must keep."
                    : "Option 'rank' and option 'energy' are both given; take one of the two.");
        }
        if (rank < 1)
        {
            throw new InputException($"Option 'rank' is {rank}; expected at least 1.");
        }
        if (energy is { } share && !(share > 0 && share <= 1))
        {
            throw new InputException(string.Create(CultureInfo.InvariantCulture, $"Option 'energy' is {share}; "
                + $"expected a share above 0, at most 1."));
        }
    }
}
