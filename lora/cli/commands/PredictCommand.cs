using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using LoraScratch.Cli.Tables;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;

namespace LoraScratch.Cli;

/// <summary>lora predict: the class of texts.</summary>
internal sealed class PredictCommand
{
    private const int BatchSize = 32;

    private readonly TaskOptions model = new();
    private readonly TextInputOptions input = new();
    private readonly Option<int?> maxLength = OptionKinds.MaxLength();
    private readonly Option<double?> threshold = OptionKinds.OptionalNumber("--threshold", "The least probability of "
        + "an answer: below it the answer is unsure, (unsure) with the best guess behind it, in a file an empty "
        + "predicted_label. 'lora evaluate' shows what it costs. Where any number of classes may hold: those of at "
        + "least this probability do. [default: every answer is given; 0.5 where any number of classes may hold]");
    private readonly Option<bool> json = new("--json")
    {
        Description =
            "One JSON object per line on standard output: label, label_id, logits, probabilities, truncated; labels "
                + "in the place of the first two where any number of classes may hold; with --threshold unsure, "
                + "label then being null; and adapter, where there are several."
    };
    private readonly OutputOptions output = new("FILE", "Writes a .csv, .tsv or .jsonl file with a row for each row "
        + "of --input, in place of printing the answers: its columns, then predicted_label, predicted_probability and "
        + "a probability_CLASS for each class; predicted_labels in the place of the first two where any number of "
        + "classes may hold; of several adapters with NAME. before them. A .csv has the separator of a .csv that is "
        + "read.", required: false);
    private readonly Option<string[]?> columns = OptionKinds.OptionalNames("--columns", "The columns of --input that "
        + "--out has. [default: all]", fewest: 1);
    private readonly Option<bool> times = new("--timings")
    {
        Description = "Says on standard error where the time went: the runtime, tokenizer, weights, prediction, JIT "
            + "compiler.",
    };
    private readonly DeviceOptions device = new();

