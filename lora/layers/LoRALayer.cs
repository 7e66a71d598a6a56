using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;

namespace LoraScratch.Lora;

/// <summary>
/// The low-rank update of a linear layer, y = s·(x̃A)B with A [in, rank], B [rank, out], s from
/// alpha and x̃ = dropout(x) (Hu et al. 2021, arXiv 2106.09685). In the paper's letters, h = W₀x +
/// s·BAx on column vectors, B there is Bᵀ here and A there Aᵀ: rows times matrices need no
/// transpose at every turn. Files in PEFT's format hold the paper's matrices, both transposed.
/// <para>
/// The product is always taken through the rank, first x̃A [N, rank], then ·B: A·B [in, out] is as
/// large as W itself and is never formed here.
/// </para>
/// </summary>
public sealed class LoRALayer : Layer, ILoRALayer
{
    private readonly Submodule<Dropout>? dropout;

    /// <summary>A layer that as yet adds nothing: A random, B zero.</summary>
    /// <param name="inFeatures">in</param>
    /// <param name="outFeatures">out</param>
    /// <param name="settings">
    /// Rank, alpha, scaling, initial values and dropout; its patterns are not looked at here.
    /// </param>
    /// <param name="random">Draws A and, in training, the dropout masks.</param>
    /// <param name="backend">Where to put it.</param>
    /// <exception cref="InputException">A setting is out of range.</exception>
    public LoRALayer(int inFeatures, int outFeatures, LoRASettings settings, RandomStream random,
        IBackend? backend = null)
    {
        settings.Check($"LoRALayer [{inFeatures} → {outFeatures}]");
        Settings = settings;
        A = Add(Initialized("A", new Shape(inFeatures, settings.Rank), inFeatures, settings, random, backend));
        // s·(xA)·0 = 0: training starts from the base model
        B = Add(Parameter.Filled("B", 0, new Shape(settings.Rank, outFeatures), backend));
        dropout = settings.Dropout > 0 ? Add("dropout", new Dropout(settings.Dropout, random)) : null;
    }

    private LoRALayer(Parameter a, Parameter b, LoRASettings settings) => (A, B, Settings) = (Add(a), Add(b), settings);

    /// <summary>A layer as the tutorials create it, with the default scaling alpha/rank.</summary>
    /// <param name="inFeatures">in</param>
    /// <param name="outFeatures">out</param>
    /// <param name="rank">r ≥ 1</param>
    /// <param name="alpha">alpha above 0</param>
    /// <param name="random">Draws A.</param>
    /// <param name="backend">Where to put it.</param>
    public LoRALayer(int inFeatures, int outFeatures, int rank, double alpha, RandomStream random,
        IBackend? backend = null)
        : this(inFeatures, outFeatures, new LoRASettings(rank, alpha), random, backend)
    {
    }

    /// <summary>
    /// The update of an embedding table, which as yet adds nothing either: A [count, rank] zero, B
    /// [rank, width] random, with the width as its fan-in; no dropout. See
    /// <see cref="EmbeddingWithLoRA"/>.
    /// </summary>
    internal static LoRALayer ForEmbedding(int count, int width, LoRASettings settings, RandomStream random,
        IBackend backend)
    {
        settings.Check($"EmbeddingWithLoRA [{count}, {width}]");
        return new LoRALayer(Parameter.Filled("A", 0, new Shape(count, settings.Rank), backend),
            Initialized("B", new Shape(settings.Rank, width), width, settings, random, backend), settings);
    }

    /// <summary>[in, rank]</summary>
    public Parameter A { get; }

    /// <summary>[rank, out]</summary>
    public Parameter B { get; }

    /// <summary>What the layer was created with.</summary>
    public LoRASettings Settings { get; }

    /// <summary>r</summary>
    public int Rank => A.Shape[1];

    /// <summary>The factor s on (x̃A)B.</summary>
    public float Scaling => Settings.Scaling;

    /// <summary>Width of the input.</summary>
    public int InFeatures => A.Shape[0];

    /// <summary>Width of the output.</summary>
    public int OutFeatures => B.Shape[1];

    /// <summary>s·(x̃A)B</summary>
    /// <param name="x">[…, in]</param>
    /// <returns>[…, out]</returns>
    public override Tensor Forward(Tensor x)
    {
        using var scope = new TensorScope();
        return scope.Return(Drop(x).MatMul(A).MatMul(B, Scaling));
    }

    /// <summary>y + s·(x̃A)B, without a buffer for the second term.</summary>
    /// <param name="y">[…, out], the output of the layer that is adapted.</param>
    /// <param name="x">[…, in], its input.</param>
    /// <returns>[…, out]</returns>
    public Tensor AddTo(Tensor y, Tensor x)
    {
        using var scope = new TensorScope();
        return scope.Return(y.AddMatMul(Drop(x).MatMul(A), B, Scaling));
    }

    /// <summary>
    /// xWᵀ + b + s·(x̃A)B of a linear layer in one kernel, without a buffer for its own output
    /// either.
    /// </summary>
    /// <param name="linear">The layer that is adapted: W [out, in] and b.</param>
    /// <param name="x">[…, in]</param>
    /// <returns>[…, out]</returns>
    public Tensor AddTo(Linear linear, Tensor x)
    {
        using var scope = new TensorScope();
        return scope.Return(x.LinearPlusMatMul(linear.Weight, linear.Bias, Drop(x).MatMul(A), B, Scaling));
    }

    /// <inheritdoc/>
    protected override string Details => string.Create(CultureInfo.InvariantCulture,
        $"in_features={InFeatures}, out_features={OutFeatures}, rank={Rank}, alpha={Settings.Alpha}, "
        + $"scaling={Scaling}");

    private Tensor Drop(Tensor x) => dropout is null ? x : dropout.Value.Forward(x);

    private static Parameter Initialized(string name, Shape shape, int fanIn, LoRASettings settings,
        RandomStream random,
        IBackend? backend) => new(name, settings.Initialization switch
        {
            LoRAInitialization.Kaiming => random.Uniform(shape.Count, 1 / MathF.Sqrt(fanIn)),
            LoRAInitialization.KaimingOfRank => random.Uniform(shape.Count, 1 / MathF.Sqrt(settings.Rank)),
            LoRAInitialization.Normal => random.Normal(shape.Count, 1 / MathF.Sqrt(settings.Rank)),
            var other => throw new ArgumentOutOfRangeException(nameof(settings), other, "Unknown initialization."),
        }, shape, backend);
}
