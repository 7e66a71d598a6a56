using LoraScratch.Engine;

namespace LoraScratch.Lora.Data;

public sealed partial class TextDataset
{
    /// <summary>Texts that the program has already.</summary>
    /// <param name="examples">
    /// Each with the name of its class; the ids of the classes are in the order of the names.
    /// </param>
    /// <param name="source">What to call the data in messages.</param>
    public TextDataset(IEnumerable<(string Text, string Label)> examples, string source = "the data")
        : this(examples.ToArray(), source)
    {
    }

    private TextDataset((string Text, string Label)[] examples, string source)
        : this(examples, examples.Select(example => example.Label).Distinct().Order(StringComparer.Ordinal).ToArray(),
            source)
    {
    }

    private TextDataset((string Text, string Label)[] examples, string[] classes, string source)
        : this(examples.Select((example, i) => new TextExample(example.Text, Array.IndexOf(classes, example.Label),
            $"example {i + 1}")), new LabelSet(classes), source)
    {
    }

    /// <summary>
    /// Pairs of texts that the program has already: a question and an answer, say.
    /// </summary>
    /// <param name="examples">Each with the name of its class.</param>
    /// <param name="source">What to call the data in messages.</param>
    public static TextDataset OfPairs(IEnumerable<(string Text, string TextPair, string Label)> examples,
        string source = "the data")
    {
        var rows = examples.ToArray();
        var single = new TextDataset(rows.Select(row => (row.Text, row.Label)), source);
        return new TextDataset(single.Examples.Select((example, i) => example with { TextPair = rows[i].TextPair }),
            single.Labels, source);
    }

    /// <summary>
    /// Texts that the program has already, for each of which any number of classes may hold.
    /// </summary>
    /// <param name="examples">Each with the names of its classes, perhaps none.</param>
    /// <param name="source">What to call the data in messages.</param>
    /// <exception cref="InputException">No text has a class.</exception>
    public static TextDataset OfLabelSets(IEnumerable<(string Text, IReadOnlyList<string> Labels)> examples,
        string source = "the data")
    {
        var rows = examples.ToArray();
        var classes = rows.SelectMany(row => row.Labels).Distinct().Order(StringComparer.Ordinal).ToArray();
        int[] ClassIndices(IReadOnlyList<string> labels) =>
            [.. labels.Distinct().Select(label => Array.IndexOf(classes, label)).Order()];
        TextExample Example((string Text, IReadOnlyList<string> Labels) row, int i) =>
            new(row.Text, TextExample.NoLabel, $"example {i + 1}") { Classes = ClassIndices(row.Labels) };
        return new TextDataset(rows.Select(Example), new LabelSet(classes), source);
    }

    /// <summary>
    /// Reads labelled texts: .csv, .tsv and .jsonl, each also with .gz, with an example in a row
    /// and the columns "text" and "label"; a folder, .tar, .tar.gz or .tgz is read as the training
    /// half of the movie reviews (<c>train/{neg,pos}/*.txt</c>).
    /// </summary>
    /// <param name="path">The file or folder.</param>
    /// <exception cref="InputException">
    /// The data cannot be used; the message names file and line or entry, what was expected and
    /// what was found.
    /// </exception>
    public static TextDataset Load(string path) => Load(path, DatasetSplit.Train);

    /// <inheritdoc cref="Load(string)"/>
    /// <param name="path">The file.</param>
    /// <param name="textColumn">The column, or JSON key, of the texts.</param>
    /// <param name="labelColumn">That of the classes.</param>
    public static TextDataset Load(string path, string textColumn, string labelColumn) =>
        Load(path, DatasetSplit.Train, new DatasetOptions { TextColumn = textColumn, LabelColumn = labelColumn });

    /// <summary>Number of examples.</summary>
    public int Count => examples.Length;

    /// <summary>The names of the classes, by id.</summary>
    public IReadOnlyList<string> Classes => Labels.Names;

    /// <summary>The same examples with the ids that a model has given to the classes.</summary>
    /// <param name="classes">The model's classes.</param>
    /// <exception cref="InputException">An example has another class.</exception>
    internal TextDataset WithClasses(IReadOnlyList<string> classes)
    {
        var known = new LabelSet(classes);
        return WithClasses(known) ?? throw new InputException($"{Source}: the data has the classes {Labels}; the "
            + $"model's are: {known}. Evaluate data with the model's classes.");
    }
}
