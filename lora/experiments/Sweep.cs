using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Training;

namespace LoraScratch.Lora.Experiments;

/// <summary>What a sweep came to.</summary>
/// <param name="Rows">Of every point in the table, the best first.</param>
/// <param name="Train">Accuracy of the best on the training examples.</param>
/// <param name="Test">And on the test examples.</param>
internal sealed record SweepResult(IReadOnlyList<SweepRow> Rows, double Train, double Test);

/// <summary>
/// Carries out a sweep: every point is trained once, its row appended to the table; the weights of
/// the best so far are kept, and with them the test examples are used in the end. Of several
/// processes each stores record and weights of its points, of which the first makes rows.
/// </summary>
/// <param name="points">What to run.</param>
/// <param name="options">All but rank, alpha and targets.</param>
/// <param name="folder">Of the experiment.</param>
/// <param name="executor">Trains.</param>
internal sealed class Sweep(IReadOnlyList<SweepPoint> points, TrainingOptions options, ExperimentFolder folder,
    RunExecutor executor)
{
    /// <summary>Name of the table.</summary>
    public const string TableName = "sweep.csv";

    private readonly SweepTable table = SweepTable.Open(Path.Combine(folder.Path, TableName));

    /// <summary>How many of the points are done.</summary>
    public int CountDone => points.Count(IsDone);

    /// <summary>Runs what has not been run yet.</summary>
    /// <returns>Null in other processes than the first.</returns>
    /// <exception cref="OperationCanceledException">
    /// It was cancelled; what is done is stored.
    /// </exception>
    public SweepResult? Run()
    {
        executor.Share(points.Where(point => !IsDone(point)), point =>
        {
            if (!folder.Has(RecordOf(point)))
            {
                executor.Train(point.Run(options), (record, classifier) => StoreShared(point, record, classifier));
            }
        });
        if (!executor.IsFirst)
        {
            return null;
        }
        CollectShared();
        foreach (var point in points)
        {
            if (IsDone(point))
            {
                executor.Tidy(point.Run(options));
            }
            else
            {
                executor.Train(point.Run(options), (record, classifier) => Store(point, record, classifier));
            }
        }
        // Among equals the one that ended first, as in Store: its weights are there.
        SweepRow[] rows = [.. table.Rows.OrderByDescending(row => row.Validation).ThenBy(row => row.ValidationLoss)];
        foreach (var row in rows.Skip(1))
        {
            folder.Delete(WeightsOf(row.Point));                    // a kill may have come before Store did it
        }
        return Evaluated(rows);
    }

    private bool IsDone(SweepPoint point) => table.Rows.Any(row => row.Point.Name == point.Name);

    /// <summary>Weights before the record: with that the point counts as done.</summary>
    private void StoreShared(SweepPoint point, RunRecord record, TextClassifier classifier)
    {
        TrainedWeights.Save(Path.Combine(folder.Path, WeightsOf(point)), classifier.Model);
        folder.Write(RecordOf(point), record);
    }

    /// <summary>
    /// Makes rows of the points that processes stored; the weights of the best stay.
    /// </summary>
    private void CollectShared()
    {
        foreach (var point in points.Where(point => !IsDone(point) && folder.Has(RecordOf(point))
            && folder.Has(WeightsOf(point))))
        {
            var row = RowOf(point, folder.Read<RunRecord>(RecordOf(point)));
            var best = Best();
            table.Append(row);
            var worse = best is null || row.IsBetterThan(best) ? best?.Point : point;
            if (worse is not null)
            {
                folder.Delete(WeightsOf(worse));
            }
        }
    }

    private static SweepRow RowOf(SweepPoint point, RunRecord record) => new(point, record.TrainableParameters,
        record.KeptStep, record.Validation, record.ValidationLoss, record.Seconds);

    /// <summary>The best row so far; of equals the first.</summary>
    private SweepRow? Best() => table.Rows.Aggregate((SweepRow?)null,
        (best, next) => best is null || next.IsBetterThan(best) ? next : best);

    /// <summary>
    /// Weights and record before the row, and the weights of the former best are deleted after it:
    /// whenever a kill comes, those of the best row are there.
    /// </summary>
    private void Store(SweepPoint point, RunRecord record, TextClassifier classifier)
    {
        var (row, best) = (RowOf(point, record), Best());
        var isBest = best is null || row.IsBetterThan(best);
        if (isBest)
        {
            TrainedWeights.Save(Path.Combine(folder.Path, WeightsOf(point)), classifier.Model);
        }
        folder.Write(RecordOf(point), record);
        table.Append(row);
        if (isBest && best is not null)
        {
            folder.Delete(WeightsOf(best.Point));
        }
    }

    /// <summary>
    /// The best row's weights, tested once: the accuracies are stored under the point's name.
    /// </summary>
    private SweepResult Evaluated(IReadOnlyList<SweepRow> rows)
    {
        var best = rows[0];
        var run = best.Point.Run(options);
        // a sweep that an older program began has no records of its runs
        var record = folder.Has(RecordOf(best.Point)) ? folder.Read<RunRecord>(RecordOf(best.Point))
            : new RunRecord(best.Point.Name, best.TrainableParameters, 0, best.KeptStep, best.Validation,
                best.ValidationLoss, best.Seconds, []);
        if (record.Test is null)
        {
            record = executor.Evaluate(run, record, Path.Combine(folder.Path, WeightsOf(best.Point)));
            folder.Write(RecordOf(best.Point), record);
        }
        return new SweepResult(rows, record.Train!.Value, record.Test!.Value);
    }

    private static string RecordOf(SweepPoint point) => Path.Combine("runs", $"{point.Name}.json");

    private static string WeightsOf(SweepPoint point) => Path.Combine("runs", $"{point.Name}.safetensors");
}
