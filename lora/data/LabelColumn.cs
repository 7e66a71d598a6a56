using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Data;

/// <summary>
/// What the labels of a file mean. One rule holds for all of them: if every label is a number, such
/// as 1 or the 1.0 that pandas makes of it beside an empty cell, they are whole numbers, else they
/// are names. Without given classes the distinct labels are the classes. With given ones all labels
/// are names of them; or, where no class has a number for its name, all are indices.
/// </summary>
internal static class LabelColumn
{
    private const int MaxClasses = 10_000;         // more are taken for a column of something else
    private const int FewClasses = 20;              // so many may have one example each

    /// <summary>Resolves the labels of a file.</summary>
    /// <param name="name">The file, for messages.</param>
    /// <param name="options">
    /// The column, and the classes that are given; its notes are told how labels are read.
    /// </param>
    /// <param name="rows">The rows, each with a label.</param>
    /// <returns>The classes, and the index of each row's.</returns>
    /// <exception cref="InputException">
    /// A label is no class, the labels are no classes, or there is one class only.
    /// </exception>
    public static (LabelSet Classes, int[] Labels) Resolve(string name, DatasetOptions options,
        IReadOnlyList<RawExample> rows)
    {
        var (column, known, notes) = (options.LabelName, options.Labels, options.Notes);
        var written = rows.Select(row => row.Label!).Distinct().ToArray();
        if (known is not null && written.All(label => known.TryFind(label, out _)))
        {
            return (known, IndicesIn(known, rows, label => label));
        }
        var numbers = WholeNumbers(name, column, rows, written);
        if (numbers is not null && Array.Find(written, label => numbers[label] != label) is { } respelled)
        {
            notes?.Invoke($"{name}: the labels are read as whole numbers: {Describe.Name(respelled)} is "
                + $"{numbers[respelled]}.");
        }
        string Spelled(string label) => numbers?[label] ?? label;
        if (known is null)
        {
            var classes = ClassesOf(name, column, rows.Count, written.Select(Spelled).Distinct(), numbers is not null,
                notes);
            return (classes, IndicesIn(classes, rows, Spelled));
        }
        bool IsName(string label) => known.TryFind(Spelled(label), out _);
        bool IsIndex(string label) => !known.HasNumericNames && LabelSet.IsIndex(Spelled(label), out var index)
            && index < known.Count;
        if (written.All(IsName))
        {
            return (known, IndicesIn(known, rows, Spelled));
        }
        if (written.All(IsIndex))
        {
            notes?.Invoke($"{name}: the labels are read as indices of the classes: {known}.");
            return (known, [.. rows.Select(row => int.Parse(Spelled(row.Label!), CultureInfo.InvariantCulture))]);
        }
        throw Array.Find(written, label => !IsName(label) && !IsIndex(label)) is { } unknown
            ? Unknown(unknown, "is unknown; the classes are:")
            : Unknown(Array.Find(written, IsIndex)!, "is an index of a class, and in other rows there are names. "
                + "Write one of the two in all rows; the classes are:");

        InputException Unknown(string label, string what) => new(($"{name}, "
            + $"{rows.First(row => row.Label == label).Origin}: the label {Describe.Name(label)} {what} {known}. "
            + options.UnknownLabelHint).TrimEnd());
    }

    private static int[] IndicesIn(LabelSet classes, IReadOnlyList<RawExample> rows, Func<string, string> spelled) =>
        [.. rows.Select(row => classes.TryFind(spelled(row.Label!), out var index) ? index : TextExample.NoLabel)];

    /// <summary>
    /// How each label is spelled as a whole number; null if one of them is no number.
    /// </summary>
    private static Dictionary<string, string>? WholeNumbers(string name, string column,
        IReadOnlyList<RawExample> rows, string[] written)
    {
        var numbers = new Dictionary<string, string>(StringComparer.Ordinal);
        string? fraction = null;
        foreach (var label in written)
        {
            if (!decimal.TryParse(label, NumberStyles.Float, CultureInfo.InvariantCulture, out var number))
            {
                return null;
            }
            fraction ??= number == decimal.Truncate(number) ? null : label;
            numbers[label] = decimal.Truncate(number).ToString(CultureInfo.InvariantCulture);
        }
        return fraction is null ? numbers : throw new InputException(
            $"{name}, {rows.First(row => row.Label == fraction).Origin}: the label {Describe.Name(fraction)} is a "
                + "number that is not whole, as all labels of the column "
                + $"{Describe.Name(column)} are numbers: regression is not supported, only classes. Is it the label "
                + "column? To take each number as the name of a class, write a letter before it.");
    }

    private static LabelSet ClassesOf(string name, string column, int rows, IEnumerable<string> labels, bool areNumbers,
        Action<string>? notes)
    {
        string[] classes = areNumbers
            ? [.. labels.OrderBy(label => decimal.Parse(label, CultureInfo.InvariantCulture))]
            : [.. labels.Order(StringComparer.Ordinal)];
        if (classes is [var only])
        {
            throw new InputException($"{name}: all labels of the column {Describe.Name(column)} are "
                + $"{Describe.Name(only)}; a classifier needs examples of at least two classes. Is it the label "
                + "column?");
        }
        if (classes.Length > MaxClasses)
        {
            throw new InputException($"{name}: the column {Describe.Name(column)} has {classes.Length:N0} distinct "
                + $"labels, such as {Describe.Name(classes[0])}; at most {MaxClasses:N0} classes are supported. Is it "
                + "the label column?");
        }
        if (classes.Length > FewClasses && classes.Length > rows / 2)
        {
            notes?.Invoke($"{name}: {classes.Length:N0} classes for {rows:N0} rows. Is {Describe.Name(column)} the "
                + "label column?");
        }
        return new LabelSet(classes);
    }
}
