namespace LoraScratch.Lora.Classification;

/// <summary>In what one state of a model is better than another.</summary>
public enum ScoreMetric
{
    /// <summary>More guesses right.</summary>
    Accuracy,

    /// <summary>A larger <see cref="Evaluation.MacroF1"/>: every class counts alike.</summary>
    MacroF1,

    /// <summary>
    /// A larger <see cref="Evaluation.WeightedF1"/>: a class counts by the number of its examples.
    /// </summary>
    WeightedF1,

    /// <summary>A smaller loss.</summary>
    Loss,
}
