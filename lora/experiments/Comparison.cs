using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Lora.Quantization;
using LoraScratch.Lora.Training;

namespace LoraScratch.Lora.Experiments;

/// <summary>
/// What is compared: some methods, each with every learning rate and every seed, all else equal.
/// </summary>
/// <param name="Base">Everything but method, learning rate and seed.</param>
/// <param name="Methods">In the order of the table.</param>
/// <param name="LearningRates">The grid, the same for each method.</param>
/// <param name="Seeds">The first is <see cref="TrainingOptions.Seed"/> of the base.</param>
/// <param name="RateSeeds">
/// The first so many seeds choose the learning rate, and the others run with the chosen one alone;
/// null: all choose.
/// </param>
internal sealed record ComparisonPlan(TrainingOptions Base, IReadOnlyList<TrainingMethod> Methods,
    IReadOnlyList<float> LearningRates, int Seeds, int? RateSeeds = null)
{
    /// <summary>Number of trainings.</summary>
    public int Count => Methods.Count * (LearningRates.Count * ChoosingSeeds + Seeds - ChoosingSeeds);

    internal int ChoosingSeeds => RateSeeds ?? Seeds;

    /// <summary>
    /// How the merged weights of LoRA are quantised, to be compared with QA-LoRA; null where that
    /// is not compared.
    /// </summary>
    public QuantizationSettings? QuantizationAfter =>
        Methods.Contains(TrainingMethod.QALoRA) ? Base.Quantization ?? new() : null;

    /// <summary>The runs of one method and learning rate, by seed.</summary>
    public IReadOnlyList<ExperimentRun> Runs(TrainingMethod method, float learningRate) =>
    [
        .. Enumerable.Range(0, Seeds).Select(i => Base.Seed + (ulong)i).Select(seed => new ExperimentRun(
            string.Create(CultureInfo.InvariantCulture,
                $"{TrainingOptions.NameOf(method)}-lr{learningRate:0.######e0}-seed{seed}"),
            // The head's training is the method itself for the others: what is asked for concerns adapters alone.
            Base with { Method = method, LearningRate = learningRate, Seed = seed,
                TrainHead = method is TrainingMethod.LoRA or TrainingMethod.QALoRA ? Base.TrainHead : null })),
    ];

    /// <summary>How many of the trainings have ended.</summary>
    public int CountDone(ExperimentFolder folder) =>
        Methods.SelectMany(method => LearningRates.SelectMany(rate => Runs(method, rate)))
        .Count(run => folder.Has(Comparison.RecordOf(run.Name)));

    /// <summary>Refuses what makes no sense.</summary>
    /// <exception cref="InputException">The message names the option.</exception>
    public void Check()
    {
        if (Methods.Count == 0 || Methods.Distinct().Count() != Methods.Count)
        {
            throw new InputException("Option 'methods': expected some of lora, qa-lora, last-layers, full, each once.");
        }
        if (LearningRates.Count == 0 || LearningRates.Distinct().Count() != LearningRates.Count)
        {
            throw new InputException("Option 'lr': expected one or more learning rates, each once.");
        }
        if (Seeds < 1)
        {
            throw new InputException($"Option 'seeds' is {Seeds}; expected at least 1.");
        }
        if (ChoosingSeeds < 1 || ChoosingSeeds > Seeds)
        {
            throw new InputException(
                $"Option 'lr-seeds' is {ChoosingSeeds}; expected 1 to {Seeds}, the number of seeds.");
        }
        foreach (var run in Methods.SelectMany(method => LearningRates.SelectMany(rate => Runs(method, rate))))
        {
            run.Options.Check();
        }
    }

    /// <summary>The plan by the names of its options.</summary>
    internal Dictionary<string, object?> Describe(SplitOptions split)
    {
        var options = ResolvedOptions.Of(Base);
        options["methods"] = string.Join(',', Methods.Select(TrainingOptions.NameOf));
        options["lr"] = string.Join(',',
            LearningRates.Select(rate => rate.ToString("0.######e0", CultureInfo.InvariantCulture)));
        options["seeds"] = Seeds;
        options["lr-seeds"] = ChoosingSeeds;
        (options["split"], options["split-seed"], options["validation"], options["test"]) =
            (split.Rule.ToString().ToLowerInvariant(), split.Seed, split.Validation, split.Test);
        return options;
    }
}

