using System.Text;

namespace LoraScratch.Engine.IO;

/// <summary>How names and shapes from a file appear in a message.</summary>
internal static class Describe
{
    private const int LongestQuote = 120;

    /// <summary>
    /// The name in quotes. Control characters are escaped and a long name is cut: a file must not
    /// be able to steer the reader's terminal.
    /// </summary>
    internal static string Name(string name)
    {
        var quoted = new StringBuilder("'");
        foreach (var letter in name.AsSpan(0, Math.Min(name.Length, LongestQuote)))
        {
            if (char.IsControl(letter) || char.IsSurrogate(letter))
            {
                quoted.Append($"\\u{(int)letter:X4}");
            }
            else
            {
                quoted.Append(letter);
            }
        }
        return quoted.Append(name.Length > LongestQuote ? "…'" : "'").ToString();
    }

    /// <summary>As in [2, 3]; [] for a scalar.</summary>
    internal static string Shape(IEnumerable<long> shape)
    {
        var dimensions = shape.Take(17).Select(dimension => dimension.ToString()).ToArray();
        return $"[{string.Join(", ", dimensions.Take(16))}{(dimensions.Length > 16 ? ", …" : "")}]";
    }

    /// <summary>For a name that is not in <paramref name="path"/>.</summary>
    internal static InputException NoSuchTensor(string path, string name, IEnumerable<string> names) =>
        new($"{path}: no tensor {Name(name)}. "
        + (names.Any() ? $"It has {names.Count()}, among them {Nearest(name, names)}." : "It has none."));

    /// <summary>
    /// Up to three of <paramref name="names"/>, those with the longest common ending first: a
    /// missing prefix is the usual slip.
    /// </summary>
    private static string Nearest(string name, IEnumerable<string> names)
        => string.Join(", ", names.OrderByDescending(other => CommonEnding(name, other)).Take(3).Select(Name));

    private static int CommonEnding(string left, string right)
    {
        var count = 0;
        while (count < left.Length && count < right.Length && left[^(count + 1)] == right[^(count + 1)])
        {
            count++;
        }
        return count;
    }
}
