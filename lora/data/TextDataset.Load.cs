using LoraScratch.Engine;

namespace LoraScratch.Lora.Data;

public sealed partial class TextDataset
{
    private const int MaxNumberedClasses = 10_000;      // more are taken for a column of something else

    /// <summary>
    /// Reads labelled texts. A folder, .tar, .tar.gz or .tgz is read as the movie reviews
    /// (<c>{train,test}/{neg,pos}/*.txt</c>, sorted by label and file name); .csv, .tsv and .jsonl,
    /// each also with .gz, as one example per row, in the order of the file.
    /// </summary>
    /// <param name="path">The file or folder.</param>
    /// <param name="split">
    /// Which half of the movie reviews; a single file is the same for both.
    /// </param>
    /// <param name="options">Columns, classes and limits; the defaults if null.</param>
    /// <exception cref="InputException">
    /// The data cannot be used; the message names file and line or entry, what was expected and
    /// what was found.
    /// </exception>
    public static TextDataset Load(string path, DatasetSplit split = DatasetSplit.Train, DatasetOptions? options = null)
    {
        options ??= new DatasetOptions();
        if (Directory.Exists(path))
        {
            return ResolveReviews(path, MovieReviews.ReadFolder(path, split, options), options.Labels);
        }
        using var stream = Open(path, out var kind);
        return kind == ".tar"
            ? ResolveReviews(path, MovieReviews.ReadTar(stream, path, split, options), options.Labels)
            : Resolve(path, [.. ReadRows(stream, path, kind, options, labelRequired: true)], options);
    }

    /// <summary>
    /// Reads all labelled texts: of the movie reviews both halves in the order of the tutorials'
    /// script (test before train, pos before neg, then by file name); a single file as it is.
    /// </summary>
    /// <inheritdoc cref="Load"/>
    public static TextDataset LoadAll(string path, DatasetOptions? options = null)
    {
        if (!IsMovieReviews(path))
        {
            return Load(path, options: options);
        }
        TextDataset[] halves = [Load(path, DatasetSplit.Test, options), Load(path, DatasetSplit.Train, options)];
        return new TextDataset(halves.SelectMany(half => half.Examples.OrderByDescending(example => example.Label)),
            halves[0].Labels, path);
    }

    /// <summary>
    /// Whether a path is read as the movie reviews, which come in two halves: a folder or a tar
    /// archive.
    /// </summary>
    internal static bool IsMovieReviews(string path) =>
        Directory.Exists(path) || new[] { ".tar", ".tar.gz",
            ".tgz" }.Any(end => path.EndsWith(end, StringComparison.OrdinalIgnoreCase));

    /// <summary>
    /// Reads texts whose labels may be missing, one by one, from a .csv, .tsv or .jsonl file (also
    /// with .gz), as <see cref="Load"/> does.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="options">
    /// If its Labels are null, labels in the file are ignored; otherwise one that is there must be
    /// one of them.
    /// </param>
    public static IEnumerable<TextExample> ReadTexts(string path, DatasetOptions? options = null)
    {
        options ??= new DatasetOptions();
        using var stream = Open(path, out var kind);
        if (kind == ".tar")
        {
            throw new InputException($"{path}: an archive holds labelled reviews; here a .csv, .tsv or .jsonl file "
                + $"with a '{options.TextColumn}' column is expected.");
        }
        foreach (var raw in ReadRows(stream, path, kind, options, labelRequired: false))
        {
            yield return Resolve(path, raw, options.Labels);
        }
    }

    /// <summary>
    /// As <see cref="ReadTexts(string, DatasetOptions?)"/>, from a stream of JSON lines, such as
    /// standard input.
    /// </summary>
    /// <param name="jsonLines">The stream; it is not closed.</param>
    /// <param name="name">What to call it in messages.</param>
    /// <param name="options">As there.</param>
    public static IEnumerable<TextExample> ReadTexts(Stream jsonLines, string name, DatasetOptions? options = null)
    {
        options ??= new DatasetOptions();
        return JsonLinesReader.Read(jsonLines, name, options, labelRequired: false)
            .Select(raw => Resolve(name, raw, options.Labels));
    }

