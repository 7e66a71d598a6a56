using System.Globalization;

namespace LoraScratch.Lora;

/// <summary>
/// Modules that differ in the number of their layer alone, as one: layer.{0-5}.attention.query.
/// </summary>
internal static class FoldedPaths
{
    /// <summary>Folds modules, in the order in which each first occurs.</summary>
    /// <param name="modules">In the model's order.</param>
    /// <param name="path">The path of one.</param>
    /// <param name="alike">
    /// Only those for which it is equal are folded; null: the path alone decides.
    /// </param>
    public static IReadOnlyList<FoldedPath<T>> Fold<T>(
        IEnumerable<T> modules, Func<T, string> path, Func<T, object?>? alike = null) =>
        [.. modules.Select(module => (Module: module, Parts: Parts(path(module))))
            .GroupBy(entry => (entry.Parts.Before, entry.Parts.After, Alike: alike?.Invoke(entry.Module)))
            .Select(group => new FoldedPath<T>(
                $"{group.Key.Before}{Numbers([.. group.Select(entry => entry.Parts.Number)])}", group.Key.After,
                [.. group.Select(entry => (entry.Parts.Number, entry.Module))]))];

    /// <summary>The first part between dots that is a number, and what stands around it.</summary>
    private static (string Before, int? Number, string After) Parts(string path)
    {
        var parts = path.Split('.');
        var at = Array.FindIndex(parts, part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out
            _));
        return at < 0 ? (path, null, "") : (string.Concat(parts[..at].Select(part => $"{part}.")),
            int.Parse(parts[at], CultureInfo.InvariantCulture), string.Concat(parts[(at + 1)..].Select(part =>
                $".{part}")));
    }

    /// <summary>"" of none, "3" of one, "{0-5}" or "{0,2-3}" of several.</summary>
    private static string Numbers(int?[] numbers)
    {
        if (numbers is [var only])
        {
            return $"{only}";
        }
        var runs = new List<(int First, int Last)>();
        foreach (var number in numbers.OfType<int>().Order())
        {
            if (runs.Count > 0 && runs[^1].Last + 1 == number)
            {
                runs[^1] = (runs[^1].First, number);
            }
            else
            {
                runs.Add((number, number));
            }
        }
        var named = runs.Select(run => run.First == run.Last ? $"{run.First}" : $"{run.First}-{run.Last}");
        return $"{{{string.Join(',', named)}}}";
    }
}

/// <summary>Some modules under one path.</summary>
/// <param name="Prefix">To the numbers of the layers: "layer.{0-5}"; all of it without any.</param>
/// <param name="After">What comes after these: ".attention.query".</param>
/// <param name="Modules">Each with its layer's number; null where its path has none.</param>
internal sealed record FoldedPath<T>(string Prefix, string After, IReadOnlyList<(int? Number, T Module)> Modules)
{
    /// <summary>"layer.{0-5}.attention.query"</summary>
    public string Path => Prefix + After;

    /// <summary>"attention.query"</summary>
    public string Rest => After.TrimStart('.');
}
