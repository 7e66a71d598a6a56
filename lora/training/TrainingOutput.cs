using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.DistilBert;

namespace LoraScratch.Lora.Training;

/// <summary>
/// What a run leaves in its folder, whole or not at all: an adapter in PEFT's format after LoRA, else a model folder; beside it training.json (the options as
/// they were resolved, and the outcome) and metrics.jsonl (a JSON object per step, and one per epoch).
/// </summary>
public static class TrainingOutput
{
    /// <summary>Name of the file with options and outcome.</summary>
    public const string OptionsName = "training.json";

    /// <summary>Name of the file with the metrics.</summary>
    public const string MetricsName = "metrics.jsonl";

    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.KebabCaseLower) },
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    private static readonly JsonSerializerOptions IndentedJson = new(Json) { WriteIndented = true };

    /// <summary>Refuses a folder that could not be written at the end, so that a long run can ask before it begins.</summary>
    /// <param name="folder">A new or empty folder, or one that an earlier run of the same kind left.</param> <param name="method">LoRA leaves an adapter, the others a model.</param>
    /// <exception cref="InputException">It holds something else, or its parent is missing.</exception>
    public static void CheckWritable(string folder, TrainingMethod method)
    {
        if (method == TrainingMethod.LoRA)
        {
            AtomicFolder.Check(folder, IsOfAdapter);
        }
        else
        {
            ModelFolder.CheckWritable(folder);
        }
    }

    /// <summary>Writes the folder.</summary>
    /// <param name="folder">See <see cref="CheckWritable"/>.</param> <param name="classifier">The trained model.</param> <param name="adapter">Its adapter, attached; null after other methods than LoRA.</param>
    /// <param name="options">Of the run.</param> <param name="data">What was trained on, for training.json.</param> <param name="baseModel">Name of the base, for the adapter's config; null if it has none.</param> <param name="result">Of the run.</param>
    /// <exception cref="InputException">The folder cannot be written.</exception>
    public static void Write(string folder, TextClassifier classifier, LoRAAdapter? adapter, TrainingOptions options, string data, string? baseModel, TrainingResult result)
    {
        if (adapter is null)
        {
            ModelFolder.Save(folder, classifier.Model, classifier.Tokenizer, WriteLogs);
        }
        else
        {
            AtomicFolder.Write(folder, temporary =>
            {
                PeftAdapter.SaveInto(temporary, adapter, baseModel);
                WriteLogs(temporary);
            }, IsOfAdapter);
        }

        void WriteLogs(string target)
        {
            AtomicFile.WriteText(Path.Combine(target, OptionsName), JsonSerializer.Serialize(new
            {
                Data = data,
                Model = baseModel,
                Labels = classifier.Labels,
                Options = options with
                {
                    TrainHead = options.ResolvedTrainHead,
                    LearningRate = options.ResolvedLearningRate,
                    WeightDecay = options.ResolvedWeightDecay,
                    MaxLength = classifier.LongestText(options.MaxLength),
                },
                Scaling = adapter is null ? null : (float?)options.Lora.Scaling,
                result.TrainableParameters,
                result.Steps,
                result.KeptStep,
                result.WasCancelled,
                Validation = result.Best is { } best ? new { best.Accuracy, best.Loss, best.Count } : null,
            }, IndentedJson) + "\n");
            AtomicFile.Write(Path.Combine(target, MetricsName), stream =>
            {
                using var writer = new StreamWriter(stream, leaveOpen: true) { NewLine = "\n" };
                foreach (var step in result.Metrics)
                {
                    writer.WriteLine(JsonSerializer.Serialize(step, Json));
                }
                foreach (var epoch in result.Epochs)
                {
                    writer.WriteLine(JsonSerializer.Serialize(new
                    {
                        epoch.Epoch,
                        epoch.Step,
                        epoch.TrainLoss,
                        ValidationLoss = epoch.Validation?.Loss,
                        ValidationAccuracy = epoch.Validation?.Accuracy,
                        epoch.IsBest,
                    }, Json));
                }
            });
        }
    }

    private static bool IsOfAdapter(string name) => name is PeftAdapter.ConfigName or PeftAdapter.WeightsName or OptionsName or MetricsName;
}
