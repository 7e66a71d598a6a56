using System.Diagnostics;
using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Benchmarks;

/// <summary>
/// Texts per second of one classifier that many threads ask at once, one text a call, beside those
/// of one thread. Every round measures every number of callers in turn, so that a machine that
/// drifts drifts for all of them.
/// </summary>
internal static class CallersCommand
{
    private static readonly int[] Callers = [1, 2, 8, 64];

    public static int Run(string[] args)
    {
        var options = new Arguments(args);
        Backends.Threads = options.Number("threads", 2);
        using var backend = Backends.Open(options.Text("device", Backends.Cpu));
        Device.Default = backend;
        var (words, calls, rounds) =
            (options.Number("words", 30), options.Number("calls", 512), options.Number("rounds", 7));
        options.RequireAllUsed();
        var classifier = new TextClassifier(PretrainedBase.Load(seed: 1));
        var texts = Enumerable.Range(0, 64).Select(i => Text(classifier, words, i)).ToArray();
        Measure(classifier, texts, callers: 1, calls);                                  // the code is compiled here
        var rates = Callers.ToDictionary(callers => callers, _ => new List<double>());
        for (var round = 0; round < rounds; round++)
        {
            foreach (var callers in Callers)
            {
                rates[callers].Add(Measure(classifier, texts, callers, calls));
            }
        }
        Console.WriteLine(
            $"{backend.Description}; {words} words a text, {calls} calls of one text, medians of {rounds} rounds");
        foreach (var callers in Callers)
        {
            var share = rates[callers].Zip(rates[1], (many, one) => many / one);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{callers,3} callers  {Median(rates[callers]),7:F0} texts/s  {Median(share):F2} × one caller"));
        }
        return 0;
    }

    private static double Measure(TextClassifier classifier, string[] texts, int callers, int calls)
    {
        var taken = 0;
        using var start = new Barrier(callers + 1);                                     // threads that exist already
        var threads = Enumerable.Range(0, callers).Select(_ => new Thread(() =>
        {
            start.SignalAndWait();
            for (var call = Interlocked.Increment(ref taken); call <= calls; call = Interlocked.Increment(ref taken))
            {
                classifier.Predict([texts[call % texts.Length]]).ToArray();
            }
        })).ToArray();
        foreach (var thread in threads)
        {
            thread.Start();
        }
        start.SignalAndWait();
        var clock = Stopwatch.StartNew();
        foreach (var thread in threads)
        {
            thread.Join();
        }
        return calls / clock.Elapsed.TotalSeconds;
    }

    /// <summary>Whole words of the vocabulary.</summary>
    private static string Text(TextClassifier classifier, int words, int seed)
    {
        var random = new Random(seed);
        var vocabulary = Enumerable.Range(0, classifier.Tokenizer.VocabularySize)
            .Select(classifier.Tokenizer.TokenOf)
            .Where(piece => piece.Length > 2 && piece.All(char.IsAsciiLetterLower)).ToArray();
        return string.Join(' ', Enumerable.Range(0, words).Select(_ => vocabulary[random.Next(vocabulary.Length)]));
    }

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToArray();
        return sorted[sorted.Length / 2];
    }
}
