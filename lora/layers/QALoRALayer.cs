using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;

namespace LoraScratch.Lora;

/// <summary>
/// The update of a quantised linear layer, y = s·(P(x̃)A)B with P(x)[l] = κ·Σᵢ x[l·g + i], the
/// input pooled over each group of g, A [in/g, rank] and B [rank, out] (Xu et al. 2023, arXiv
/// 2309.14717). All inputs of a group share a row of A: the update of a weight is the same for the
/// whole group, and so it goes into the group's zero (<see cref="QALoRAMerge"/>) without leaving
/// the whole numbers. κ: <see cref="QALoRAPooling"/>; gradients: <see cref="QALoRAGradients"/>.
/// <para>
/// A is initialised uniformly in ±√(6/(in/g + rank)) (Xavier's rule, as the authors'), B is zero: a
/// new layer adds nothing.
/// </para>
/// </summary>
internal sealed class QALoRALayer : Layer, ILoRALayer
{
    private readonly Submodule<Dropout>? dropout;

    /// <summary>A layer that as yet adds nothing.</summary>
    /// <param name="inFeatures">in, a multiple of g</param>
    /// <param name="outFeatures">out</param>
    /// <param name="groupSize">g</param>
    /// <param name="settings">
    /// Rank, alpha, scaling, pooling and dropout; its initial values and patterns are not looked at
    /// here.
    /// </param>
    /// <param name="random">Draws A and, in training, the dropout masks.</param>
    /// <exception cref="InputException">
    /// A setting is out of range, or the groups do not divide the input.
    /// </exception>
    public QALoRALayer(int inFeatures, int outFeatures, int groupSize, LoRASettings settings, RandomStream random,
        IBackend? backend = null)
    {
        settings.Check($"QALoRALayer [{inFeatures} → {outFeatures}]");
        if (groupSize < 1 || inFeatures < 1 || inFeatures % groupSize != 0)
        {
            throw new InputException($"QALoRALayer [{inFeatures} → {outFeatures}]: groups of {groupSize} do not "
                + $"divide the {inFeatures} inputs.");
        }
        (Settings, GroupSize) = (settings, groupSize);
        var (groups, rank) = (inFeatures / groupSize, settings.Rank);
        A = Add(new Parameter("A", random.Uniform(groups * rank, MathF.Sqrt(6f / (groups + rank))),
            new Shape(groups, rank), backend));
        // s·(P(x)A)·0 = 0: training starts from the quantised model
        B = Add(Parameter.Filled("B", 0, new Shape(rank, outFeatures), backend));
        dropout = settings.Dropout > 0 ? Add("dropout", new Dropout(settings.Dropout, random)) : null;
    }

    /// <summary>[in/g, rank]</summary>
    public Parameter A { get; }

    /// <summary>[rank, out]</summary>
    public Parameter B { get; }

    /// <summary>What the layer was created with.</summary>
    public LoRASettings Settings { get; }

    /// <summary>g: inputs that are pooled into one.</summary>
    public int GroupSize { get; }

    /// <summary>r</summary>
    public int Rank => A.Shape[1];

    /// <summary>in/g</summary>
    public int Groups => A.Shape[0];

    /// <summary>Width of the input.</summary>
    public int InFeatures => Groups * GroupSize;

    /// <summary>Width of the output.</summary>
    public int OutFeatures => B.Shape[1];

    /// <summary>The factor s on (P(x̃)A)B.</summary>
    public float Scaling => Settings.Scaling;

    /// <summary>κ</summary>
    public double PoolingFactor => Settings.Pooling.Factor(InFeatures, GroupSize);

    /// <summary>s·(P(x̃)A)B</summary>
    /// <param name="x">[…, in]</param>
    /// <returns>[…, out]</returns>
    public override Tensor Forward(Tensor x)
    {
        using var scope = new TensorScope();
        return scope.Return(Pool(x).MatMul(A).MatMul(B, Scaling));
    }

    /// <summary>y + s·(P(x̃)A)B, without a buffer for the second term.</summary>
    /// <param name="y">[…, out], the output of the layer that is adapted.</param>
    /// <param name="x">[…, in], its input.</param>
    /// <returns>[…, out]</returns>
    public Tensor AddTo(Tensor y, Tensor x)
    {
        using var scope = new TensorScope();
        return scope.Return(y.AddMatMul(Pool(x).MatMul(A), B, Scaling));
    }

    /// <inheritdoc/>
    protected override string Details => string.Create(CultureInfo.InvariantCulture,
        $"in_features={InFeatures}, out_features={OutFeatures}, group_size={GroupSize}, rank={Rank}, "
            + $"alpha={Settings.Alpha}, scaling={Scaling}, pooling={LoRASettings.Name(Settings.Pooling)}");

    private Tensor Pool(Tensor x) =>
        (dropout is null ? x : dropout.Value.Forward(x)).GroupSum(GroupSize, (float)PoolingFactor);
}
