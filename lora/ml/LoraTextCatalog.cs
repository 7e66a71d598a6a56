using LoraScratch.Lora.Training;
using Microsoft.ML;

namespace LoraScratch.ML;

/// <summary>The trainer in ML.NET's catalog.</summary>
public static class LoraTextCatalog
{
    /// <summary>
    /// A trainer that fine-tunes a text classifier by LoRA, or as the options say.
    /// </summary>
    /// <param name="catalog">mlContext.MulticlassClassification.Trainers</param>
    /// <param name="labelColumnName">A key with the names of its values, or texts.</param>
    /// <param name="textColumnName">Texts.</param>
    /// <param name="model">
    /// The base: a model folder as Hugging Face has them, or ORG/NAME in its cache; null: the
    /// built-in one, of the package LoraScratch.Base.
    /// </param>
    /// <param name="options">How it is trained; null: LoRA with the defaults.</param>
    /// <param name="progress">Is told after every step and validation; may be null.</param>
    /// <param name="cancellation">
    /// Ends the training after the step in progress; the best state so far is kept.
    /// </param>
    public static LoraTextTrainer LoraText(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog,
        string labelColumnName = "Label", string textColumnName = "Text", string? model = null,
        TrainingOptions? options = null, IProgress<TrainingProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new LoraTextTrainer(labelColumnName, textColumnName, model, options, progress, cancellation);
    }
}
