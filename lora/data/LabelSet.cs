using System.Globalization;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Data;

/// <summary>
/// The classes of a task: index ↔ name. The indices are those of the classifier's outputs.
/// </summary>
internal sealed class LabelSet
{
    private const int LongestName = 60;

    private readonly string[] names;
    private readonly Dictionary<string, int> indexOf = new(StringComparer.Ordinal);

    /// <param name="names">The name of class i is element i.</param>
    /// <exception cref="InputException">No name, or one twice.</exception>
    public LabelSet(IEnumerable<string> names)
    {
        this.names = [.. names];
        if (this.names.Length == 0)
        {
            throw new InputException("A label set needs at least one class, and has none.");
        }
        for (var i = 0; i < this.names.Length; i++)
        {
            if (!indexOf.TryAdd(this.names[i], i))
            {
                throw new InputException($"Classes {indexOf[this.names[i]]} and {i} have the same name "
                    + $"'{Cut(this.names[i])}'. Give every class its own name.");
            }
        }
    }

    /// <summary>The classes of the movie reviews: neg is 0, pos is 1.</summary>
    public static LabelSet Sentiment { get; } = new(["neg", "pos"]);

    /// <summary>Number of classes.</summary>
    public int Count => names.Length;

    /// <summary>The names, by index.</summary>
    public IReadOnlyList<string> Names => names;

    /// <summary>The name of a class.</summary>
    public string this[int label] => names[label];

    /// <summary>Classes without names of their own: "0", "1", ….</summary>
    public static LabelSet Numbered(int count) =>
        new(Enumerable.Range(0, count).Select(i => i.ToString(CultureInfo.InvariantCulture)));

    /// <summary>The class of a name.</summary>
    /// <returns>Whether there is such a class.</returns>
    public bool TryFind(string name, out int index) => indexOf.TryGetValue(name, out index);

    /// <summary>
    /// Whether a whole number is the name of a class: it could not be told from an index.
    /// </summary>
    internal bool HasNumericNames => names.Any(name => long.TryParse(name, NumberStyles.AllowLeadingSign,
        CultureInfo.InvariantCulture, out _));

    /// <summary>"neg, pos", at most the first twelve names; see <see cref="Shown"/>.</summary>
    internal static string Listed(IReadOnlyList<string> names) =>
        string.Join(", ", names.Take(12).Select(name => Shown(name)))
        + (names.Count > 12 ? $" and {names.Count - 12} more" : "");

    /// <summary>"0 = neg, 1 = pos", at most the first twenty classes.</summary>
    public override string ToString() =>
        string.Join(", ", names.Take(20).Select((name, i) => $"{i} = {Shown(name)}"))
        + (Count > 20 ? $", … ({Count} classes)" : "");

    /// <summary>
    /// A name in a list, cut where it is long; in quotes where a space or a comma would be lost.
    /// </summary>
    /// <param name="name">Of a class or a column.</param>
    /// <param name="longest">Letters of it that are shown.</param>
    internal static string Shown(string name, int longest = LongestName)
    {
        var shown = Cut(name, longest);
        return shown == string.Join(' ', shown.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries))
            && !shown.Contains(',') && !shown.Contains(';') ? shown : $"'{shown}'";
    }

    private static string Cut(string name, int longest = LongestName) =>
        name.Length <= longest ? name : $"{name[..longest]}…";

    internal static bool IsIndex(string label, out int index) =>
        int.TryParse(label, NumberStyles.None, CultureInfo.InvariantCulture, out index);
}
