using System.Formats.Tar;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Data;

/// <summary>
/// The layout of the Large Movie Review Dataset (Maas et al., "Learning word vectors for sentiment
/// analysis", ACL 2011): <c>{train,test}/{neg,pos}/NAME.txt</c>, one review per file, as a folder
/// or in a tar archive. The order is that of the labels and then of the file names by character
/// code, the same for both. Everything else, such as <c>unsup</c>, is left alone.
/// </summary>
internal static class MovieReviews
{
    private static readonly string[] Classes = ["neg", "pos"];

    /// <param name="folder">
    /// The folder that has train and test, or the one above it with aclImdb.
    /// </param>
    /// <param name="split">Which of the two.</param>
    /// <param name="options">Its limit of bytes holds for each file.</param>
    public static List<RawExample> ReadFolder(string folder, DatasetSplit split, DatasetOptions options)
    {
        var half = Array.Find([Path.Combine(folder, Name(split)), Path.Combine(folder, "aclImdb", Name(split))],
            Directory.Exists)
            ?? throw new InputException($"{folder}: this folder has no '{Name(split)}' in it. {Expected(split)}");
        var examples = new List<RawExample>();
        foreach (var label in Classes)
        {
            var files = Directory.Exists(Path.Combine(half, label))
                ? Directory.GetFiles(Path.Combine(half, label), "*.txt") : [];
            Array.Sort(files, StringComparer.Ordinal);
            foreach (var file in files)
            {
                using var stream = File.OpenRead(file);
                examples.Add(Read(stream, half, label, Path.GetFileName(file), options));
            }
        }
        return examples.Count > 0 ? examples
            : throw new InputException($"{half}: there are no reviews in 'neg' and 'pos'. {Expected(split)}");
    }

    /// <param name="archive">The archive, decompressed.</param>
    /// <param name="path">Its name.</param>
    /// <param name="split">Which half.</param>
    /// <param name="options">Its limit of bytes holds for each entry.</param>
    public static List<RawExample> ReadTar(Stream archive, string path, DatasetSplit split, DatasetOptions options)
    {
        var examples = new List<RawExample>();
        var entryName = "the start";
        try
        {
            using var tar = new TarReader(archive, leaveOpen: true);
            while (tar.GetNextEntry() is { } entry)
            {
                entryName = entry.Name;
                if (Place(entry.Name, split) is var (label, file) && entry.DataStream is { } stream)
                {
                    examples.Add(Read(stream, path, label, file, options));
                }
            }
            // to the end: a cut or damaged archive shows there
            archive.CopyTo(Stream.Null);
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or FormatException)
        {
            throw new InputException(
                $"{path}, after {entryName}: the archive is damaged or cut off. Copy or download it again.");
        }
        if (examples.Count == 0)
        {
            throw new InputException($"{path}: the archive has no {Name(split)}/neg/*.txt and no "
                + $"{Name(split)}/pos/*.txt. {Expected(split)}");
        }
        examples.Sort((x, y) => string.CompareOrdinal(x.Origin, y.Origin));
        for (var i = 1; i < examples.Count; i++)
        {
            if (examples[i].Origin == examples[i - 1].Origin)
            {
                throw new InputException($"{path}: the archive has {Name(split)}/{examples[i].Origin} twice.");
            }
        }
        return examples;
    }

    // "aclImdb/train/pos/0_9.txt" → ("pos", "0_9.txt")
    private static (string Label, string File)? Place(string entryName, DatasetSplit split)
    {
        var parts = entryName.Split('/');
        return parts.Length >= 3 && parts[^3] == Name(split) && Classes.Contains(parts[^2])
            && parts[^1].EndsWith(".txt", StringComparison.Ordinal)
            ? (parts[^2], parts[^1])
            : null;
    }

    private static RawExample Read(Stream stream, string source, string label, string file, DatasetOptions options)
    {
        var origin = $"{label}/{file}";
        if (stream.Length > options.MaxLineBytes)
        {
            throw new InputException($"{source}, {origin}: the review has {stream.Length:N0} bytes, and at most "
                + $"{options.MaxLineBytes:N0} are read.");
        }
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return new RawExample(RawExample.Decode(bytes, source, origin), label, origin);
    }

    private static string Name(DatasetSplit split) => split == DatasetSplit.Train ? "train" : "test";

    private static string Expected(DatasetSplit split) =>
        $"Expected is the layout of the movie reviews: {Name(split)}/neg/*.txt and {Name(split)}/pos/*.txt; or name "
            + "a .csv, .tsv or .jsonl file.";
}
