using LoraScratch.Engine;

namespace LoraScratch.Lora.Data;

/// <summary>
/// Labelled texts in a fixed order. Instances do not change: every operation gives a new data set.
/// </summary>
public sealed partial class TextDataset
{
    private readonly TextExample[] examples;

    /// <param name="examples">
    /// The rows; each label is a class of <paramref name="labels"/>, or
    /// <see cref="TextExample.NoLabel"/>.
    /// </param>
    /// <param name="labels">The classes.</param>
    /// <param name="source">What to call the data in messages.</param>
    /// <exception cref="ArgumentException">A label is out of range.</exception>
    internal TextDataset(IEnumerable<TextExample> examples, LabelSet labels, string source)
    {
        (this.examples, Labels, Source) = ([.. examples], labels, source);
        foreach (var example in this.examples)
        {
            if (example.Label < TextExample.NoLabel || example.Label >= labels.Count
                || example.Classes is { } classes && classes.Any(label => label < 0 || label >= labels.Count))
            {
                throw new ArgumentException($"{source}, {example.Origin}: label {example.Label} is out of range; the "
                    + $"classes are: {labels}.", nameof(examples));
            }
        }
    }

    /// <summary>The rows.</summary>
    internal IReadOnlyList<TextExample> Examples => examples;

    /// <summary>The classes.</summary>
    internal LabelSet Labels { get; }

    /// <summary>Rows of the file that were left out; of a part of a data set none.</summary>
    internal IncompleteRows Incomplete { get; private init; } = new("");

    /// <summary>Whether the examples are pairs of texts.</summary>
    public bool HasPairs => examples.Any(example => example.TextPair is not null);

    /// <summary>Whether any number of classes may hold for an example.</summary>
    public bool IsMultiLabel => examples.Any(example => example.Classes is not null);

    /// <summary>Where the data comes from.</summary>
    public string Source { get; }

    /// <summary>The number of examples of each class.</summary>
    /// <returns>[classes]</returns>
    public int[] CountPerLabel()
    {
        var counts = new int[Labels.Count];
        foreach (var example in examples)
        {
            if (example.Label != TextExample.NoLabel)
            {
                counts[example.Label]++;
            }
            foreach (var label in example.Classes ?? [])
            {
                counts[label]++;
            }
        }
        return counts;
    }

    /// <summary>
    /// "25,000 examples (neg 12,500, pos 12,500)"; classes without any example are named.
    /// </summary>
    public string Describe()
    {
        var counts = CountPerLabel();
        var empty = Labels.Names.Where((_, i) => counts[i] == 0).ToArray();
        var shown = string.Join(", ", Labels.Names.Select((name, i) => $"{name} {counts[i]:N0}").Take(20));
        return $"{examples.Length:N0} examples ({shown}{(Labels.Count > 20 ? ", …" : "")})"
            + (empty.Length > 0 ? $"; no example of: {string.Join(", ", empty.Take(20))}" : "");
    }

    /// <summary>
    /// The same rows in an order that depends on the seed and the number of rows alone.
    /// </summary>
    public TextDataset Shuffle(ulong seed) =>
        Select(Permutation.Random(examples.Length, seed, Permutation.ShuffleStream));

    /// <summary>
    /// Sets a part of the rows aside, for validation. Stratified, each class gives the same share,
    /// to within one row, and keeps at least one row (rows without a label count as one more
    /// class): where nearly every class has one row alone, fewer than that share are set aside.
    /// Which rows of a class is drawn by seed; both parts keep the order of this data set.
    /// </summary>
    /// <param name="fraction">The share that is set aside, between 0 and 1.</param>
    /// <param name="seed">Another seed sets other rows aside.</param>
    /// <param name="stratified">Whether by class; false: from all rows alike.</param>
    /// <returns>What remains, and what is set aside.</returns>
    /// <exception cref="InputException">One of the two parts would be empty.</exception>
    public (TextDataset Train, TextDataset Validation) Split(double fraction, ulong seed, bool stratified = true)
    {
        var wanted = fraction is > 0 and < 1
            ? (int)Math.Round(fraction * examples.Length, MidpointRounding.AwayFromZero) : 0;
        if (wanted == 0 || wanted == examples.Length)
        {
            throw new InputException(
                $"{Source}: a share of {fraction} of {examples.Length:N0} examples leaves one of the two parts empty. "
                + "Give a fraction between 0 and 1 that takes at least one example and leaves at least one.");
        }

        var aside = stratified ? RowsByClass(fraction, wanted, seed)
            : [.. Permutation.Random(examples.Length, seed, Permutation.SplitStream).Take(wanted)];
        if (aside.Count == 0)
        {
            throw new InputException($"{Source}: every class has one example alone, which is needed to train on: none "
                + "is left to hold out. Give more examples, or hold none out (option 'Validation' 0).");
        }
        var all = Enumerable.Range(0, examples.Length);
        return (Select([.. all.Where(i => !aside.Contains(i))]), Select([.. all.Where(aside.Contains)]));
    }

