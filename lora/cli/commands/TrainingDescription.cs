using LoraScratch.Cli.Tables;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>
/// What a training is about to do: the layers that are adapted, how many parameters and examples
/// there are, and what becomes of the frozen layers.
/// </summary>
internal static class TrainingDescription
{
    /// <summary>Prints it on standard error.</summary>
    /// <param name="tuning">Before its first step.</param>
    /// <param name="withPlan">Whether the layers that are adapted are listed.</param>
    /// <param name="everyLayer">Whether each of them has a line of its own.</param>
    public static void Print(FineTuning tuning, bool withPlan, bool everyLayer)
    {
        if (tuning.Quantized.Count > 0)
        {
            QuantizationReport.Print(tuning.Quantized, tuning.Training.Options.Quantization!.Format.ToString(),
                Console.Error);
        }
        if (withPlan && tuning.Adapter is { } adapter)
        {
            Console.Error.WriteLine(adapter.Plan.Table(everyLayer));
        }
        var (train, validation) = tuning.Data;
        Console.Error.WriteLine($"{Text.Count(tuning.TrainableParameters)} trainable of "
            + $"{Text.Count(tuning.Classifier.Model.CountWeights())} parameters; {Text.Count(train.Examples.Count)} "
            + $"examples ({Text.Count(train.Tokens)} tokens{Text.Cut(train.Truncated)}) to train, "
            + $"{Text.Count(validation?.Examples.Count ?? 0)} to validate{Text.Cut(validation?.Truncated ?? 0)}; "
            + tuning.Classifier.Model.Backend.Description);
        if (tuning.ClassWeights is { } weights)
        {
            Console.Error.WriteLine(MetricText.Weights(tuning.Classifier.Labels, weights));
        }
        DataFindings.SayRepeated(tuning.Data.Repeated, validation?.Examples.Count ?? 0, "validation");
        PrintFrozen(tuning);
    }

    /// <summary>What becomes of the layers below everything that is trained.</summary>
    private static void PrintFrozen(FineTuning tuning)
    {
        var (frozen, bytes, options) = (tuning.Frozen, tuning.FrozenBytes, tuning.Training.Options);
        var (layers, it, its) = frozen.Count == 1 ? ("layer 0 is frozen", "it", "its")
            : ($"layers 0 to {frozen.Count - 1} are frozen", "them", "their");
        var isRounded = options.FrozenPrecision != FrozenPrecision.Float32;
        var precision = options.FrozenPrecision.ToString().ToLowerInvariant();
        if (frozen.Count == 0)
        {
            foreach (var idle in (string[])[.. options.FrozenDropout ? [] : (string[])["--frozen-dropout false"],
                .. isRounded ? (string[])[$"--frozen-precision {precision}"] : []])
            {
                Console.Error.WriteLine($"{idle} has no effect here: no layer lies below everything that is trained. "
                    + "Adapt the last layers only, as with --layers last:2.");
            }
        }
        else if (frozen.RunsDropout)
        {
            if (bytes > 0)
            {
                Console.Error.WriteLine($"{layers}, and dropout runs in {it} anew in every epoch; with "
                    + $"--frozen-dropout false {its} output would be computed once and kept, {Text.Bytes(bytes)}");
            }
            if (isRounded)
            {
                Console.Error.WriteLine($"--frozen-precision {precision} has no effect here: dropout runs in the "
                    + "frozen layers. Add --frozen-dropout false.");
            }
        }
        else if (bytes > 0 && frozen.CanBeKept)
        {
            Console.Error.WriteLine($"{layers}: {its} output is computed once and kept"
                + $"{(isRounded ? $" in {precision}" : "")}, {Text.Bytes(bytes)}"
                + (bytes > frozen.MemoryLimit
                    ? $", {Text.Bytes(bytes - frozen.MemoryLimit)} of it in a temporary file" : ""));
        }
        else if (isRounded)
        {
            Console.Error.WriteLine($"{layers}: {its} output is rounded to {precision}");
        }
    }
}