/// <summary>
/// What one method came to, at the learning rate with the best mean validation accuracy over the
/// seeds that choose.
/// </summary>
/// <param name="Method">Which.</param>
/// <param name="LearningRate">The chosen one.</param>
/// <param name="Runs">Its runs by seed, training and test accuracies included.</param>
/// <param name="Tried">Mean validation accuracy of every learning rate.</param>
internal sealed record ComparedMethod(TrainingMethod Method, float LearningRate, IReadOnlyList<RunRecord> Runs,
    IReadOnlyList<(float LearningRate, double Validation)> Tried)
{
    /// <summary>Parameters that were trained.</summary>
    public long TrainableParameters => Runs[0].TrainableParameters;
}

/// <summary>
/// Carries out a comparison: every run is trained once, each method's learning rate is chosen by
/// its mean validation accuracy, and only then the test examples are used, with the weights
/// of the chosen runs. Weights of learning rates that lost are deleted as soon as that is known.
/// Several processes share the runs; each then finds what the others stored.
/// </summary>
internal sealed class Comparison(ComparisonPlan plan, ExperimentFolder folder, RunExecutor executor)
{
    /// <summary>Runs what has not been run yet.</summary>
    /// <exception cref="OperationCanceledException">
    /// It was cancelled; what is done is stored.
    /// </exception>
    public IReadOnlyList<ComparedMethod> Run()
    {
        executor.Share(plan.Methods.SelectMany(method => plan.LearningRates.SelectMany(rate =>
            plan.Runs(method, rate).Take(plan.ChoosingSeeds))), run => Trained(run));
        var chosen = plan.Methods.Select(method => (Method: method, Choice: Choose(method))).ToList();
        var runs = chosen.SelectMany(entry => plan.Runs(entry.Method, entry.Choice.LearningRate)).ToList();
        executor.Share(runs, run => Trained(run));
        runs.ForEach(run => Trained(run));              // a process that is alone has some still to do
        // Nothing can be chosen any more: now the test examples.
        executor.Share(runs, run => Evaluated(run));
        return [.. chosen.Select(entry => new ComparedMethod(entry.Method, entry.Choice.LearningRate,
            [.. plan.Runs(entry.Method, entry.Choice.LearningRate).Select(Evaluated)], entry.Choice.Tried))];
    }

    private (float LearningRate, IReadOnlyList<(float, double)> Tried) Choose(TrainingMethod method)
    {
        var tried = new List<(float, double)>();
        (float LearningRate, IReadOnlyList<RunRecord> Records)? best = null;
        foreach (var rate in plan.LearningRates)
        {
            IReadOnlyList<RunRecord> records = [.. plan.Runs(method, rate).Take(plan.ChoosingSeeds).Select(Trained)];
            tried.Add((rate, records.Average(record => record.Validation)));
            var isBest = best is null || Mean(records).CompareTo(Mean(best.Value.Records)) > 0;
            foreach (var loser in (isBest ? best?.Records : records) ?? [])
            {
                folder.Delete(WeightsOf(loser.Name));
            }
            if (isBest)
            {
                best = (rate, records);
            }
        }
        return (best!.Value.LearningRate, tried);

        // More texts right, or as many at a smaller loss.
        static (double Accuracy, double MinusLoss) Mean(IReadOnlyList<RunRecord> records) =>
            (records.Average(record => record.Validation), -records.Average(record => record.ValidationLoss));
    }

    private RunRecord Trained(ExperimentRun run)
    {
        if (folder.Has(RecordOf(run.Name)))
        {
            executor.Tidy(run);
            return folder.Read<RunRecord>(RecordOf(run.Name));
        }
        return executor.Train(run, (record, classifier) =>
        {
            TrainedWeights.Save(Path.Combine(folder.Path, WeightsOf(run.Name)), classifier.Model);
            folder.Write(RecordOf(run.Name), record);               // last: from now on the run counts as done
        });
    }

    private RunRecord Evaluated(ExperimentRun run)
    {
        var record = Trained(run);
        if (record.Test is not null)
        {
            return record;
        }
        var evaluated = executor.Evaluate(run, record, Path.Combine(folder.Path, WeightsOf(run.Name)),
            plan.QuantizationAfter);
        folder.Write(RecordOf(run.Name), evaluated);
        return evaluated;
    }

    internal static string RecordOf(string run) => Path.Combine("runs", $"{run}.json");

    private static string WeightsOf(string run) => Path.Combine("runs", $"{run}.safetensors");
}
