using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Lora.Classification;

namespace LoraScratch.Cli;

/// <summary>lora predict: the class of texts.</summary>
internal static class PredictCommand
{
    private const int BatchSize = 32;

    public static Command Create()
    {
        var model = new TaskOptions();
        var input = new TextInputOptions();
        var maxLength = OptionKinds.MaxLength();
        var threshold = OptionKinds.Number("--threshold", "Where any number of classes may hold: those of at least "
            + "this probability do.", 0.5);
        var json = new Option<bool>("--json")
        {
            Description =
            "One JSON object per line on standard output: label, label_id, logits, probabilities, truncated; labels "
                + "in the place of the first two where any number of classes may hold; and adapter, where there are "
                + "several."
        };
        var device = new DeviceOptions();
        var command = new ExampleCommand("predict", "Says which class each text has.",
            "lora predict --adapter my-adapter --text \"Not what I expected, but I like it.\"",
            "lora predict --adapter lora-demo/adapter --text \"an unpredictable story\"",
            "lora predict --model my-model --input reviews.jsonl --json",
            "lora predict --model my-model --adapter mood=my-adapter --adapter topic=other-adapter --text \"a dull "
                + "plot with lovely music\"");
        model.AddTo(command);
        input.AddTo(command);
        command.Add(maxLength);
        command.Add(threshold);
        command.Add(json);
        device.AddTo(command);
        command.SetAction(parsed =>
        {
            var texts = input.Read(parsed);
            using var backend = device.Open(parsed);
            var (classifier, tasks) = model.Load(parsed, backend);
            var (answers, cut) = (0, 0);
            foreach (var task in tasks)
            {
                classifier.RequirePairs(input.HasPairs(parsed), "these texts", task.Adapter);
            }
            var least = parsed.GetValue(threshold);
            if (least is not (>= 0 and <= 1))
            {
                throw new InputException(string.Create(CultureInfo.InvariantCulture,
                    $"--threshold is {least}; a probability from 0 to 1 is expected."));
            }
            foreach (var (task, prediction) in Predict(classifier, tasks,
                texts.Select(example => new TextInput(example.Text, example.TextPair)), parsed.GetValue(maxLength)))
            {
                Console.WriteLine(parsed.GetValue(json) ? Json(task, prediction, least)
                    : $"{(task is null ? "" : $"{task}: ")}{Answer(prediction, least)}");
                answers++;
                cut += prediction.IsTruncated ? 1 : 0;
            }
            Text.SayCut(cut / tasks.Count, answers / tasks.Count,
                classifier.MaxTokens(parsed.GetValue(maxLength)));
            return 0;
        });
        return command;
    }

    /// <summary>Every task's answer on every text, text by text.</summary>
    private static IEnumerable<(string? Task, Prediction Prediction)> Predict(TextClassifier classifier,
        IReadOnlyList<ClassifierTask> tasks, IEnumerable<TextInput> texts, int? maxLength) =>
        classifier.Predict(texts.SelectMany(text => tasks.Select(task => text with { Adapter = task.Adapter })),
            BatchSize * tasks.Count, maxLength)
            .Select((prediction, i) => (tasks[i % tasks.Count].Name, prediction));

    /// <summary>The class and its probability, or every class that holds.</summary>
    private static string Answer(Prediction prediction, double threshold)
    {
        if (!prediction.IsMultiLabel)
        {
            return $"{prediction.Label}  {Text.Percent(prediction.Probability)}";
        }
        string[] holding = [.. prediction.Probabilities.Where(entry => entry.Value >= threshold)
            .Select(entry => $"{entry.Key}  {Text.Percent(entry.Value)}")];
        return holding.Length == 0 ? "(none)" : string.Join(", ", holding);
    }

    private static string Json(string? task, Prediction prediction, double threshold)
    {
        var entries = new OrderedDictionary<string, object>();
        if (task is not null)
        {
            entries["adapter"] = task;
        }
        if (prediction.IsMultiLabel)
        {
            entries["labels"] = prediction.Labels(threshold);
        }
        else
        {
            entries["label"] = prediction.Label;
            entries["label_id"] = prediction.LabelId;
        }
        entries["logits"] = prediction.Logits;
        entries["probabilities"] = prediction.Probabilities.Values;
        entries["truncated"] = prediction.IsTruncated;
        return JsonSerializer.Serialize(entries, JsonOutput.Options);
    }
}
