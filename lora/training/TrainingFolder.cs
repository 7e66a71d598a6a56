using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Training;

/// <summary>
/// What a run leaves: an adapter folder in PEFT's format where an adapter was trained, else, and
/// where it has been merged, a model folder; in both training.json with the resolved options, the
/// classes and the outcome, metrics.jsonl with a line for every step, and curves.svg, their
/// picture.
/// </summary>
internal static class TrainingFolder
{
    private static readonly JsonSerializerOptions OneLine =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly JsonSerializerOptions Indented = new(OneLine) { WriteIndented = true };

    /// <summary>
    /// Takes the right to write the folder for a run, and refuses one that <see cref="Save"/> could
    /// not write, before the run begins.
    /// </summary>
    /// <param name="folder">The folder; its parent must exist.</param>
    /// <param name="overwrite">Accepts a folder that an earlier run left.</param>
    /// <param name="checkpoint">
    /// Where the run is saved, which is checked too; one that is resumed may replace what is in its
    /// folder.
    /// </param>
    /// <returns>
    /// To be disposed when the result is saved: until then no other process writes it.
    /// </returns>
    /// <exception cref="InputException">
    /// Another process writes to it, it holds something that no run wrote, its parent is missing,
    /// or <see cref="CheckpointOptions.Check"/> refuses.
    /// </exception>
    public static OutputLock Reserve(string folder, bool overwrite = false, CheckpointOptions? checkpoint = null) =>
        OutputLock.Take(folder, () =>
        {
            checkpoint?.Check();
            Check(folder, overwrite || checkpoint is { Resume: true });
        });

