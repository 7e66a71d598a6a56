using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;

namespace LoraScratch.Lora;

/// <summary>
/// The low-rank update of a linear layer, y = s·(x̃A)B with A [in, rank], B [rank, out], s from alpha and x̃ = dropout(x) (Hu et al. 2021, arXiv 2106.09685).
/// In the paper's letters, h = W₀x + s·BAx on column vectors, B there is Bᵀ here and A there Aᵀ: rows times matrices need no transpose at every turn. Files in
/// PEFT's format hold the paper's matrices, both transposed.
/// <para>The product is always taken through the rank, first x̃A [N, rank], then ·B: A·B [in, out] is as large as W itself and is never formed here.</para>
/// </summary>
public sealed class LoRALayer : Layer, ILoRALayer
{
    private readonly Slot<Dropout>? dropout;

    /// <summary>A layer that as yet adds nothing: A drawn, B zero.</summary>
    /// <param name="inFeatures">in</param> <param name="outFeatures">out</param> <param name="settings">Rank, alpha, scaling, initial values and dropout; its patterns are not looked at here.</param>
    /// <param name="random">Draws A and, in training, the dropout masks.</param> <param name="backend">Where to put it.</param>
    /// <exception cref="InputException">A setting is out of range.</exception>
    public LoRALayer(int inFeatures, int outFeatures, LoRASettings settings, RandomStream random, IBackend? backend = null)
    {
        settings.Check($"LoRALayer [{inFeatures} → {outFeatures}]");
        Settings = settings;
        var rank = settings.Rank;
        A = Add(new Parameter("A", Draw(settings.Initialization, inFeatures, rank, random), new Shape(inFeatures, rank), backend));
        B = Add(Parameter.Filled("B", 0, new Shape(rank, outFeatures), backend));       // s·(xA)·0 = 0: training starts from the base model
        dropout = settings.Dropout > 0 ? Add("dropout", new Dropout(settings.Dropout, random)) : null;
    }

    /// <summary>A layer as the tutorials create it, with the default scaling alpha/rank.</summary>
    /// <param name="inFeatures">in</param> <param name="outFeatures">out</param> <param name="rank">r ≥ 1</param> <param name="alpha">alpha above 0</param>
    /// <param name="random">Draws A.</param> <param name="backend">Where to put it.</param>
    public LoRALayer(int inFeatures, int outFeatures, int rank, double alpha, RandomStream random, IBackend? backend = null)
        : this(inFeatures, outFeatures, new LoRASettings(rank, alpha), random, backend)
    {
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
    /// <param name="x">[…, in]</param> <returns>[…, out]</returns>
    public override Tensor Forward(Tensor x)
    {
        using var scope = new TensorScope();
        return scope.Return(Drop(x).MatMul(A).MatMul(B, Scaling));
    }

    /// <summary>y + s·(x̃A)B, without a buffer for the second term.</summary>
    /// <param name="y">[…, out], the output of the layer that is adapted.</param> <param name="x">[…, in], its input.</param> <returns>[…, out]</returns>
    public Tensor AddTo(Tensor y, Tensor x)
    {
        using var scope = new TensorScope();
        return scope.Return(y.AddMatMul(Drop(x).MatMul(A), B, Scaling));
    }

    /// <inheritdoc/>
    protected override string Details => string.Create(CultureInfo.InvariantCulture,
        $"in_features={InFeatures}, out_features={OutFeatures}, rank={Rank}, alpha={Settings.Alpha}, scaling={Scaling}");

    private Tensor Drop(Tensor x) => dropout is null ? x : dropout.Value.Forward(x);

    private static float[] Draw(LoRAInitialization initialization, int inFeatures, int rank, RandomStream random) => initialization switch
    {
        LoRAInitialization.Kaiming => random.Uniform(new Shape(inFeatures, rank).Count, 1 / MathF.Sqrt(inFeatures)),
        LoRAInitialization.KaimingOfRank => random.Uniform(new Shape(inFeatures, rank).Count, 1 / MathF.Sqrt(rank)),
        LoRAInitialization.Normal => random.Normal(new Shape(inFeatures, rank).Count, 1 / MathF.Sqrt(rank)),
        _ => throw new ArgumentOutOfRangeException(nameof(initialization), initialization, "Unknown initialization."),
    };
}
