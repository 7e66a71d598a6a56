using LoraScratch.Engine;

namespace LoraScratch.Lora;

/// <summary>
/// The factor κ on the group sums, P(x)[l] = κ·Σᵢ x[l·g + i] for groups of g out of in inputs. Three are in use under one name; the same A and B mean something else under each.
/// </summary>
public enum QALoRAPooling
{
    /// <summary>κ = 1/g, the mean of a group: the authors' code (yuhuixu1993/qa-lora). The default.</summary>
    Repository,

    /// <summary>κ = 1, the sum of a group: the paper (Xu et al. 2023, arXiv 2309.14717, algorithm 1).</summary>
    Paper,

    /// <summary>κ = (in/g)/g, the mean of a group times the number of groups: PEFT.</summary>
    Peft,
}

/// <summary>What one says about QA-LoRA before it is attached.</summary>
/// <param name="Rank">r ≥ 1: the inner size of A [in/g, r] and B [r, out].</param>
/// <param name="Alpha">alpha, finite and above 0; how it becomes the factor s says <paramref name="ScalingRule"/>.</param>
/// <param name="Pooling">The factor on the group sums.</param>
/// <param name="ScalingRule">Rule for s.</param>
/// <param name="Dropout">Probability in [0, 1) of dropping an element of the input before it is pooled, in training only.</param>
public sealed record QALoRASettings(
    int Rank = 8, double Alpha = 16, QALoRAPooling Pooling = QALoRAPooling.Repository, LoRAScaling ScalingRule = LoRAScaling.AlphaOverRank, float Dropout = 0)
{
    private static readonly Dictionary<string, QALoRAPooling> PoolingNames = new()
    {
        ["repository"] = QALoRAPooling.Repository,
        ["paper"] = QALoRAPooling.Paper,
        ["peft"] = QALoRAPooling.Peft,
    };

    /// <summary>The factor s on (P(x)·A)·B.</summary>
    public float Scaling => (float)LoRASettings.Factor(ScalingRule, Alpha, Rank);

    /// <summary>κ of a convention.</summary>
    /// <param name="pooling">The convention.</param> <param name="inFeatures">in</param> <param name="groupSize">g</param>
    public static double PoolingFactor(QALoRAPooling pooling, int inFeatures, int groupSize) => pooling switch
    {
        QALoRAPooling.Repository => 1.0 / groupSize,
        QALoRAPooling.Paper => 1,
        QALoRAPooling.Peft => (double)(inFeatures / groupSize) / groupSize,
        _ => throw new ArgumentOutOfRangeException(nameof(pooling), pooling, "Unknown convention."),
    };

    /// <summary>
    /// The alpha (or s) under another convention with which the same A and B compute the same: s·κ stays, so it is multiplied by κ_from/κ_to. From the repository's convention to the paper's that is
    /// 1/g, to PEFT's g/in. PEFT's κ depends on the width of the layer: one alpha for layers of different widths becomes an alpha for each of them (PEFT's alpha_pattern).
    /// </summary>
    /// <param name="alpha">alpha, or s</param> <param name="from">The convention that it holds for.</param> <param name="to">The other one.</param>
    /// <param name="inFeatures">in of the layer</param> <param name="groupSize">g</param>
    public static double ConvertAlpha(double alpha, QALoRAPooling from, QALoRAPooling to, int inFeatures, int groupSize) =>
        from == to ? alpha : alpha * PoolingFactor(from, inFeatures, groupSize) / PoolingFactor(to, inFeatures, groupSize);

    /// <summary>These settings under another convention, for a layer of one width: what is trained computes the same with them.</summary>
    /// <param name="pooling">The other convention.</param> <param name="inFeatures">in of the layer</param> <param name="groupSize">g</param>
    public QALoRASettings In(QALoRAPooling pooling, int inFeatures, int groupSize) =>
        this with { Alpha = ConvertAlpha(Alpha, Pooling, pooling, inFeatures, groupSize), Pooling = pooling };

    /// <summary>The convention of a name: repository, paper or peft.</summary>
    /// <exception cref="InputException">There is no such name.</exception>
    public static QALoRAPooling ParsePooling(string name) => PoolingNames.TryGetValue(name, out var pooling)
        ? pooling
        : throw new InputException($"There is no QA-LoRA pooling '{name}'; the names are {string.Join(", ", PoolingNames.Keys)}.");

    /// <summary>The name of a convention, as <see cref="ParsePooling"/> reads it.</summary>
    public static string Name(QALoRAPooling pooling) => PoolingNames.Single(entry => entry.Value == pooling).Key;

    /// <summary>Throws where a value is out of range.</summary>
    /// <param name="where">What the message is about: the path of a layer, or "QA-LoRA".</param>
    /// <exception cref="InputException">A value is out of range.</exception>
    internal void Check(string where) => new LoRASettings(Rank, Alpha, ScalingRule, Dropout: Dropout).Check(where);
}
