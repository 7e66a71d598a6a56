using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Data;

public sealed partial class TextDataset
{
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
    internal static TextDataset Load(string path, DatasetSplit split = DatasetSplit.Train,
        DatasetOptions? options = null)
    {
        options ??= new DatasetOptions();
        if ((options.IsMultiLabel || options.LabelColumns is not null) && IsMovieReviews(path))
        {
            throw new InputException($"{path}: a movie review has one class, and option 'multi-label' is for texts of "
                + "which any number may hold. Leave the option out, or give a .csv, .tsv or .jsonl file.");
        }
        if (options.TextPairColumn is not null && IsMovieReviews(path))
        {
            throw new InputException($"{path}: option 'text-pair-column' names a column, and a folder or an archive of "
                + "movie reviews has none. Leave the option out, or give a .csv, .tsv or .jsonl file.");
        }
        if (Directory.Exists(path))
        {
            return ResolveReviews(path, MovieReviews.ReadFolder(path, split, options), options);
        }
        var kind = KindOf(path);
        if (kind == ".tar")
        {
            using var archive = Open(path);
            return ResolveReviews(path, MovieReviews.ReadTar(archive, path, split, options), options);
        }
        var (rows, columns) = ReadRows(path, kind, options, withLabels: true);
        return Resolve(path, rows, columns);
    }

    /// <summary>
    /// Reads all labelled texts: of the movie reviews both halves in the order of the tutorials'
    /// script (test before train, pos before neg, then by file name); a single file as it is.
    /// </summary>
    /// <inheritdoc cref="Load(string, DatasetSplit, DatasetOptions?)"/>
    internal static TextDataset LoadAll(string path, DatasetOptions? options = null)
    {
        if (!IsMovieReviews(path))
        {
            return Load(path, options: options);
        }
        TextDataset[] halves = [Load(path, DatasetSplit.Test, options), Load(path, DatasetSplit.Train, options)];
        return new TextDataset(halves.SelectMany(half => half.Examples.OrderByDescending(example => example.Label)),
            halves[0].Labels, path)
        {
            Incomplete = halves[0].Incomplete.Then(halves[1].Incomplete),
        };
    }

    /// <summary>
    /// Whether a path is read as the movie reviews, which come in two halves: a folder or a tar
    /// archive.
    /// </summary>
    internal static bool IsMovieReviews(string path) =>
        Directory.Exists(path) || new[] { ".tar", ".tar.gz",
            ".tgz" }.Any(end => path.EndsWith(end, StringComparison.OrdinalIgnoreCase));

    /// <summary>
    /// Reads texts one by one from a .csv, .tsv or .jsonl file (also with .gz), as
    /// <see cref="Load(string)"/> does; labels are neither needed nor read.
    /// </summary>
    /// <param name="path">The file.</param>
    /// <param name="options">Its text column, and what becomes of rows without a text.</param>
    /// <exception cref="InputException">
    /// As from <see cref="Load(string)"/>, where the row in question comes; rows without a text are
    /// refused together, at the end.
    /// </exception>
    internal static IEnumerable<TextExample> ReadTexts(string path, DatasetOptions? options = null) =>
        OpenTexts(path, options ?? new DatasetOptions(), carries: false).Texts;

