using System.Globalization;
using System.Text;
using BenchmarkDotNet.Attributes;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using FastBertTokenizer;
using LoraScratch.Engine;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Benchmarks;

/// <summary>
/// How fast is WordPiece? Generated words over a generated vocabulary of BERT's size, beside the
/// package FastBertTokenizer, and by the general tokenizer that reads any tokenizer.json.
/// </summary>
public class TokenizerSpeed
{
    /// <summary>Of text in UTF-8, in every call.</summary>
    internal const int Bytes = 1_000_000;

    private const int MaxLength = 2048;                                 // more than a text has
    private const int VocabularySize = 30_000, ReviewLength = 1300;     // about that of a movie review

    private readonly List<string> texts = [];
    private WordPieceTokenizer? tokenizer;
    private PipelineTokenizer? pipeline;
    private BertTokenizer? other;

    /// <summary>True: letters are lowered and accents stripped.</summary>
    [Params(true, false)]
    public bool Uncased { get; set; }

    /// <summary>
    /// Generates pieces from syllables, and words from pieces: about every third word is in the
    /// vocabulary, the others take two or three pieces.
    /// </summary>
    [GlobalSetup]
    public void SetUp()
    {
        var random = new RandomStream(1);
        var letters = Enumerable.Range('a', 26).Select(letter => ((char)letter).ToString()).ToArray();
        var pieces = new HashSet<string>(
            ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ".", ",", .. letters, .. letters.Select(letter => "##" + letter)]);
        while (pieces.Count < VocabularySize)
        {
            pieces.Add((random.NextBelow(4) == 0 ? "##" : "") + Syllables(random, 1 + random.NextBelow(3)));
        }
        tokenizer = WordPieceTokenizer.FromVocabulary(pieces, Uncased);
        var path = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.json");
        tokenizer.SaveJson(path);
        pipeline = PipelineTokenizer.Parse(path, File.ReadAllBytes(path));
        File.Delete(path);
        other = new BertTokenizer();
        other.LoadVocabulary(new StringReader(string.Join('\n', pieces)), convertInputToLowercase: Uncased);
        var words = pieces.Where(piece => char.IsLetter(piece[0])).ToArray();
        var text = new StringBuilder();
        for (var left = Bytes; left > 0;)
        {
            while (text.Length < Math.Min(ReviewLength, left))
            {
                var word = words[random.NextBelow(words.Length)]
                    + (random.NextBelow(3) == 0 ? "" : Syllables(random, 1));
                text.Append(random.NextBelow(10) == 0 ? char.ToUpperInvariant(word[0]) + word[1..] : word)
                    .Append(random.NextBelow(12) == 0 ? ". " : " ");
            }
            texts.Add(text.ToString(0, Math.Min(ReviewLength, left)));
            left -= texts[^1].Length;                       // ASCII: a character is a byte
            text.Clear();
        }
    }

    [Benchmark(Description = "FastBertTokenizer")]
    public int Others()
    {
        var count = 0;
        foreach (var text in texts)
        {
            count += other!.Encode(text, MaxLength).InputIds.Length;
        }
        return count;
    }

    [Benchmark(Description = "PipelineTokenizer")]
    public int General()
    {
        var count = 0;
        foreach (var text in texts)
        {
            count += pipeline!.EncodeIds(text, second: null, MaxLength).Ids.Length;
        }
        return count;
    }

    [Benchmark(Description = "WordPieceTokenizer")]
    public int EncodeIds()
    {
        var count = 0;
        foreach (var text in texts)
        {
            count += tokenizer!.EncodeIds(text, MaxLength).Length;
        }
        return count;
    }

    private static string Syllables(RandomStream random, int count)
    {
        const string consonants = "bcdfghklmnprstvw", vowels = "aeiou";
        return string.Concat(Enumerable.Range(0, count)
            .Select(_ =>
                $"{consonants[random.NextBelow(consonants.Length)]}{vowels[random.NextBelow(vowels.Length)]}"
                    + $"{consonants[random.NextBelow(consonants.Length)]}"));
    }
}

/// <summary>Text read in a second, for <see cref="TokenizerSpeed"/>.</summary>
internal sealed class TextRateColumn : IColumn
{
    public string Id => nameof(TextRateColumn);
    public string ColumnName => "MB/s";
    public string Legend => "10⁶ bytes of UTF-8 text in a second";
    public bool AlwaysShow => true;
    public ColumnCategory Category => ColumnCategory.Custom;
    public int PriorityInCategory => 0;
    public bool IsNumeric => true;
    public UnitType UnitType => UnitType.Dimensionless;

    public bool IsAvailable(Summary summary) =>
        summary.BenchmarksCases.Any(benchmark => benchmark.Descriptor.Type == typeof(TokenizerSpeed));

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase) =>
        GetValue(summary, benchmarkCase, SummaryStyle.Default);

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style) =>
        summary[benchmarkCase]?.ResultStatistics is { } statistics
        ? (TokenizerSpeed.Bytes * 1e3 / statistics.Median).ToString("F1", CultureInfo.InvariantCulture) : "NA";
}
