namespace LoraScratch.Lora;

/// <summary>
/// The factor κ on the group sums, P(x)[l] = κ·Σᵢ x[l·g + i] for groups of g out of in inputs.
/// Three are in use under one name; the same A and B mean something else under each.
/// </summary>
internal enum QALoRAPooling
{
    /// <summary>
    /// κ = 1/g, the mean of a group: the authors' code (yuhuixu1993/qa-lora). The default.
    /// </summary>
    Repository,

    /// <summary>
    /// κ = 1, the sum of a group: the paper (Xu et al. 2023, arXiv 2309.14717, algorithm 1).
    /// </summary>
    Paper,

    /// <summary>κ = (in/g)/g, the mean of a group times the number of groups: PEFT.</summary>
    Peft,
}

/// <summary>The arithmetic of <see cref="QALoRAPooling"/>.</summary>
internal static class QALoRAPoolings
{
    /// <summary>κ of a convention.</summary>
    /// <param name="pooling">The convention.</param>
    /// <param name="inFeatures">in</param>
    /// <param name="groupSize">g</param>
    public static double Factor(this QALoRAPooling pooling, int inFeatures, int groupSize) => pooling switch
    {
        QALoRAPooling.Repository => 1.0 / groupSize,
        QALoRAPooling.Paper => 1,
        QALoRAPooling.Peft => (double)(inFeatures / groupSize) / groupSize,
        _ => throw new ArgumentOutOfRangeException(nameof(pooling), pooling, "Unknown convention."),
    };

    /// <summary>
    /// The alpha (or s) under another convention with which the same A and B compute the same: s·κ
    /// stays, so it is multiplied by κ_from/κ_to. From the repository's convention to the paper's
    /// that is 1/g, to PEFT's g/in. PEFT's κ depends on the width of the layer: one alpha for
    /// layers of different widths becomes an alpha for each of them (PEFT's alpha_pattern).
    /// </summary>
    /// <param name="alpha">alpha, or s</param>
    /// <param name="from">The convention that it holds for.</param>
    /// <param name="to">The other one.</param>
    /// <param name="inFeatures">in of the layer</param>
    /// <param name="groupSize">g</param>
    public static double ConvertAlpha(double alpha, QALoRAPooling from, QALoRAPooling to, int inFeatures,
        int groupSize) =>
        from == to ? alpha : alpha * from.Factor(inFeatures, groupSize) / to.Factor(inFeatures, groupSize);

    /// <summary>
    /// Settings under another convention, for a layer of one width: what is trained computes the
    /// same with them.
    /// </summary>
    /// <param name="settings">The settings.</param>
    /// <param name="pooling">The other convention.</param>
    /// <param name="inFeatures">in of the layer</param>
    /// <param name="groupSize">g</param>
    public static LoRASettings In(this LoRASettings settings, QALoRAPooling pooling, int inFeatures, int groupSize) =>
        settings with
        {
            Alpha = ConvertAlpha(settings.Alpha, settings.Pooling, pooling, inFeatures, groupSize),
            Pooling = pooling
        };
}
