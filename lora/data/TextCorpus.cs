using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Data;

/// <summary>What became of the texts of one file or folder.</summary>
/// <param name="Path">The file or folder.</param>
/// <param name="Read">Texts in it.</param>
/// <param name="Kept">Texts that are used.</param>
/// <param name="Excluded">Texts left out because they stand in the excluded data as well.</param>
/// <param name="ExcludedDistinct">The same, each distinct text counted once.</param>
/// <param name="Repeated">Texts left out because the same text came before.</param>
internal sealed record CorpusSource(string Path, int Read, int Kept, int Excluded, int ExcludedDistinct, int Repeated)
{
    /// <summary>
    /// "50,000 texts; 266 (266 distinct) also in the excluded data, 486 repeats: 49,248 kept"
    /// </summary>
    public string Describe() => string.Create(CultureInfo.InvariantCulture,
        $"{Read:N0} texts; {Excluded:N0} ({ExcludedDistinct:N0} distinct) also in the excluded data, {Repeated:N0} "
            + $"repeats: {Kept:N0} kept");
}

/// <summary>
/// Texts without labels from any number of files and folders, each distinct text once, without
/// those that stand in other data. Two texts are the same when they differ in white space only.
/// </summary>
internal sealed class TextCorpus
{
    private TextCorpus(IReadOnlyList<string> texts, IReadOnlyList<CorpusSource> sources, int excludedTexts) =>
        (Texts, Sources, ExcludedTexts) = (texts, sources, excludedTexts);

    /// <summary>The texts, in the order of the files.</summary>
    public IReadOnlyList<string> Texts { get; }

    /// <summary>What became of each file or folder, in their order.</summary>
    public IReadOnlyList<CorpusSource> Sources { get; }

    /// <summary>Distinct texts of the data that was to be excluded.</summary>
    public int ExcludedTexts { get; }

    /// <summary>
    /// Reads texts. Of the movie reviews (a folder or .tar.gz) the half train is data, and the half
    /// test is what is excluded; a single file is read whole.
    /// </summary>
    /// <param name="data">
    /// Files and folders as for <see cref="TextDataset.Load(string)"/>; labels are not needed.
    /// </param>
    /// <param name="exclude">Texts that must not be used, in the same formats.</param>
    /// <param name="options">
    /// The text column, how files are written, and what becomes of rows without a text.
    /// </param>
    /// <exception cref="InputException">A file cannot be read, or no text is left.</exception>
    public static TextCorpus Load(IReadOnlyList<string> data, IReadOnlyList<string> exclude,
        DatasetOptions? options = null)
    {
        var excluded = exclude.SelectMany(path => Read(path, DatasetSplit.Test, options)).Select(Fingerprint)
            .ToHashSet();
        var (texts, sources) = (new List<string>(), new List<CorpusSource>());
        var (seen, seenExcluded) = (new HashSet<UInt128>(), new HashSet<UInt128>());
        foreach (var path in data)
        {
            var (kept, left, repeated) = (texts.Count, 0, 0);
            seenExcluded.Clear();
            foreach (var text in Read(path, DatasetSplit.Train, options))
            {
                var fingerprint = Fingerprint(text);
                if (excluded.Contains(fingerprint))
                {
                    left++;
                    seenExcluded.Add(fingerprint);
                }
                else if (!seen.Add(fingerprint))
                {
                    repeated++;
                }
                else
                {
                    texts.Add(text);
                }
            }
            kept = texts.Count - kept;
            sources.Add(new CorpusSource(path, kept + left + repeated, kept, left, seenExcluded.Count, repeated));
        }
        if (texts.Count == 0)
        {
            throw new InputException("Option 'data': no text is left of "
                + $"{string.Join(", ", sources.Select(source => $"{source.Path} ({source.Describe()})"))}. Give "
                + "other data, or exclude less.");
        }
        return new TextCorpus(texts, sources, excluded.Count);
    }

    private static IEnumerable<string> Read(string path, DatasetSplit split, DatasetOptions? options) =>
        (TextDataset.IsMovieReviews(path) ? TextDataset.Load(path, split, options).Examples
            : TextDataset.ReadTexts(path, options)).Select(example => example.Text);

    /// <summary>
    /// 128 bits of the SHA-256 of the text with every run of white space as one space: two texts
    /// that differ elsewhere never share it in practice.
    /// </summary>
    internal static UInt128 Fingerprint(string text)
    {
        var normal = new char[text.Length];
        var length = 0;
        foreach (var letter in text)
        {
            if (!char.IsWhiteSpace(letter))
            {
                normal[length++] = letter;
            }
            else if (length > 0 && normal[length - 1] != ' ')
            {
                normal[length++] = ' ';
            }
        }
        if (length > 0 && normal[length - 1] == ' ')
        {
            length--;
        }
        return MemoryMarshal.Read<UInt128>(SHA256.HashData(MemoryMarshal.AsBytes(normal.AsSpan(0, length))));
    }
}
