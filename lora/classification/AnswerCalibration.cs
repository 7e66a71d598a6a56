namespace LoraScratch.Lora.Classification;

/// <summary>
/// Whether a model's probabilities are what they say: of the answers with a probability of about
/// 0.8, are 80 % right? Answers are put into ten bins of equal width by their probability, and
/// <see cref="ExpectedError"/> says how far accuracy and mean probability of a bin are apart. An
/// answer is the most probable class of a text; where any number of classes may hold, it is each
/// class of each text, and "right" means that the class holds.
/// </summary>
internal sealed class AnswerCalibration
{
    private const int BinCount = 10;

    /// <summary>The thresholds that <see cref="Thresholds"/> has.</summary>
    private static readonly double[] Levels = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];

    private readonly int[] counts = new int[BinCount], rights = new int[BinCount];
    private readonly double[] sums = new double[BinCount];
    private readonly int[] answered = new int[Levels.Length], rightlyAnswered = new int[Levels.Length];

    /// <summary>Number of answers.</summary>
    public int Count => counts.Sum();

    /// <summary>
    /// The bins, from 0 to 1. Bin m of M = 10 has the probabilities in ((m − 1)/M, m/M], the first
    /// one 0 too.
    /// </summary>
    public IReadOnlyList<CalibrationBin> Bins => [.. counts.Select((count, bin) =>
        new CalibrationBin((double)bin / BinCount, (bin + 1.0) / BinCount, count, rights[bin], sums[bin]))];

    /// <summary>
    /// Expected calibration error, ECE = Σ_m |B_m|/n · |acc(B_m) − conf(B_m)| over the bins B_m of
    /// n answers: Guo, Pleiss, Sun and Weinberger 2017, "On Calibration of Modern Neural Networks",
    /// equation 3. 0.05 means: on average over the answers, probability and accuracy are 5
    /// percentage points apart. It depends on the bins, and is above 0 by chance alone where there
    /// are few answers.
    /// </summary>
    public double ExpectedError => Bins.Where(bin => bin.Count > 0)
        .Sum(bin => (double)bin.Count / Count * Math.Abs(bin.Accuracy - bin.Confidence));

    /// <summary>What is answered, and how well, from each of some thresholds on.</summary>
    public IReadOnlyList<ThresholdCost> Thresholds => [.. Levels.Select((level, i) =>
        new ThresholdCost(level, answered[i], rightlyAnswered[i], Count, rights.Sum()))];

    /// <summary>Counts an answer.</summary>
    /// <param name="probability">From 0 to 1.</param>
    /// <param name="isRight">Whether it is right.</param>
    public void Add(double probability, bool isRight)
    {
        var bin = Enumerable.Range(0, BinCount - 1).TakeWhile(m => probability > (m + 1.0) / BinCount).Count();
        counts[bin]++;
        sums[bin] += probability;
        rights[bin] += isRight ? 1 : 0;
        for (var i = 0; i < Levels.Length && probability >= Levels[i]; i++)
        {
            answered[i]++;
            rightlyAnswered[i] += isRight ? 1 : 0;
        }
    }
}
