using System.Diagnostics;
using LoraScratch.Lora.Experiments;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>
/// Shows an experiment on standard error: which run of how many, how long the rest will take, and
/// the run itself as 'lora train' shows one.
/// </summary>
/// <param name="runs">Number of runs.</param>
internal sealed class ExperimentProgress(int runs) : IExperimentProgress
{
    private const double SecondsBetweenLines = 5;
    private readonly Stopwatch clock = Stopwatch.StartNew();
    private int ended;
    private double saidAt = double.NegativeInfinity;

    /// <summary>How many of the runs were done before.</summary>
    public int Done { get; set; }

    /// <summary>Runs of this process.</summary>
    private int Mine => (runs - Done + Processes.All.Size - 1 - Processes.All.Rank) / Processes.All.Size;

    public TrainingResult Show(ExperimentRun run, FineTuning tuning, Func<TrainingResult> train)
    {
        // From the mean of the runs so far: methods differ in what a step costs.
        var left = ended == 0 ? ""
            : $"; about {Text.Duration(clock.Elapsed.TotalSeconds / ended * (Mine - ended))} left";
        var number = Processes.All.HasOthers ? $"{ended + 1} of {Mine}" : $"{Done + ended + 1} of {runs}";
        Processes.SayOfThis($"run {number}: {run.Name}, {Text.Count(tuning.TrainableParameters)} trainable "
            + $"parameters{left}");
        var result = TrainingProgress.Show(tuning.Training, train);
        ended++;
        return result;
    }

    public void Evaluating(ExperimentRun run, string texts, int done, int count)
    {
        if (done == count || clock.Elapsed.TotalSeconds - saidAt >= SecondsBetweenLines)
        {
            saidAt = clock.Elapsed.TotalSeconds;
            Console.Error.WriteLine($"{run.Name}: {Text.Count(done)} of {Text.Count(count)} {texts} texts evaluated");
        }
    }
}
