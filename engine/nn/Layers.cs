using LoraScratch.Kernels;

namespace LoraScratch.Engine.NN;

/// <summary>
/// What gives every token id a vector: an <see cref="Embedding"/>, or one with a low-rank update
/// beside it.
/// </summary>
internal interface ITokenLayer
{
    /// <summary>The vectors of the given ids.</summary>
    /// <param name="ids">[n]</param>
    /// <returns>[n, width]</returns>
    Tensor Forward(Indices ids);
}

/// <summary>
/// A table E of vectors, one per token id; as a linear layer, y = xE, whose inputs are rows with a
/// single 1, of which only the place is given.
/// </summary>
public sealed class Embedding : WeightLayer, ITokenLayer
{
    /// <summary>A table with normal initial values.</summary>
    /// <param name="count">Number of vectors.</param>
    /// <param name="width">Elements of a vector.</param>
    /// <param name="random">Source of the initial values.</param>
    /// <param name="standardDeviation">
    /// Of the initial values: 1 as torch.nn.Embedding, 0.02 as BERT.
    /// </param>
    /// <param name="backend">Where to put it.</param>
    public Embedding(int count, int width, RandomStream random, float standardDeviation = 1, IBackend? backend = null)
        : this(new Parameter("weight", random.Normal(new Shape(count, width).Count, standardDeviation),
            new Shape(count, width), backend))
    {
    }

    /// <summary>A table of given values.</summary>
    /// <param name="weight">[count, width]</param>
    /// <exception cref="ShapeMismatchException">It is no matrix.</exception>
    public Embedding(Parameter weight) => Weight = weight.Shape.Rank == 2
        ? Add(weight)
        : throw new ShapeMismatchException($"Embedding: needs a weight of shape [count, width], got {weight.Shape}.");

    /// <summary>E [count, width]: a <see cref="Linear"/> has it transposed.</summary>
    public override Parameter Weight { get; }

    /// <summary>Null: vectors have none.</summary>
    public override Parameter? Bias => null;

    /// <summary>True</summary>
    public override bool IsEmbedding => true;

    /// <summary>xE: mixtures of the vectors.</summary>
    /// <param name="x">[…, count], the share of each vector.</param>
    /// <returns>[…, width]</returns>
    public override Tensor Forward(Tensor x) => x.MatMul(Weight);

    /// <summary>The vectors of the given ids.</summary>
    /// <param name="ids">[n]</param>
    /// <returns>[n, width]</returns>
    public Tensor Forward(Indices ids) => Weight.Gather(ids);

    /// <inheritdoc/>
    protected override string Details => $"{Weight.Shape[0]}, {Weight.Shape[1]}";
}

/// <summary>
/// Normalises each row and scales it by learned γ and β; see <see cref="Ops.LayerNorm"/>.
/// </summary>
public sealed class LayerNorm : Layer
{
    /// <summary>γ = 1, β = 0.</summary>
    /// <param name="width">Elements of a row.</param>
    /// <param name="epsilon">ε, added to the variance.</param>
    /// <param name="backend">Where to put it.</param>
    public LayerNorm(int width, float epsilon = 1e-5f, IBackend? backend = null)
    {
        Weight = Add(Parameter.Filled("weight", 1, new Shape(width), backend));
        Bias = Add(Parameter.Filled("bias", 0, new Shape(width), backend));
        Epsilon = epsilon;
    }

    /// <summary>γ [width]</summary>
    public Parameter Weight { get; }

    /// <summary>β [width]</summary>
    public Parameter Bias { get; }

    /// <summary>ε</summary>
    public float Epsilon { get; }

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x) => x.LayerNorm(Weight, Bias, Epsilon);

    /// <summary>
    /// That of u + v, a residual connection: see <see cref="Ops.LayerNormOfSum"/>.
    /// </summary>
    /// <param name="u">[…, width]</param>
    /// <param name="v">The same shape.</param>
    /// <returns>[…, width]</returns>
    /// <exception cref="ShapeMismatchException">
    /// The shapes differ, or are not of this width.
    /// </exception>
    public Tensor ForwardSum(Tensor u, Tensor v) => u.LayerNormOfSum(v, Weight, Bias, Epsilon);

    /// <inheritdoc/>
    protected override string Details =>
        FormattableString.Invariant($"({Weight.Shape[0]},), eps={Epsilon}")
        .Replace("E-", "e-", StringComparison.Ordinal);
}

/// <summary>
/// In training, drops each element with probability p and scales the others by 1/(1−p); in
/// evaluation does nothing.
/// </summary>
/// <param name="probability">p in [0, 1)</param>
/// <param name="random">
/// Draws the seed of each mask; share one stream among the layers of a model.
/// </param>
public sealed class Dropout(float probability, RandomStream random) : Layer
{
    /// <summary>p</summary>
    public float Probability { get; } = Checked(probability);

    /// <summary>Draws the seed of each mask.</summary>
    public RandomStream Random { get; } = random;

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x) =>
        IsTraining && Probability > 0 ? x.Dropout(Probability, Random.NextSeed(), ChosenRows.Current) : x;

    /// <inheritdoc/>
    protected override string Details => FormattableString.Invariant($"p={Probability}");

    private static float Checked(float probability)
    {
        Ops.RequireProbability(probability);
        return probability;
    }
}

/// <summary>max(x, 0) as a layer.</summary>
public sealed class Relu : Layer
{
    /// <inheritdoc/>
    public override Tensor Forward(Tensor x) => x.Relu();
}

/// <summary>Layers one after the other, named 0, 1, 2, …</summary>
public sealed class Sequential : Layer
{
    private readonly List<Submodule<Layer>> layers = [];

    /// <summary>A chain of layers.</summary>
    public Sequential(params ReadOnlySpan<Layer> layers)
    {
        foreach (var layer in layers)
        {
            this.layers.Add(Add(this.layers.Count.ToString(System.Globalization.CultureInfo.InvariantCulture), layer));
        }
    }

    /// <summary>The layer at a position.</summary>
    public Layer this[int index] => layers[index].Value;

    /// <inheritdoc/>
    public override Tensor Forward(Tensor x)
    {
        using var scope = new TensorScope();
        foreach (var layer in layers)
        {
            var input = x;
            x = layer.Value.Forward(input);
            if (x != input)                     // Dropout in evaluation hands its input on
            {
                scope.Release(input);
            }
        }
        return scope.Return(x);
    }
}
