using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Lora.Explaining;

/// <summary>
/// A LoRA training step in double, each formula a line that can be exchanged: the closed forms of
/// <see cref="LoRAGradients"/> and <see cref="QALoRAGradients"/>, the sum over micro-batches, and
/// AdamW. <see cref="FormulaMutant"/> exchanges one of them for a wrong one.
/// </summary>
internal sealed record LoRAFormulas
{
    /// <summary>All of them as they should be.</summary>
    public static LoRAFormulas Right { get; } = new();

    /// <summary>dH = s·dY·Bᵀ</summary>
    public Func<LayerPass, DenseMatrix> DH { get; init; } = p => p.N.Scaling * (p.DY * p.N.B.Transpose());

    /// <summary>dB = s·Hᵀ·dY</summary>
    public Func<LayerPass, DenseMatrix> DB { get; init; } = p => p.N.Scaling * (p.H.Transpose() * p.DY);

    /// <summary>dA = Pᵀ·dH</summary>
    public Func<LayerPass, DenseMatrix> DA { get; init; } = p => p.P.Transpose() * p.DH;

    /// <summary>dX = dY·W + M ⊙ κ·(dH·Aᵀ)·Gᵀ</summary>
    public Func<LayerPass, DenseMatrix> DX { get; init; } =
        p => p.DY * p.N.W + p.N.ToInput(p.DH * p.N.A.Transpose());

    /// <summary>sum += share of a micro-batch</summary>
    public Func<DenseMatrix, DenseMatrix, DenseMatrix> Accumulate { get; init; } = (sum, share) => sum + share;

    /// <summary>w ← (1 − rate·decay)·w − rate·m̂/(√v̂ + ε)</summary>
    public Func<AdamElement, AdamElement> Update { get; init; } = e => AdamUpdate(e);

    /// <summary>The gradients of a batch that is taken in micro-batches.</summary>
    /// <param name="numbers">The batch.</param>
    /// <param name="dY">[N, out]</param>
    /// <param name="rows">Rows of each micro-batch.</param>
    public LayerGradients Gradients(LayerNumbers numbers, DenseMatrix dY, params IReadOnlyList<int> rows)
    {
        DenseMatrix a = new(numbers.A.Rows, numbers.A.Columns), b = new(numbers.B.Rows, numbers.B.Columns);
        var x = new List<double>();
        var first = 0;
        foreach (var count in rows.Count == 0 ? [numbers.Count] : rows)
        {
            var other = numbers.Slice(first == 0 ? numbers.Count - count : 0, count);
            var pass = new LayerPass(numbers.Slice(first, count), other, LayerNumbers.Rows(dY, first, count), this);
            a = Accumulate(a, DA(pass));
            b = Accumulate(b, DB(pass));
            x.AddRange(DX(pass).Values);
            first += count;
        }
        return new LayerGradients(a, b, new DenseMatrix(numbers.Count, numbers.X.Columns, [.. x]));
    }

    /// <summary>AdamW (Loshchilov and Hutter 2019) for one number.</summary>
    /// <param name="e">Before.</param>
    public static AdamElement AdamUpdate(AdamElement e)
    {
        var m = e.Beta1 * e.M + (1 - e.Beta1) * e.Gradient;
        var v = e.Beta2 * e.V + (1 - e.Beta2) * e.Gradient * e.Gradient;
        var (mHat, vHat) = (m / (1 - Math.Pow(e.Beta1, e.Number)), v / (1 - Math.Pow(e.Beta2, e.Number)));
        return e with
        {
            M = m,
            V = v,
            Weight = (1 - e.Rate * e.Decay) * e.Weight - e.Rate * mHat / (Math.Sqrt(vHat) + e.Epsilon),
        };
    }
}

/// <summary>One micro-batch in the middle of its backward pass.</summary>
/// <param name="N">Its numbers.</param>
/// <param name="Other">Those of another one: an error when it is used.</param>
/// <param name="DY">dY [N, out]</param>
/// <param name="Formulas">Computes the rest.</param>
internal sealed record LayerPass(LayerNumbers N, LayerNumbers Other, DenseMatrix DY, LoRAFormulas Formulas)
{
    private readonly Lazy<DenseMatrix> p = new(N.Pooled), h = new(() => N.Pooled() * N.A);

    /// <summary>P [N, in/g]</summary>
    public DenseMatrix P => p.Value;

    /// <summary>H = P·A [N, r]</summary>
    public DenseMatrix H => h.Value;

    /// <summary>dH [N, r]</summary>
    public DenseMatrix DH => Formulas.DH(this);
}

/// <summary>What a backward pass gives.</summary>
/// <param name="A">dA</param>
/// <param name="B">dB</param>
/// <param name="X">dX</param>
internal sealed record LayerGradients(DenseMatrix A, DenseMatrix B, DenseMatrix X);

/// <summary>One number in AdamW.</summary>
internal readonly record struct AdamElement(double Weight, double Gradient, double M, double V, int Number, double Rate,
    double Beta1, double Beta2, double Epsilon, double Decay);