    public static Command Create()
    {
        var predict = new PredictCommand();
        var command = new ExampleCommand("predict", "Says which class each text has.",
            "lora predict --adapter my-adapter --text \"Not what I expected, but I like it.\"",
            "lora predict --adapter my-adapter --input tickets.csv --out answers.csv --columns Nr,Datum --threshold "
                + "0.8",
            "lora predict --adapter lora-demo/adapter --text \"an unpredictable story\"",
            "lora predict --model my-model --input reviews.jsonl --json",
            "lora predict --model my-model --input -",
            "lora predict --model my-model --adapter mood=my-adapter --adapter topic=other-adapter --text \"a dull "
                + "plot with lovely music\"");
        predict.model.AddTo(command);
        predict.input.AddTo(command);
        command.Add(predict.maxLength);
        command.Add(predict.threshold);
        command.Add(predict.json);
        predict.output.AddTo(command);
        command.Add(predict.columns);
        command.Add(predict.times);
        predict.device.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.Run(() => predict.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        using var timings = parsed.GetValue(times) ? new Timings() : null;
        RequireThreshold(parsed);
        var code = PrintOrWrite(parsed, cancellation);
        timings?.Write(Console.Error);
        return code;
    }

    private int PrintOrWrite(ParseResult parsed, CancellationToken cancellation)
    {
        if (output.Path(parsed) is { } path)
        {
            return Write(parsed, path, cancellation);
        }
        if (parsed.GetValue(columns) is { Length: > 0 })
        {
            throw new InputException("--columns names the columns of --out. Give --out FILE too, or leave it out.");
        }
        output.Reserve(parsed, AtomicFile.Reserve);             // without a file it refuses --overwrite
        return Print(parsed, cancellation);
    }

    private int Print(ParseResult parsed, CancellationToken cancellation)
    {
        if (Processes.All.HasOthers && input.IsStandardInput(parsed))
        {
            throw new InputException("--input - is the input of one process, and there are several. Name a file that "
                + "all of them can read.");
        }
        var texts = input.Read(parsed);
        using var backend = device.Open(parsed);
        var (classifier, tasks) = Load(parsed, backend);
        var (answers, cut) = (0, 0);
        try
        {
            // answered before the next is asked for: whoever writes the lines may wait for it
            IEnumerable<IEnumerable<TextExample>> arriving = input.IsStandardInput(parsed)
                ? Arrivals.Of(texts, BatchSize, cancellation) : [texts];
            foreach (var arrived in arriving)
            {
                foreach (var (task, prediction) in Predict(parsed, classifier, tasks, arrived.Select(ToInput)))
                {
                    cancellation.ThrowIfCancellationRequested();
                    Console.WriteLine(parsed.GetValue(json) ? Json(task, prediction, parsed.GetValue(threshold))
                        : $"{(task is null ? "" : $"{task}: ")}{Answer(prediction, parsed.GetValue(threshold))}");
                    answers++;
                    cut += prediction.IsTruncated ? 1 : 0;
                }
                Console.Out.Flush();
            }
        }
        catch (OperationCanceledException) when (!Processes.All.HasOthers)
        {
            Console.Error.WriteLine($"Stopped after {Text.Count(answers / tasks.Count)} texts.");
            return 130;
        }
        Text.SayCut(cut / tasks.Count, answers / tasks.Count, classifier.MaxTokens(parsed.GetValue(maxLength)));
        return 0;
    }

    private int Write(ParseResult parsed, string path, CancellationToken cancellation)
    {
        if (parsed.GetValue(json))
        {
            throw new InputException("--json is about what is printed, and with --out nothing is. Leave it out; a file "
                + "that ends with .jsonl has an object for each row.");
        }
        var kind = TableWriter.KindOf(path);
        using var reserved = output.Reserve(parsed, AtomicFile.Reserve, ("--input", input.File(parsed)));
        var table = input.ReadTable(parsed, parsed.GetValue(columns) is { Length: > 0 } chosen ? chosen : null);
        using var backend = device.Open(parsed);
        var (classifier, tasks) = Load(parsed, backend);
        var predictions = new PredictionTable([.. tasks.Select(task => Describe(classifier, task))],
            parsed.GetValue(threshold));
        predictions.RequireFits(path, input.File(parsed)!, table.Columns);
        var clock = Stopwatch.StartNew();
        var (done, cut) = (0, 0);
        if (!Processes.All.IsFirst)
        {
            foreach (var _ in Rows(_ => { }))
            {
            }
            return 0;
        }
        TextProgress.Show(table.Count, report => TableWriter.WriteFile(path,
            [.. table.Columns, .. predictions.Columns], Rows(report),
            kind == ".csv" && table.Separator != '\t' ? table.Separator : null, table.HasByteOrderMark));
        Console.WriteLine($"{IncompleteRows.Rows(done)} in {path} in "
            + $"{Text.Duration(clock.Elapsed.TotalSeconds)}{predictions.Unsure()}");
        Text.SayCut(cut, done, classifier.MaxTokens(parsed.GetValue(maxLength)));
        return 0;

        IEnumerable<IReadOnlyList<object?>> Rows(Action<int> report)
        {
            var cells = new Queue<IReadOnlyList<object?>>();        // of the texts that are being computed
            foreach (var answers in Predict(parsed, classifier, tasks, table.Texts.Select(text =>
            {
                cells.Enqueue(text.Cells!);
                return ToInput(text);
            })).Select(answer => answer.Prediction).Chunk(tasks.Count))
            {
                cancellation.ThrowIfCancellationRequested();
                yield return [.. cells.Dequeue(), .. predictions.Cells(answers)];
                cut += answers[0].IsTruncated ? 1 : 0;
                report(++done);
            }
        }
    }

    private void RequireThreshold(ParseResult parsed)
    {
        if (parsed.GetValue(threshold) is { } least and not (>= 0 and <= 1))
        {
            throw new InputException(string.Create(CultureInfo.InvariantCulture,
                $"--threshold is {least}; a probability from 0 to 1 is expected."));
        }
    }

    private (TextClassifier Classifier, IReadOnlyList<ClassifierTask> Tasks) Load(ParseResult parsed,
        Kernels.IBackend backend)
    {
        var (classifier, tasks) = model.Load(parsed, backend);
        foreach (var task in tasks)
        {
            classifier.RequirePairs(input.HasPairs(parsed), "these texts", task.Adapter);
        }
        return (classifier, tasks);
    }

    private static PredictedTask Describe(TextClassifier classifier, ClassifierTask task)
    {
        if (task.Adapter is { } adapter)
        {
            classifier.AnswerBy(adapter);
        }
        return new PredictedTask(task.Name, classifier.Labels, classifier.IsMultiLabel);
    }

    private static TextInput ToInput(TextExample text) => new(text.Text, text.TextPair);

    /// <summary>Every task's answer on every text, text by text.</summary>
    private IEnumerable<(string? Task, Prediction Prediction)> Predict(ParseResult parsed, TextClassifier classifier,
        IReadOnlyList<ClassifierTask> tasks, IEnumerable<TextInput> texts) =>
        classifier.Predict(texts.SelectMany(text => tasks.Select(task => text with { Adapter = task.Adapter })),
            BatchSize * tasks.Count, parsed.GetValue(maxLength), Processes.All)
            .Select((prediction, i) => (tasks[i % tasks.Count].Name, prediction));

    /// <summary>The class and its probability, or every class that holds.</summary>
    private static string Answer(Prediction prediction, double? threshold)
    {
        if (!prediction.IsMultiLabel)
        {
            // a class may be called "unsure"; none has another name behind its own
            return $"{(threshold is { } least && prediction.IsUnsure(least) ? "(unsure)  " : "")}{prediction.Label}  "
                + $"{Text.Percent(prediction.Probability)}";
        }
        string[] holding = [.. prediction.Labels(threshold ?? PredictionTable.Holds)
            .Select(label => $"{label}  {Text.Percent(prediction.Probabilities[label])}")];
        return holding.Length == 0 ? "(none)" : string.Join(", ", holding);
    }

    private static string Json(string? task, Prediction prediction, double? threshold)
    {
        var entries = new OrderedDictionary<string, object?>();
        if (task is not null)
        {
            entries["adapter"] = task;
        }
        if (prediction.IsMultiLabel)
        {
            entries["labels"] = prediction.Labels(threshold ?? PredictionTable.Holds);
        }
        else
        {
            bool? isUnsure = threshold is { } least ? prediction.IsUnsure(least) : null;
            entries["label"] = isUnsure == true ? null : prediction.Label;
            entries["label_id"] = isUnsure == true ? null : prediction.LabelId;
            if (isUnsure is not null)
            {
                entries["unsure"] = isUnsure;
            }
        }
        entries["logits"] = prediction.Logits;
        entries["probabilities"] = prediction.Probabilities.Values;
        entries["truncated"] = prediction.IsTruncated;
        return JsonSerializer.Serialize(entries, JsonOutput.Options);
    }
}