    private static Stream Open(string path, out string kind)
    {
        var compressed = path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase)
            || path.EndsWith(".tgz", StringComparison.OrdinalIgnoreCase);
        kind = Path.GetExtension(path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? path[..^3] : path)
            .ToLowerInvariant();
        if (kind == ".tgz")
        {
            kind = ".tar";
        }
        if (!File.Exists(path))
        {
            throw new InputException($"{path}: there is no such file or folder.");
        }
        if (kind is not (".tar" or ".csv" or ".tsv" or ".jsonl"))
        {
            throw new InputException($"{path}: the kind of this file is not known by its name. Expected is .csv, "
                + ".tsv or .jsonl (each also with .gz), "
                + ".tar.gz, or a folder with the layout of the movie reviews.");
        }
        var file = File.OpenRead(path);
        return compressed ? new CheckedGZipStream(file) : file;
    }

    private static IEnumerable<RawExample> ReadRows(Stream stream, string path, string kind, DatasetOptions options,
        bool labelRequired) => kind switch
        {
            ".jsonl" => JsonLinesReader.Read(stream, path, options, labelRequired),
            ".tsv" => DelimitedReader.Read(stream, path, (byte)'\t', options, labelRequired),
            _ => DelimitedReader.Read(stream, path, (byte)',', options, labelRequired),
        };

    // The folders are called neg and pos; a model may have other names for its two classes, and then they are its first
    // and its second.
    private static TextDataset ResolveReviews(string path, List<RawExample> rows, LabelSet? labels)
    {
        labels ??= LabelSet.Sentiment;
        if (!labels.TryResolve("neg", out var negative) || !labels.TryResolve("pos", out var positive))
        {
            if (labels.Count != 2)
            {
                throw new InputException($"{path}: the movie reviews have the two classes neg and pos, and the model "
                    + $"has {labels.Count}: {labels}.");
            }
            (negative, positive) = (0, 1);
        }
        return new TextDataset(rows.Select(row =>
            new TextExample(row.Text, row.Label == "neg" ? negative : positive, row.Origin)), labels, path);
    }

    private static TextDataset Resolve(string path, List<RawExample> rows, DatasetOptions options)
    {
        if (rows.Count == 0)
        {
            throw new InputException($"{path}: there is no example in it.");
        }
        foreach (var row in rows)
        {
            if (row.Label is null)
            {
                throw new InputException(
                    $"{path}, {row.Origin}: the label is empty. Remove the row or give it a label.");
            }
        }
        var labels = options.Labels ?? LabelsOf(path, rows);
        return new TextDataset(rows.Select(row => Resolve(path, row, labels)), labels, path);
    }

    private static TextExample Resolve(string path, RawExample raw, LabelSet? labels)
    {
        if (raw.Label is null || labels is null)
        {
            return new TextExample(raw.Text, TextExample.NoLabel, raw.Origin);
        }
        if (labels.TryResolve(raw.Label, out var label))
        {
            return new TextExample(raw.Text, label, raw.Origin);
        }
        throw new InputException(LabelSet.IsIndex(raw.Label, out _)
            ? $"{path}, {raw.Origin}: the label index {raw.Label} is out of range; there are {labels.Count} classes: "
                + $"{labels}."
            : $"{path}, {raw.Origin}: the label '{Shorten(raw.Label)}' is unknown; the classes are: {labels}.");
    }

    private static LabelSet LabelsOf(string path, List<RawExample> rows)
    {
        var classes = 0;
        foreach (var row in rows)
        {
            if (!LabelSet.IsIndex(row.Label!, out var index))
            {
                return new LabelSet(rows.Select(r => r.Label!).Distinct().Order(StringComparer.Ordinal));
            }
            if (index >= MaxNumberedClasses)
            {
                throw new InputException($"{path}, {row.Origin}: the label {index} would mean more than "
                    + $"{MaxNumberedClasses:N0} classes. Is this the label column?");
            }
            classes = Math.Max(classes, index + 1);
        }
        return LabelSet.Numbered(classes);
    }

    private static string Shorten(string label) => label.Length <= 60 ? label : label[..60] + "…";
}
