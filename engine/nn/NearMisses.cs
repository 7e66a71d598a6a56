namespace LoraScratch.Engine.NN;

/// <summary>What a name that is not there may have been meant to be.</summary>
internal static class NearMisses
{
    /// <summary>
    /// The known names nearest to the unknown one, nearest first; none where even the nearest
    /// differs in more than two thirds of its letters.
    /// </summary>
    public static IReadOnlyList<string> Of(string unknown, IEnumerable<string> known, int most = 3)
    {
        var wanted = LastPart(unknown);
        return [.. known.Distinct().Select(name => (Name: name, Distance: EditDistance(wanted, LastPart(name))))
            .Where(entry => 3 * entry.Distance <= 2 * Math.Max(wanted.Length, LastPart(entry.Name).Length))
            .OrderBy(entry => entry.Distance).ThenBy(entry => entry.Name, StringComparer.Ordinal).Take(most)
            .Select(entry => entry.Name)];
    }

    /// <summary>
    /// "name (times)" for the last parts of the paths, in order of appearance: 'q_lin (6), k_lin
    /// (6)'.
    /// </summary>
    public static string Census(IEnumerable<string> paths)
    {
        var groups = paths.GroupBy(LastPart).ToList();
        var shown = groups.Take(12).Select(group => group.Count() == 1 ? group.Key : $"{group.Key} ({group.Count()})");
        return groups.Count == 0 ? "none" : string.Join(", ", shown) + (groups.Count > 12 ? ", …" : "");
    }

    public static string LastPart(string path) => path[(path.LastIndexOf('.') + 1)..];

    /// <summary>
    /// The fewest insertions, deletions and exchanges of a letter that turn one into the other
    /// (Levenshtein 1966).
    /// </summary>
    internal static int EditDistance(string from, string to)
    {
        // row[j]: distance of the letters of `from` so far to to[..j]
        var row = Enumerable.Range(0, to.Length + 1).ToArray();
        for (var i = 1; i <= from.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= to.Length; j++)
            {
                var exchange = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(exchange, 1 + Math.Min(row[j], row[j - 1]));
            }
        }
        return row[^1];
    }
}
