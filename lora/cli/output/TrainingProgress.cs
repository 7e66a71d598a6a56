using System.Diagnostics;
using System.Globalization;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Processes;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>
/// Shows a training run on standard error: a bar with loss, tokens per second and time left on a
/// terminal, a plain line every few seconds on an output without bars.
/// </summary>
internal static class TrainingProgress
{
    private const double SecondsBetweenLines = 5, SecondsBetweenFrames = 0.1;

    /// <summary>Runs the training while showing it.</summary>
    /// <param name="run">Its events are listened to.</param>
    /// <param name="train">Starts the training.</param>
    public static TrainingResult Show(TrainingRun run, Func<TrainingResult> train) =>
        Terminal.IsPlain(Console.IsErrorRedirected) ? ShowLines(run, train) : ShowBar(run, train);

    /// <summary>Says about how long a run will take, before it begins.</summary>
    /// <param name="run">Is measured.</param>
    /// <param name="resume">
    /// Whether the run goes on with one that is saved: its first line then says what is left.
    /// </param>
    /// <param name="processes">They share the steps; the first alone measures.</param>
    public static void SayEstimate(TrainingRun run, bool resume, ProcessGroup processes)
    {
        if (resume || !processes.IsFirst)
        {
            return;
        }
        var estimate = run.Estimate(processes.Size);
        Console.Error.WriteLine($"about {Text.Duration(estimate.Seconds)} for {Text.Count(estimate.Steps)} steps "
            + $"with {Text.Count((long)estimate.Tokens)} tokens, at the {Text.Count((long)estimate.TokensPerSecond)} "
            + $"tokens/s measured on a batch{(processes.HasOthers ? $", times {processes.Size} processes" : "")}"
            + (estimate.KeepingSeconds > 0
                ? $", {Text.Duration(estimate.KeepingSeconds)} of it for the frozen layers before the first step"
                : ""));
    }

    /// <summary>
    /// Says what the processes of a run cost by talking; nothing where there was one.
    /// </summary>
    public static void SayExchange(TrainingResult result, TextWriter output)
    {
        if (result.Exchange is { } exchange)
        {
            var steps = Math.Max(1, result.Metrics.Count);
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"Gradients: each process sent {Text.Bytes(exchange.BytesSent / steps)} a step, in "
                + $"{1e3 * exchange.Seconds / steps:F1} ms of "
                + $"{1e3 * result.Metrics.Average(step => step.StepSeconds):F0}."));
        }
    }

    private static TrainingResult ShowBar(TrainingRun run, Func<TrainingResult> train)
    {
        var line = new ProgressLine(Console.Error, () => Console.WindowWidth);
        var sinceShown = (Stopwatch?)null;
        run.Kept += (done, count) => Show(
            $"frozen layers: {Text.Count(done)} of {Text.Count(count)} examples", done, count);
        run.StepDone += step => Show(Short(step), step.Step, step.Steps);
        run.Validated += look => line.WriteLine(Describe(look, run.Options.Metric));
        run.CheckpointSaved += steps => line.WriteLine($"saved after step {steps}");
        try
        {
            return train();
        }
        finally
        {
            line.End();
        }

        void Show(string text, int done, int count)
        {
            if (done == count || sinceShown is null || sinceShown.Elapsed.TotalSeconds >= SecondsBetweenFrames)
            {
                line.Show(text, (double)done / count);
                sinceShown = Stopwatch.StartNew();
            }
        }
    }

    private static TrainingResult ShowLines(TrainingRun run, Func<TrainingResult> train)
    {
        // null before the first line: a run that goes on says at once that it does
        var sinceLine = (Stopwatch?)null;
        var sinceKept = Stopwatch.StartNew();
        run.Kept += (done, count) =>
        {
            if (sinceKept.Elapsed.TotalSeconds >= SecondsBetweenLines)
            {
                Console.Error.WriteLine($"frozen layers: {Text.Count(done)} of {Text.Count(count)} examples");
                sinceKept.Restart();
            }
        };
        run.StepDone += step =>
        {
            if (sinceLine is null || step.Step == step.Steps || sinceLine.Elapsed.TotalSeconds >= SecondsBetweenLines)
            {
                Console.Error.WriteLine(Describe(step));
                sinceLine = Stopwatch.StartNew();
            }
        };
        run.Validated += look => Console.Error.WriteLine(Describe(look, run.Options.Metric));
        run.CheckpointSaved += steps => Console.Error.WriteLine($"saved after step {steps}");
        return train();
    }

    /// <summary>Beside it a bar fits into 80 columns.</summary>
    private static string Short(StepMetrics step) => string.Create(CultureInfo.InvariantCulture,
        $"step {step.Step}/{step.Steps} loss {step.Loss:F4} {step.TokensPerSecond:N0} tokens/s "
            + $"{Text.Duration(step.SecondsLeft)} left");

    private static string Describe(StepMetrics step) => string.Create(CultureInfo.InvariantCulture,
        $"step {step.Step}/{step.Steps}  epoch {step.Epoch}  loss {step.Loss:F4}  lr {step.LearningRate:G3}  "
            + $"{step.TokensPerSecond:N0} tokens/s  {Text.Duration(step.SecondsLeft)} left");

    private static string Describe(ValidationMetrics look, ScoreMetric metric)
    {
        var validation = look.Validation is { } result
            ? $"  validation {MetricText.All(result, metric)}{(look.IsBest ? "  (best so far)" : "")}" : "";
        return string.Create(CultureInfo.InvariantCulture,
            $"epoch {look.Epoch} after step {look.Step}  mean loss {look.TrainLoss:F4}{validation}");
    }
}
