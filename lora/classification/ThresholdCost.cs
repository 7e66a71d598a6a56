namespace LoraScratch.Lora.Classification;

/// <summary>
/// What a threshold costs: answers below it are not given ("unsure"), and those that are given are
/// right more often.
/// </summary>
/// <param name="Threshold">The least probability of an answer that is given.</param>
/// <param name="Answered">Answers that are given.</param>
/// <param name="Right">Right ones of them.</param>
/// <param name="Count">All answers.</param>
/// <param name="AllRight">Right ones of all.</param>
internal readonly record struct ThresholdCost(double Threshold, int Answered, int Right, int Count, int AllRight)
{
    /// <summary>Share of the answers that are given.</summary>
    public double Share => (double)Answered / Count;

    /// <summary>
    /// Share of right ones of those (where any number of classes may hold, their precision); null
    /// without any.
    /// </summary>
    public double? Accuracy => Answered == 0 ? null : (double)Right / Answered;

    /// <summary>
    /// Share of what is right that is given; where any number of classes may hold, the recall; null
    /// where nothing is right.
    /// </summary>
    public double? Recall => AllRight == 0 ? null : (double)Right / AllRight;
}