    private static string KindOf(string path)
    {
        var kind = Path.GetExtension(path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase) ? path[..^3] : path)
            .ToLowerInvariant();
        if (!File.Exists(path))
        {
            throw new InputException($"{path}: there is no such file or folder.");
        }
        return kind switch
        {
            ".tgz" => ".tar",
            ".tar" or ".csv" or ".tsv" or ".jsonl" => kind,
            _ => throw new InputException($"{path}: the kind of this file is not known by its name. Expected is .csv, "
                + ".tsv or .jsonl (each also with .gz), "
                + ".tar.gz, or a folder with the layout of the movie reviews."),
        };
    }

    private static Stream Open(string path)
    {
        var file = File.OpenRead(path);
        RequireNoPointer(path, file);
        return path.EndsWith(".gz", StringComparison.OrdinalIgnoreCase)
            || path.EndsWith(".tgz", StringComparison.OrdinalIgnoreCase) ? new CheckedGZipStream(file) : file;
    }

    /// <summary>
    /// Refuses what a Git repository has in the place of a large file that was not fetched.
    /// </summary>
    private static void RequireNoPointer(string path, FileStream file)
    {
        Span<byte> start = stackalloc byte[OtherFile.GitPointerBytes];
        var read = file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        file.Position = 0;
        if (OtherFile.IsGitPointer(start[..read]))
        {
            file.Dispose();
            throw new InputException($"{path}: this is {OtherFile.GitPointer}");
        }
    }

    /// <summary>The rows of a file, and the options with the columns that they are of.</summary>
    private static (IEnumerable<RawExample> Rows, DatasetOptions Options) ReadRows(string path, string kind,
        DatasetOptions options, bool withLabels, bool carries = false)
    {
        var finder = new ColumnFinder(Opened, path, options, withLabels);
        if (kind != ".jsonl")
        {
            var format = new DelimitedSniffer(Opened, path, kind == ".tsv" ? '\t' : ',', options).Sniff();
            var columns = finder.InDelimited(format);
            if (carries)
            {
                columns = columns with
                {
                    Separator = format.Separator,
                    Carried = Carried(path, options.Carried, DelimitedReader.Columns(Opened, path, format, options)),
                };
            }
            return (DelimitedReader.Read(Opened, path, format, columns, withLabels), columns);
        }
        var properties = finder.InJsonLines();
        if (carries)
        {
            using var stream = Open(path);
            properties = properties with
            {
                Carried = Carried(path, options.Carried, JsonLinesReader.Columns(stream, path, options)),
            };
        }
        return (JsonLines(), properties);

        Stream Opened() => Open(path);

        IEnumerable<RawExample> JsonLines()
        {
            using var stream = Open(path);
            foreach (var row in JsonLinesReader.Read(stream, path, properties, withLabels))
            {
                yield return row;
            }
        }
    }

    // The folders are called neg and pos; a model may have other names for its two classes, and then they are its first
    // and its second.
    private static TextDataset ResolveReviews(string path, List<RawExample> rows, DatasetOptions options)
    {
        var labels = options.Labels ?? LabelSet.Sentiment;
        if (!labels.TryFind("neg", out var negative) || !labels.TryFind("pos", out var positive))
        {
            if (labels.Count != 2)
            {
                throw new InputException($"{path}: the movie reviews have the two classes neg and pos, and the model "
                    + $"has {labels.Count}: {labels}.");
            }
            (negative, positive) = (0, 1);
        }
        var incomplete = new IncompleteRows(path);
        return new TextDataset(incomplete.Without(rows, options, needsLabels: true).Select(row =>
            new TextExample(row.Text!, row.Label == "neg" ? negative : positive, row.Origin)), labels, path)
        {
            Incomplete = incomplete,
        };
    }

    private static TextDataset Resolve(string path, IEnumerable<RawExample> all, DatasetOptions options)
    {
        var incomplete = new IncompleteRows(path);
        RawExample[] rows = [.. incomplete.Without(all, options, needsLabels: true)];
        if (rows.Length == 0)
        {
            throw incomplete.Count > 0 ? incomplete.Refused()
                : new InputException($"{path}: there is no example in it.");
        }
        try
        {
            return ResolveLabels(path, rows, options, incomplete);
        }
        catch (InputException e) when (options.EmptyRows == EmptyRows.Report && incomplete.Count > 0)
        {
            // what the other rows lack may be the reason
            throw new InputException($"{e.Message} Besides: {incomplete.Refused().Message}");
        }
    }

    private static TextDataset ResolveLabels(string path, RawExample[] rows, DatasetOptions options,
        IncompleteRows incomplete)
    {
        if (options.IsMultiLabel || options.LabelColumns is not null)
        {
            var (known, sets) = LabelSets.Resolve(path, options, rows);
            return new TextDataset(rows.Select((row, i) => new TextExample(row.Text!, TextExample.NoLabel, row.Origin)
            {
                Line = row.Line,
                TextPair = row.TextPair,
                Classes = sets[i],
            }), known, path)
            {
                Incomplete = incomplete,
            };
        }
        var (classes, labels) = LabelColumn.Resolve(path, options, rows);
        return new TextDataset(rows.Select((row, i) => new TextExample(row.Text!, labels[i], row.Origin)
        {
            Line = row.Line,
            TextPair = row.TextPair,
        }), classes, path)
        {
            Incomplete = incomplete,
        };
    }
}