    /// <summary>Refuses a folder that <see cref="Save"/> could not write.</summary>
    internal static void Check(string folder, bool overwrite)
    {
        // Whether it is a run's result comes before whether that may be replaced: no overwrite helps where it is none.
        AtomicFolder.Check(folder, RunFiles.IsOfResult, overwrite: true);
        // A model that was downloaded has files of the same names; only a run leaves its options beside them.
        if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any()
            && !File.Exists(Path.Combine(folder, RunFiles.OptionsName)))
        {
            throw new InputException($"{folder}: the folder exists and holds a model or an adapter that no training "
                + $"run left there (it has no {RunFiles.OptionsName}). Choose another folder, or empty this one.");
        }
        AtomicFolder.Check(folder, RunFiles.IsOfResult, overwrite);
    }

    /// <summary>Writes the folder whole or not at all.</summary>
    /// <param name="folder">The folder; its parent must exist.</param>
    /// <param name="classifier">The trained model.</param>
    /// <param name="adapter">
    /// What <see cref="TrainingSetup.Prepare"/> returned; detached where it has been merged for
    /// good.
    /// </param>
    /// <param name="options">What the run was asked for.</param>
    /// <param name="result">What became of it.</param>
    /// <param name="baseModel">
    /// Folder or name of the model that the run started from; null from scratch.
    /// </param>
    /// <param name="overwrite">Replaces the folder of an earlier run.</param>
    /// <param name="classWeights">[classes] Of the loss; null: all weigh the same.</param>
    /// <param name="command">As <see cref="RunProvenance.Command"/>.</param>
    /// <exception cref="InputException">The folder cannot be written.</exception>
    public static void Save(string folder, TextClassifier classifier, LoRAAdapter? adapter, TrainingOptions options,
        TrainingResult result, string? baseModel, bool overwrite = false, IReadOnlyList<float>? classWeights = null,
        IReadOnlyList<string>? command = null)
    {
        var about = new Dictionary<string, object?>
        {
            ["base_model"] = baseModel,
            ["options"] = ResolvedOptions.Of(classifier, options, adapter),
        };
        if (classWeights is not null)
        {
            about["class_weights"] = classifier.Labels.Zip(classWeights, KeyValuePair.Create).ToDictionary();
        }
        new RunTask(classifier.Labels, classifier.IsMultiLabel, classifier.Model.ReadsPairs).AddTo(about);
        Write(folder, temporary =>
        {
            if (adapter is not { IsAttached: true })
            {
                ModelFolder.SaveInto(temporary, classifier.Model, classifier.Tokenizer);
            }
            else
            {
                PeftAdapter.SaveInto(temporary, adapter, baseModel,
                    classifier.Reference == baseModel ? classifier.Source?.Revision : null);
                ModelFolder.SaveClasses(temporary, classifier.Model.Config);
            }
        }, result, about, overwrite, to => RunProvenance.Of(result.Identity!, classifier.Model.Backend, command, to));
    }

    /// <summary>Writes the folder of a pretrained model whole or not at all.</summary>
    /// <param name="folder">The folder; its parent must exist.</param>
    /// <param name="model">The trained model.</param>
    /// <param name="tokenizer">Its tokenizer.</param>
    /// <param name="dtype">Type of the weights in the file: F32, F16 or BF16.</param>
    /// <param name="options">What the run was asked for, by name.</param>
    /// <param name="data">Numbers about the data, for the reader of training.json.</param>
    /// <param name="result">What became of it.</param>
    /// <param name="baseModel">
    /// Folder of the model that the run continued from; null from randomly initialised weights.
    /// </param>
    /// <param name="overwrite">Replaces the folder of an earlier run.</param>
    /// <exception cref="InputException">The folder cannot be written.</exception>
    public static void SavePretrained(string folder, EncoderForMaskedLM model, Tokenizer tokenizer,
        DType dtype, IReadOnlyDictionary<string, object?> options, object data, TrainingResult result,
        string? baseModel, bool overwrite) =>
        Write(folder, temporary => ModelFolder.SaveInto(temporary, model, tokenizer, dtype), result, new()
        {
            ["task"] = "masked language model",
            ["base_model"] = baseModel,
            ["data"] = data,
            ["options"] = options,
        }, overwrite, to => RunProvenance.Of(result.Identity!, model.Backend, command: null, to));

    private static void Write(string folder, Action<string> writeWeights, TrainingResult result,
        Dictionary<string, object?> about, bool overwrite, Func<string, RunProvenance> provenance) =>
        AtomicFolder.Write(folder, temporary =>
        {
            writeWeights(temporary);
            about[RunProvenance.Key] = provenance(temporary).ToJson();
            AtomicFile.WriteText(Path.Combine(temporary, RunFiles.OptionsName), Summary(about, result));
            AtomicFile.WriteText(Path.Combine(temporary, RunFiles.MetricsName), Lines(result));
            var name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)));
            AtomicFile.WriteText(Path.Combine(temporary, RunFiles.CurvesName),
                LossPicture.Draw($"Training of {name}", [result.Curve(name)]));
        }, RunFiles.IsOfResult, overwrite);

    private static string Summary(Dictionary<string, object?> about, TrainingResult result) =>
        JsonSerializer.Serialize(new Dictionary<string, object?>(about)
        {
            ["trainable_parameters"] = result.TrainableParameters,
            ["steps"] = result.Steps,
            ["kept_step"] = result.KeptStep,
            ["cancelled"] = result.WasCancelled,
            ["stopped_early"] = result.StoppedEarly,
            ["seconds"] = Math.Round(result.Seconds, 3),
            ["predicted"] = result.Estimate is { } estimate ? new Dictionary<string, object?>
            {
                ["step_seconds"] = Math.Round(estimate.StepSeconds, 3),
                ["device_memory"] = estimate.Memory is { } memory ? MemoryParts(memory) : null,
            } : null,
            ["measured"] = new Dictionary<string, object?>
            {
                ["step_seconds"] = Math.Round(result.Metrics.Sum(step => step.StepSeconds), 3),
                ["device_memory"] = result.DeviceMemory,
            },
            ["validations"] = result.Validations.Select(validation => new Dictionary<string, object?>
            {
                ["epoch"] = validation.Epoch,
                ["step"] = validation.Step,
                ["train_loss"] = validation.TrainLoss,
                ["validation_accuracy"] = validation.Validation?.Accuracy,
                ["validation_loss"] = validation.Validation?.Loss,
                ["validation_macro_f1"] = validation.Validation?.MacroF1,
                ["validation_weighted_f1"] = validation.Validation?.WeightedF1,
                ["best"] = validation.IsBest,
            }),
        }, Indented) + "\n";

    private static Dictionary<string, long> MemoryParts(MemoryEstimate memory) => new()
    {
        ["weights"] = memory.Weights,
        ["gradients"] = memory.Gradients,
        ["optimizer"] = memory.Optimizer,
        ["activations"] = memory.Activations,
        ["workspace"] = memory.Workspace,
    };

    private static string Lines(TrainingResult result)
    {
        var text = new StringBuilder();
        foreach (var step in result.Metrics)
        {
            text.Append(JsonSerializer.Serialize(new Dictionary<string, object>
            {
                ["step"] = step.Step,
                ["epoch"] = step.Epoch,
                ["loss"] = step.Loss,
                ["learning_rate"] = step.LearningRate,
                ["gradient_norm"] = step.GradientNorm,
                ["tokens"] = step.Tokens,
                ["tokens_per_second"] = Math.Round(step.TokensPerSecond, 1),
                ["seconds"] = Math.Round(step.Seconds, 4),
            }, OneLine)).Append('\n');
        }
        return text.ToString();
    }
}
