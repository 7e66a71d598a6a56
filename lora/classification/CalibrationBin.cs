namespace LoraScratch.Lora.Classification;

/// <summary>The answers whose probability is in an interval.</summary>
/// <param name="From">Its beginning, which is in the interval before.</param>
/// <param name="To">Its end, which is in it.</param>
/// <param name="Count">Answers.</param>
/// <param name="Right">Right ones.</param>
/// <param name="Sum">Of their probabilities.</param>
internal readonly record struct CalibrationBin(double From, double To, int Count, int Right, double Sum)
{
    /// <summary>Share of right answers; not a number without any answer.</summary>
    public double Accuracy => (double)Right / Count;

    /// <summary>Mean probability; not a number without any answer.</summary>
    public double Confidence => Sum / Count;
}
