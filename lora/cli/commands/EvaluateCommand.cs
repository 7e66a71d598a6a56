using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using LoraScratch.Cli.Tables;
using LoraScratch.Engine.IO;
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
        var errors = new ErrorsOption();
        var calibration = OptionKinds.Path("--reliability", "FILE.svg", "Draws accuracy against probability: on the "
            + "diagonal a probability of 0.8 is right in 80 % of the cases.");
        var files = new SideFileOptions(errors.File, calibration);
        var device = new DeviceOptions();
        var command = new ExampleCommand("evaluate",
            "Accuracy, loss, confusion matrix, precision, recall and F1 by class, calibration and speed of a model on "
                + "labelled texts.",
            "lora evaluate --adapter my-adapter --data test.csv",
                "lora evaluate --model my-model --adapter my-adapter --data test.csv --json",
                "lora evaluate --adapter my-adapter --data test.csv --errors wrong.csv --reliability reliability.svg");
        model.AddTo(command);
        measurement.AddTo(command);
        command.Add(json);
        files.AddTo(command);
        device.AddTo(command);
        command.SetAction((parsed, cancellation) =>
        {
            var batchSize = measurement.BatchSize(parsed);
            var picture = parsed.GetValue(calibration) is { } path ? new CalibrationPicture(path) : null;
            using var reservedPicture = files.Reserve(parsed, calibration, ("--data", measurement.Path(parsed)));
            using var reservedErrors = errors.Reserve(parsed, files, measurement.Path(parsed));
            using var backend = device.Open(parsed);
            var (classifier, tasks) = model.Load(parsed, backend);
            errors.RequireOne(parsed, tasks);
            picture?.RequireRoom(tasks.Count);
            foreach (var task in tasks)
            {
                Evaluate(task);
            }
            if (picture is not null && Processes.All.IsFirst)
            {
                AtomicFile.WriteText(picture.Path, picture.Draw());
            }
            return Task.FromResult(0);

            void Evaluate(ClassifierTask task)
            {
                if (task.Adapter is not null)
                {
                    classifier.AnswerBy(task.Adapter);
                }
                var (data, encoded) = measurement.Read(parsed, classifier);
                var mistakes = new Mistakes(encoded.Examples);
                var result = classifier.Evaluate(encoded.Examples, batchSize, cancellation,
                    TextProgress.Lines(encoded.Examples.Count), answered: mistakes.Add, processes: Processes.All);
                picture?.Add(task.Name ?? "this model", result);
                if (parsed.GetValue(json))
                {
                    Console.WriteLine(Json(task.Name, result, encoded.Truncated, classifier.Labels));
                }
                else
                {
                    Console.Write(task.Name is null ? "" : $"{task.Name}:\n");
                    Print(result, classifier.Labels);
                    CalibrationTable.Print(result, Console.Out);
                }
                if (errors.IsGiven(parsed))
                {
                    errors.Write(parsed, data, mistakes);
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
        entries["macro"] =
            new { precision = result.MacroPrecision, recall = result.MacroRecall, f1 = result.MacroF1 };
        entries["weighted"] =
            new { precision = result.WeightedPrecision, recall = result.WeightedRecall, f1 = result.WeightedF1 };
        entries["macro_f1"] = result.MacroF1;
        if (result.Confusion is { } confusion)
        {
            entries["confusion"] = confusion;
        }
        else
        {
            entries["hamming_loss"] = result.HammingLoss;
        }
        entries["calibration"] = CalibrationTable.Json(result);
        return JsonSerializer.Serialize(entries, JsonOutput.Options);
    }

    private static object Json(ClassScore score) =>
        new { precision = score.Precision, recall = score.Recall, f1 = score.F1, support = score.Support };

    private static void Print(Evaluation result, IReadOnlyList<string> labels)
    {
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"accuracy {Text.Percent(result.Accuracy)}  ({Text.Count(result.Correct)} of {Text.Count(result.Count)})"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"loss     {result.Loss:F4}"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"speed    {result.TokensPerSecond:N0} tokens/s, {Text.Duration(result.Seconds)}"));
        if (result.Confusion is not { } confusion)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"Hamming loss {result.HammingLoss:F4}; accuracy counts texts of which every class is right"));
            Console.Write($"\n{ClassTable.Of(result, labels)}");
            return;
        }
        Console.WriteLine();
        ConfusionTable.Print(confusion, labels, Console.Out);
        Console.Write($"\n{ClassTable.Of(result, labels)}");
    }
}
