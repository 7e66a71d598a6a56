using LoraScratch.Engine;

namespace LoraScratch.Lora;

/// <summary>
/// How A [in, rank] is initialised. B is always zero, so that a fresh LoRA layer changes nothing
/// (Hu et al. 2021, arXiv 2106.09685, section 4.1).
/// </summary>
internal enum LoRAInitialization
{
    /// <summary>
    /// Uniform in ±1/√in: Kaiming's rule with the layer's input as fan-in. The authors' loralib and
    /// PEFT do this, for they hold A as [rank, in], where torch's <c>kaiming_uniform_(a=√5)</c>
    /// reads in as the fan-in. The default.
    /// </summary>
    Kaiming,

    /// <summary>
    /// Uniform in ±1/√rank: what the same call gives on a matrix held as [in, rank], as the
    /// tutorial writes it; torch then reads rank as the fan-in. For in = 768 and rank = 8 the
    /// values are 9.8 times as large as <see cref="Kaiming"/>'s.
    /// </summary>
    KaimingOfRank,

    /// <summary>
    /// Normal with variance 1/rank, so standard deviation 1/√rank: the LoRA-from-scratch studio's.
    /// </summary>
    Normal,
}

/// <summary>The factor s on the product of A and B.</summary>
public enum LoRAScaling
{
    /// <summary>s = alpha/rank, as in the paper and in PEFT. The default.</summary>
    AlphaOverRank,

    /// <summary>s = alpha, whatever the rank, as the tutorials have it.</summary>
    Alpha,

    /// <summary>
    /// s = alpha/√rank, rank-stabilised (Kalajdzievski 2023, arXiv 2312.03732): the size of an
    /// update no longer falls as the rank grows.
    /// </summary>
    AlphaOverSqrtRank,
}

/// <summary>
/// Which biases b of the base model are trained beside A and B, as in loralib and PEFT.
/// </summary>
internal enum LoRABias
{
    /// <summary>None: the base stays as it is. The default.</summary>
    None,

    /// <summary>Those of the adapted layers.</summary>
    LoRAOnly,

    /// <summary>Every bias of the model, LayerNorm's β among them.</summary>
    All,
}