    /// <summary>
    /// Largest remainders: every class gives the whole part of its share, and those with the
    /// largest rests one more, but none its last row.
    /// </summary>
    private HashSet<int> RowsByClass(double fraction, int wanted, ulong seed)
    {
        var classes = RandomClasses(seed, Permutation.SplitStream);
        var quota = classes.Select(rows => (int)(fraction * rows.Count)).ToArray();
        var byRemainder = Enumerable.Range(0, classes.Count).Where(c => quota[c] + 1 < classes[c].Count)
            .OrderByDescending(c => fraction * classes[c].Count - quota[c]).ThenBy(c => c);
        foreach (var c in byRemainder.Take(wanted - quota.Sum()).ToArray())
        {
            quota[c]++;
        }
        return classes.SelectMany((rows, c) => rows.Take(quota[c])).ToHashSet();
    }

    /// <summary>
    /// At most <paramref name="count"/> rows, balanced: the classes, each in an order drawn by
    /// seed, give one row each in turn, so that all have equally many as far as they reach. The
    /// rows keep the order of this data set. With the same seed a smaller limit takes a part of
    /// what a larger one takes.
    /// </summary>
    /// <exception cref="InputException">The count is not positive.</exception>
    public TextDataset Limit(int count, ulong seed)
    {
        if (count <= 0)
        {
            throw new InputException($"{Source}: a limit of {count} examples leaves nothing. Give a positive number.");
        }
        if (count >= examples.Length)
        {
            return this;
        }
        var classes = RandomClasses(seed, Permutation.LimitStream);
        var taken = new List<int>(count);
        for (var round = 0; taken.Count < count; round++)
        {
            taken.AddRange(classes.Where(rows => round < rows.Count).Select(rows => rows[round])
                .Take(count - taken.Count));
        }
        taken.Sort();
        return Select([.. taken]);
    }

    /// <summary>The rows that satisfy a condition, such as not to be in another set.</summary>
    internal TextDataset Where(Func<TextExample, bool> condition) => new(examples.Where(condition), Labels, Source);

    /// <summary>
    /// The same rows with other classes, of which the labels are the names or, where no class has a
    /// number for its name, the indices.
    /// </summary>
    /// <param name="classes">The other classes.</param>
    /// <returns>Null if a label is neither.</returns>
    internal TextDataset? WithClasses(LabelSet classes)
    {
        var indices = Labels.Names.Select(name => classes.TryFind(name, out var index) ? index : -1).ToArray();
        if (indices.Contains(-1) && !classes.HasNumericNames)
        {
            indices = [.. Labels.Names.Select(name => LabelSet.IsIndex(name, out var index) && index < classes.Count
                ? index : -1)];
        }
        return indices.Contains(-1) ? null
            : new TextDataset(examples.Select(example => example with
            {
                Label = example.Label == TextExample.NoLabel ? example.Label : indices[example.Label],
                Classes = example.Classes?.Select(label => indices[label]).Order().ToArray(),
            }), classes, Source)
            {
                Incomplete = Incomplete,
            };
    }

    /// <summary>
    /// How many examples have a text (or both texts) that stands in another data set as well, white
    /// space apart.
    /// </summary>
    /// <param name="other">Such as what a model is trained on.</param>
    internal int CountAlsoIn(TextDataset other)
    {
        var known = other.examples.Select(example => example.Fingerprint()).ToHashSet();
        return examples.Count(example => known.Contains(example.Fingerprint()));
    }

    /// <summary>Some rows, by their numbers, in that order.</summary>
    internal TextDataset Select(int[] rows) => new(rows.Select(i => examples[i]), Labels, Source);

    // The row numbers of every class that has any, each in random order; rows without a label come last, as a class of
    // their own. Where several classes may hold, the rarest of a row's counts: it has the fewest rows to give.
    private List<List<int>> RandomClasses(ulong seed, uint stream)
    {
        var counts = CountPerLabel();
        int ClassOf(TextExample example) =>
            example.Classes is { Length: > 0 } several ? several.MinBy(label => counts[label])
            : example.Label == TextExample.NoLabel ? Labels.Count : example.Label;
        var classes = Enumerable.Range(0, Labels.Count + 1).Select(_ => new List<int>()).ToList();
        foreach (var i in Permutation.Random(examples.Length, seed, stream))
        {
            classes[ClassOf(examples[i])].Add(i);
        }
        classes.RemoveAll(rows => rows.Count == 0);
        return classes;
    }
}
