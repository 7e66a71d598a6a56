using System.Diagnostics;
using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Benchmarks;

/// <summary>
/// Texts per second of one classifier that many callers ask at once, one text a call: by threads
/// that wait (<see cref="TextClassifier.Predict(string, string?, int?)"/>, a text at a time) and by
/// callers that do not block (<see cref="TextClassifier.PredictAsync(TextInput, CancellationToken,
/// int?)"/>, whose texts are computed together). Every round measures every number of callers both
/// ways in turn, so that a machine that drifts drifts for all of them.
/// </summary>
internal static class CallersCommand
{
    private static readonly int[] Callers = [1, 8, 64];

    public static int Run(string[] args)
    {
        var options = new Arguments(args);
        Backends.Threads = options.Number("threads", 2);
        using var backend = Backends.Open(options.Text("device", Backends.Cpu));
        Device.Default = backend;
        var (words, calls, rounds) =
            (options.Number("words", 30), options.Number("calls", 512), options.Number("rounds", 7));
        var model = options.Text("model", "");
        options.RequireAllUsed();
        using var classifier = model.Length > 0 ? TextClassifier.Load(model, labels: ["a", "b"])
            : new TextClassifier(PretrainedBase.Load(seed: 1));
        var texts = Enumerable.Range(0, 64).Select(i => Text(classifier, words, i)).ToArray();
        var expected = Array.ConvertAll(texts, text => classifier.Predict(text).Logits);
        var ways = (from callers in Callers from batched in new[] { false, true } select (callers, batched)).ToArray();
        foreach (var (_, batched) in ways.Take(2))
        {
            Measure(1, batched);                                                        // the code is compiled here
        }
        var rates = ways.ToDictionary(way => way, _ => new List<double>());
        for (var round = 0; round < rounds; round++)
        {
            foreach (var way in ways)
            {
                rates[way].Add(Measure(way.callers, way.batched));
            }
        }
        Console.WriteLine(
            $"{backend.Description}; {words} words a text, {calls} calls of one text, medians of {rounds} rounds");
        foreach (var way in ways)
        {
            var share = rates[way].Zip(rates[ways[0]], (many, one) => many / one);
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{way.callers,3} callers, {(way.batched ? "in batches" : "text by text"),-12}  "
                + $"{Median(rates[way]),7:F0} texts/s  {Median(share):F2} × one caller text by text"));
        }
        Console.WriteLine($"peak memory {StepCommand.PeakMiB()} MiB");
        return 0;

        double Measure(int callers, bool batched)
        {
            var taken = 0;
            var clock = batched ? Ask(callers, async () =>
            {
                for (var call = Next(); call < calls; call = Next())
                {
                    Check(call, await classifier.PredictAsync(texts[call % texts.Length]));
                }
            }) : Block(callers, () =>
            {
                for (var call = Next(); call < calls; call = Next())
                {
                    Check(call, classifier.Predict(texts[call % texts.Length]));
                }
            });
            return calls / clock.TotalSeconds;

            int Next() => Interlocked.Increment(ref taken) - 1;
        }

        void Check(int call, Prediction found)
        {
            if (!found.Logits.SequenceEqual(expected[call % texts.Length]))
            {
                throw new InvalidOperationException("A caller got other bits than it gets alone.");
            }
        }
    }

    /// <summary>The time that callers take who do not block.</summary>
    private static TimeSpan Ask(int callers, Func<Task> caller)
    {
        var clock = Stopwatch.StartNew();
        Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(caller))).GetAwaiter().GetResult();
        return clock.Elapsed;
    }

    /// <summary>The time that callers take who have a thread each.</summary>
    private static TimeSpan Block(int callers, Action caller)
    {
        using var start = new Barrier(callers + 1);                                     // threads that exist already
        var threads = Enumerable.Range(0, callers).Select(_ => new Thread(() =>
        {
            start.SignalAndWait();
            caller();
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
        return clock.Elapsed;
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
