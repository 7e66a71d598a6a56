using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Cli;

/// <summary>lora vocabulary: a vocab.txt learned from texts.</summary>
internal sealed class VocabularyCommand
{
    private const int TextsBetweenLines = 20_000, PiecesBetweenLines = 2_048;

    private readonly CorpusOptions corpus = new();
    private readonly Option<int> size =
        OptionKinds.Whole("--size", "Entries of the vocabulary, special tokens included.", 8000);
    private readonly Option<int> minimum = OptionKinds.Whole("--min-frequency", "A character or pair of pieces that "
        + "comes less often becomes no piece.", 2);
    private readonly Option<int> alphabet = OptionKinds.Whole("--alphabet", "Distinct characters at most, the most "
        + "frequent ones; words with others are [UNK].", 1000);
    private readonly Option<double> heldOut = OptionKinds.Number("--held-out", "Share of the texts that the "
        + "vocabulary is not learned from but measured on.", 0.01);
    private readonly OutputOptions output = new("FILE", "Where the vocabulary goes.");

    public static Command Create()
    {
        var vocabulary = new VocabularyCommand();
        var command = new ExampleCommand("vocabulary",
            "Learns an uncased WordPiece vocabulary from texts: common words whole, the rest in pieces. Pairs are "
                + "joined by frequency.",
            "lora vocabulary --data reviews.csv --size 8000 --out vocab.txt",
            "lora vocabulary --data unlabelled.jsonl.gz aclImdb --exclude aclImdb --size 8000 --out vocab.txt");
        vocabulary.corpus.AddTo(command);
        foreach (var option in (Option[])[vocabulary.size, vocabulary.minimum, vocabulary.alphabet, vocabulary.heldOut])
        {
            command.Add(option);
        }
        vocabulary.output.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.Run(() => vocabulary.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var options = new VocabularyOptions(parsed.GetValue(size), parsed.GetValue(minimum), parsed.GetValue(alphabet));
        options.Check();
        var (share, file) = (parsed.GetValue(heldOut), output.Path(parsed)!);
        if (share is < 0 or > 0.5)
        {
            throw new InputException(
                string.Create(CultureInfo.InvariantCulture, $"--held-out is {share}; expected a share from 0 to 0.5."));
        }
        using var reserved = output.Reserve(parsed, AtomicFile.Reserve, corpus.Inputs(parsed));
        var clock = Stopwatch.StartNew();
        var texts = corpus.Load(parsed).Texts;
        // Every so many-th text is held out, so that each file gives its share.
        var learned = texts.Where((_, i) => !IsHeldOut(i, share)).ToList();
        var words = CountWords(learned, cancellation);
        var pieces = VocabularyTrainer.Train(words, options, count => Report(count, options.Size, clock), cancellation);
        var tokenizer = WordPieceTokenizer.FromVocabulary(pieces);
        tokenizer.SaveVocabulary(file);
        Console.WriteLine($"{Text.Count(pieces.Count)} pieces in {file}, learned from {Text.Count(learned.Count)} "
            + $"texts with {Text.Count(words.Values.Sum())} words ({Text.Count(words.Count)} distinct) in "
            + $"{Text.Duration(clock.Elapsed.TotalSeconds)}."
            + (pieces.Count < options.Size ? $" No more pairs come {options.MinimumFrequency} times." : ""));
        if (learned.Count < texts.Count)
        {
            Console.WriteLine(Describe(
                VocabularyCoverage.Measure(tokenizer, texts.Where((_, i) => IsHeldOut(i, share))),
                    texts.Count - learned.Count));
        }
        return 0;
    }

    private static bool IsHeldOut(int number, double share) =>
        Math.Floor((number + 1) * share) > Math.Floor(number * share);

    private static IReadOnlyDictionary<string, long> CountWords(List<string> texts, CancellationToken cancellation)
    {
        var counter = new WordCounter(texts);
        for (var i = 0; i < texts.Count; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            counter.Add(texts[i]);
            if ((i + 1) % TextsBetweenLines == 0 || i + 1 == texts.Count)
            {
                Console.Error.WriteLine($"words counted in {Text.Count(i + 1)} of {Text.Count(texts.Count)} texts: "
                    + $"{Text.Count(counter.Counts.Count)} distinct");
            }
        }
        return counter.Counts;
    }

    private static void Report(int pieces, int size, Stopwatch clock)
    {
        if (pieces % PiecesBetweenLines == 0)
        {
            Console.Error.WriteLine(
                $"{Text.Count(pieces)} of {Text.Count(size)} pieces after {Text.Duration(clock.Elapsed.TotalSeconds)}");
        }
    }

    private static string Describe(VocabularyCoverage coverage, int texts) =>
        string.Create(CultureInfo.InvariantCulture,
        $"On {Text.Count(texts)} texts held out: {coverage.TokensPerWord:F4} tokens per word, "
            + $"{coverage.WholeShare * 100:F2} % of the words whole, {coverage.UnknownShare * 100:F4} % of the "
            + $"tokens [UNK].");
}
