using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using LoraScratch.Cli.Tables;
using LoraScratch.Lora.Classification;

namespace LoraScratch.Cli;

/// <summary>lora evaluate: how a model does on labelled texts.</summary>
internal static class EvaluateCommand
{
    public static Command Create()
    {
        var model = new TaskOptions();
        var measurement = new MeasurementOptions(required: true);
        var json = new Option<bool>("--json")
        {
            Description =
            "One JSON object on standard output; one per line where there are several adapters."
        };
        var device = new DeviceOptions();
        var command = new ExampleCommand("evaluate",
            "Accuracy, loss, confusion matrix and speed of a model on labelled texts.",
            "lora evaluate --adapter my-adapter --data test.csv",
                "lora evaluate --model my-model --adapter my-adapter --data test.csv --json");
        model.AddTo(command);
        measurement.AddTo(command);
        command.Add(json);
        device.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var batchSize = measurement.BatchSize(parsed);
            using var backend = device.Open(parsed);
            var (classifier, tasks) = model.Load(parsed, backend);
            foreach (var task in tasks)
            {
                Evaluate(task);
            }
            return Task.FromResult(0);

            void Evaluate(ClassifierTask task)
            {
                if (task.Adapter is not null)
                {
                    classifier.AnswerBy(task.Adapter);
                }
                var encoded = measurement.Encode(parsed, classifier);
                var result = classifier.Evaluate(encoded.Examples, batchSize, cancellation,
                    Progress(encoded.Examples.Count));
                if (parsed.GetValue(json))
                {
                    Console.WriteLine(Json(task.Name, result, encoded.Truncated, classifier.Labels));
                }
                else
                {
                    Console.Write(task.Name is null ? "" : $"{task.Name}:\n");
                    Print(result, classifier.Labels);
                }
            }
        });
        return command;
    }

    private static string Json(string? task, Evaluation result, int truncated, IReadOnlyList<string> labels)
    {
        var entries = new OrderedDictionary<string, object>();
        if (task is not null)
        {
            entries["adapter"] = task;
        }
        entries["accuracy"] = result.Accuracy;
        entries["loss"] = result.Loss;
        entries["texts"] = result.Count;
        entries["truncated"] = truncated;
        entries["tokens"] = result.Tokens;
        entries["seconds"] = result.Seconds;
        entries["tokens_per_second"] = result.TokensPerSecond;
        entries["labels"] = labels;
        entries["classes"] = labels.Zip(result.Classes).ToDictionary(entry => entry.First, entry => Json(entry.Second));
        entries["micro"] = Json(result.Micro);
        entries["macro_f1"] = result.MacroF1;
        if (result.Confusion is { } confusion)
        {
            entries["confusion"] = confusion;
        }
        else
        {
            entries["hamming_loss"] = result.HammingLoss;
        }
        return JsonSerializer.Serialize(entries, JsonOutput.Options);
    }

    private static object Json(ClassScore score) =>
        new { precision = score.Precision, recall = score.Recall, f1 = score.F1, support = score.Support };

    /// <summary>Says every few seconds on standard error how far the work is.</summary>
    private static Action<int> Progress(int texts)
    {
        const double SecondsBetweenLines = 5;
        var clock = Stopwatch.StartNew();
        var said = 0.0;
        return done =>
        {
            var seconds = clock.Elapsed.TotalSeconds;
            if (done < texts && seconds - said >= SecondsBetweenLines)
            {
                said = seconds;
                Console.Error.WriteLine($"{Text.Count(done)} of {Text.Count(texts)} texts  "
                    + $"{Text.Duration(seconds * (texts - done) / done)} left");
            }
        };
    }

    private static void Print(Evaluation result, IReadOnlyList<string> labels)
    {
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"accuracy {Text.Percent(result.Accuracy)}  ({Text.Count(result.Correct)} of {Text.Count(result.Count)})"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"loss     {result.Loss:F4}"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"speed    {result.TokensPerSecond:N0} tokens/s, {Text.Duration(result.Seconds)}"));
        if (result.Confusion is not { } confusion)
        {
            PrintClasses(result, labels);
            return;
        }
        Console.WriteLine();
        ConfusionTable.Print(confusion, labels, Console.Out);
    }

    /// <summary>How each class does where any number of them may hold.</summary>
    private static void PrintClasses(Evaluation result, IReadOnlyList<string> labels)
    {
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"Hamming loss {result.HammingLoss:F4}; accuracy counts texts of which every class is right"));
        var width = Math.Clamp(labels.Max(Columns.Of) + 2, 14, Columns.Screen - 44);
        Console.WriteLine($"\n{"class".PadRight(width)}{"precision",11}{"recall",11}{"F1",11}{"support",11}");
        foreach (var (name, score) in labels.Zip(result.Classes).Append(("all (micro)", result.Micro)))
        {
            Console.WriteLine($"{Columns.Left(name, width)}{Text.Percent(score.Precision),11}"
                + $"{Text.Percent(score.Recall),11}{Text.Percent(score.F1),11}{Text.Count(score.Support),11}");
        }
        Console.WriteLine($"{"mean (macro)".PadRight(width)}{"",22}{Text.Percent(result.MacroF1),11}");
    }
}
