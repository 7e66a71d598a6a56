using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Quantization;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>
/// lora train --dry-run: what each target met, the memory that a run would take, and how long an
/// epoch of each method would last here.
/// </summary>
internal static class DryRun
{
    private static readonly TrainingMethod[] Methods =
        [TrainingMethod.LoRA, TrainingMethod.QALoRA, TrainingMethod.LastLayers, TrainingMethod.Full];

    /// <summary>Measures and prints it. The model has gone afterwards.</summary>
    /// <param name="tuning">Of the chosen method, before it is run.</param>
    /// <param name="newHead">Whether a head that the model has is replaced.</param>
    /// <param name="everyLayer">Whether each layer has a line of its own.</param>
    /// <param name="cancellation">Ends the measuring between two methods.</param>
    public static void Show(FineTuning tuning, bool newHead, bool everyLayer, CancellationToken cancellation)
    {
        var options = tuning.Training.Options;
        if (tuning.Adapter is { } adapter)
        {
            Console.WriteLine($"{adapter.Plan.Table(everyLayer)}\n");
        }
        var chosen = tuning.Training.Estimate();
        PrintMemory(chosen.Memory!);

        var (classifier, trainable) = (tuning.Classifier, tuning.TrainableParameters);
        classifier.Dispose();
        Console.WriteLine($"\n  {"method",-12} {"trainable",13} {"memory",10} {"tokens/s",10} {"an epoch",9} "
            + $"{"the run",9}");
        foreach (var method in Methods)
        {
            cancellation.ThrowIfCancellationRequested();
            if (method == options.Method)
            {
                PrintMethod("*", method, trainable, chosen);
            }
            else if (classifier.Source is not null)
            {
                MeasureOther(tuning, method, newHead);
            }
        }
        Console.WriteLine($"\n* --method {TrainingOptions.NameOf(options.Method)}, "
            + $"{Text.Count(chosen.Steps)} steps with {Text.Count((long)chosen.Tokens)} tokens in all; validation and "
            + "what .NET itself takes come on top. Nothing was trained or written.");
    }

    private static void MeasureOther(FineTuning tuning, TrainingMethod method, bool newHead)
    {
        var (options, first) = (tuning.Training.Options, tuning.Classifier);
        var isLowRank = method is TrainingMethod.LoRA or TrainingMethod.QALoRA;
        options = options with
        {
            Method = method,
            InitialAdapter = null,
            TrainHead = isLowRank ? options.TrainHead : null,
            // what the codes are decides no time
            Quantization = method == TrainingMethod.QALoRA
                ? (options.Quantization ?? new()) with { Method = QuantizationMethod.RoundToNearest } : null,
        };
        var loaded = first.Source!.Load(options.Seed, first.Labels, newHead, first.Model.Backend, first.IsMultiLabel);
        using var classifier = new TextClassifier(loaded, first.Source);
        try
        {
            var other = FineTuning.Start(classifier, tuning.Data.Train.Examples, tuning.Data.Validation?.Examples,
                options);
            PrintMethod(" ", method, other.TrainableParameters, other.Training.Estimate());
        }
        catch (InputException e)
        {
            Console.Error.WriteLine(Terminal.Printable(Terminal.WithFlags(
                $"note: {TrainingOptions.NameOf(method)} is left out: {e.Message}")));
        }
    }

    private static void PrintMemory(MemoryEstimate memory)
    {
        Console.WriteLine($"memory of the device at its peak, {Moment(memory)}:");
        foreach (var (part, bytes) in (ReadOnlySpan<(string, long)>)[("weights", memory.Weights),
            ("gradients", memory.Gradients), ("optimizer", memory.Optimizer), ("activations", memory.Activations),
            ("workspace", memory.Workspace), ("together", memory.Total)])
        {
            Console.WriteLine($"  {part,-12} {Text.Bytes(bytes),12}");
        }
    }

    private static string Moment(MemoryEstimate memory) => memory.Moment switch
    {
        MemoryMoment.Validation => $"in a validation, texts of up to {Text.Count(memory.Tokens)} tokens",
        MemoryMoment.Keeping => "while the frozen layers' output is computed, "
            + $"{Text.Count(memory.Tokens)} tokens at a time",
        _ => $"in a step with {Text.Count(memory.Tokens)} tokens",
    };

    private static void PrintMethod(string mark, TrainingMethod method, long trainable, RunEstimate estimate) =>
        Console.WriteLine($"{mark} {TrainingOptions.NameOf(method),-12} {Text.Count(trainable),13} "
            + $"{Text.Bytes(estimate.Memory!.Total),10} {Text.Count((long)estimate.TokensPerSecond),10} "
            + $"{Text.Duration(estimate.EpochSeconds),9} {Text.Duration(estimate.Seconds),9}");
}