/// <summary>What one says about a LoRA adapter before it is attached.</summary>
/// <param name="Rank">r ≥ 1: the inner size of A [in, r] and B [r, out].</param>
/// <param name="Alpha">
/// alpha, finite and above 0; how it becomes the factor s says <paramref name="ScalingRule"/>.
/// </param>
/// <param name="ScalingRule">Rule for s.</param>
/// <param name="Dropout">
/// Probability in [0, 1) of dropping an element of the LoRA layer's input, in training only.
/// </param>
public sealed record LoRASettings(
    int Rank = 8, double Alpha = 16, LoRAScaling ScalingRule = LoRAScaling.AlphaOverRank,
    float Dropout = 0)
{
    private static readonly Dictionary<string, LoRAScaling> ScalingNames = new()
    {
        ["alpha-over-rank"] = LoRAScaling.AlphaOverRank,
        ["alpha"] = LoRAScaling.Alpha,
        ["alpha-over-sqrt-rank"] = LoRAScaling.AlphaOverSqrtRank,
    };

    private static readonly Dictionary<string, LoRAInitialization> InitializationNames = new()
    {
        ["kaiming"] = LoRAInitialization.Kaiming,
        ["kaiming-of-rank"] = LoRAInitialization.KaimingOfRank,
        ["normal"] = LoRAInitialization.Normal,
    };

    private static readonly Dictionary<string, QALoRAPooling> PoolingNames = new()
    {
        ["repository"] = QALoRAPooling.Repository,
        ["paper"] = QALoRAPooling.Paper,
        ["peft"] = QALoRAPooling.Peft,
    };

    // PEFT's words.
    private static readonly Dictionary<string, LoRABias> BiasNames = new()
    {
        ["none"] = LoRABias.None,
        ["lora_only"] = LoRABias.LoRAOnly,
        ["all"] = LoRABias.All,
    };

    /// <summary>
    /// How A is initialised; beside an embedding, where A begins as zero, how B is.
    /// </summary>
    internal LoRAInitialization Initialization { get; init; } = LoRAInitialization.Kaiming;

    /// <summary>
    /// Ranks of some layers: a regular expression for the end of a module's path → rank. The first
    /// that matches counts. As PEFT's rank_pattern.
    /// </summary>
    public IReadOnlyDictionary<string, int> RankPattern { get; init; } = new Dictionary<string, int>();

    /// <summary>Alphas of some layers, likewise. As PEFT's alpha_pattern.</summary>
    public IReadOnlyDictionary<string, double> AlphaPattern { get; init; } = new Dictionary<string, double>();

    /// <summary>Which biases of the base are trained too.</summary>
    internal LoRABias Bias { get; init; }

    /// <summary>
    /// The factor on the group sums of a quantised layer's input (QA-LoRA); without effect on float
    /// layers. As for the initial values, those of <see cref="QALoRALayer"/> have a rule of their
    /// own.
    /// </summary>
    internal QALoRAPooling Pooling { get; init; }

    /// <summary>The factor s on (x·A)·B.</summary>
    public float Scaling => (float)Factor(ScalingRule, Alpha, Rank);

    /// <summary>s before it is rounded to float32.</summary>
    /// <param name="rule">Rule for s.</param>
    /// <param name="alpha">alpha</param>
    /// <param name="rank">r</param>
    internal static double Factor(LoRAScaling rule, double alpha, int rank) => rule switch
    {
        LoRAScaling.AlphaOverRank => alpha / rank,
        LoRAScaling.AlphaOverSqrtRank => alpha / Math.Sqrt(rank),
        _ => alpha,
    };

    /// <summary>
    /// The scaling rule of a name: alpha-over-rank, alpha or alpha-over-sqrt-rank.
    /// </summary>
    /// <exception cref="InputException">There is no such name.</exception>
    internal static LoRAScaling ParseScaling(string name) => Parse(ScalingNames, "scaling", name);

    /// <summary>The initial values of a name: kaiming, kaiming-of-rank or normal.</summary>
    /// <exception cref="InputException">There is no such name.</exception>
    internal static LoRAInitialization ParseInitialization(string name) =>
        Parse(InitializationNames, "initialization", name);

    /// <summary>The biases of a name: none, lora_only or all.</summary>
    /// <exception cref="InputException">There is no such name.</exception>
    internal static LoRABias ParseBias(string name) => Parse(BiasNames, "bias", name);

    /// <summary>The convention of a name: repository, paper or peft.</summary>
    /// <exception cref="InputException">There is no such name.</exception>
    internal static QALoRAPooling ParsePooling(string name) => Parse(PoolingNames, "pooling", name);

    /// <summary>The name of a convention, as <see cref="ParsePooling"/> reads it.</summary>
    internal static string Name(QALoRAPooling pooling) => PoolingNames.Single(entry => entry.Value == pooling).Key;

    /// <summary>
    /// The name of a choice of biases, as <see cref="ParseBias"/> reads it, and PEFT too.
    /// </summary>
    internal static string Name(LoRABias bias) => BiasNames.Single(entry => entry.Value == bias).Key;

    /// <summary>The name of a scaling rule, as <see cref="ParseScaling"/> reads it.</summary>
    internal static string Name(LoRAScaling scaling) => ScalingNames.Single(entry => entry.Value == scaling).Key;

    /// <summary>
    /// The name of an initialization, as <see cref="ParseInitialization"/> reads it.
    /// </summary>
    internal static string Name(LoRAInitialization initialization) =>
        InitializationNames.Single(entry => entry.Value == initialization).Key;

    /// <summary>Throws where a value is out of range.</summary>
    /// <param name="where">What the message is about: the path of a layer, or "LoRA".</param>
    /// <exception cref="InputException">A value is out of range.</exception>
    internal void Check(string where)
    {
        if (Rank < 1)
        {
            throw new InputException($"{where}: the rank must be at least 1, got {Rank}. To leave a layer out, leave "
                + "it out of the targets.");
        }
        if (!double.IsFinite(Alpha) || Alpha <= 0)
        {
            throw new InputException($"{where}: alpha must be a number above 0, got {Alpha}. With alpha 0 the "
                + "adapter would never change anything.");
        }
        if (!(Dropout >= 0 && Dropout < 1))
        {
            throw new InputException($"{where}: the dropout probability must lie in [0, 1), got {Dropout}.");
        }
    }

    private static T Parse<T>(Dictionary<string, T> names, string option, string name) =>
        names.TryGetValue(name, out var value)
        ? value
        : throw new InputException(
            $"There is no LoRA {option} '{name}'; the names are {string.Join(", ", names.Keys)}.");
}
