using System.Text.Json.Serialization;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Training;

namespace LoraScratch.Lora.Experiments;

/// <summary>One training run of an experiment.</summary>
/// <param name="Name">Names its files: letters, digits, dots and hyphens.</param>
/// <param name="Options">How it trains.</param>
internal sealed record ExperimentRun(string Name, TrainingOptions Options);

/// <summary>
/// What a run came to. Accuracies are shares of texts; those of the training and test examples are
/// taken only of runs that were chosen.
/// </summary>
/// <param name="Name">Of the run.</param>
/// <param name="TrainableParameters">Parameters that were trained.</param>
/// <param name="Steps">Steps taken.</param>
/// <param name="KeptStep">The step after which the validation was best.</param>
/// <param name="Validation">Accuracy then.</param>
/// <param name="ValidationLoss">Mean cross-entropy then.</param>
/// <param name="Seconds">Training, validation included.</param>
/// <param name="Losses">Of every step.</param>
/// <param name="Train">Accuracy; null: not taken.</param>
/// <param name="Test">Accuracy; null: not taken.</param>
internal sealed record RunRecord(
    string Name, long TrainableParameters, int Steps, int KeptStep, double Validation, double ValidationLoss,
    double Seconds, IReadOnlyList<float> Losses, double? Train = null, double? Test = null)
{
    /// <summary>
    /// Every validation; null in a record that an older program wrote, which has the best alone.
    /// </summary>
    public IReadOnlyList<ValidationPoint>? Validations { get; init; }

    /// <summary>Its losses as a picture shows them.</summary>
    [JsonIgnore]
    public LossCurve Curve => new(Name, Losses)
    {
        Validations = Validations ?? [new ValidationPoint(KeptStep, ValidationLoss, Validation)],
    };

    /// <summary>Of the steps alone.</summary>
    public double TokensPerSecond { get; init; }

    /// <summary>Bytes of the weights while they are trained, A and B included.</summary>
    public long TrainingBytes { get; init; }

    /// <summary>
    /// Bytes of the weights that are needed in the end: with an adapter, when it is merged.
    /// </summary>
    public long DeployedBytes { get; init; }

    /// <summary>
    /// Accuracy on the test examples of a LoRA run whose merged weights are then quantised; null:
    /// not taken.
    /// </summary>
    public double? TestQuantized { get; init; }
}

/// <summary>
/// The weights that a run trained, alone: with model, options and seed they make the trained model
/// again.
/// </summary>
internal static class TrainedWeights
{
    /// <summary>Writes them in one step.</summary>
    public static void Save(string path, Module model) =>
        SafeTensorsWriter.Write(path, Trainable(model).Select(entry => TensorToWrite.Of(entry.Path, entry.Parameter)),
            new Dictionary<string, string> { ["format"] = "pt" });

    /// <summary>Puts them into a model that is prepared as it was for the training.</summary>
    /// <exception cref="Engine.InputException">The file is missing, or of another run.</exception>
    public static void Load(string path, Module model)
    {
        using var file = SafeTensorsFile.Open(path);
        foreach (var (name, parameter) in Trainable(model))
        {
            var values = new float[parameter.Shape.Count];
            file.Read(name, values);
            parameter.Set(values);
        }
    }

    private static IEnumerable<(string Path, Parameter Parameter)> Trainable(Module model) =>
        model.NamedParameters().Where(entry => entry.Parameter.IsTrainable);
}
