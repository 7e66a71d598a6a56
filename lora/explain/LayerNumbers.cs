using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Lora.Explaining;

/// <summary>
/// The numbers of one batch in one adapted layer, in double: y = xWᵀ + b + s·(P(x̃)A)B. In LoRA P
/// is the input itself, in QA-LoRA it is pooled over groups and W is what the codes stand for.
/// </summary>
/// <param name="X">[N, in]</param>
/// <param name="W">[out, in]</param>
/// <param name="Bias">b [out]; zeros where the layer has none</param>
/// <param name="A">[in, r], or with a pooled input [in/g, r]</param>
/// <param name="B">[r, out]</param>
/// <param name="Scaling">s</param>
/// <param name="Mask">
/// M/(1 − p) [N, in]: 0 where dropout took an element, else 1/(1 − p); null: no dropout.
/// </param>
/// <param name="GroupSize">g; 1 in LoRA</param>
/// <param name="PoolingFactor">κ; 1 in LoRA</param>
internal sealed record LayerNumbers(DenseMatrix X, DenseMatrix W, double[] Bias, DenseMatrix A, DenseMatrix B,
    double Scaling, DenseMatrix? Mask = null, int GroupSize = 1, double PoolingFactor = 1)
{
    /// <summary>
    /// The masks of another training step, which must not be taken for this one's.
    /// </summary>
    public DenseMatrix? MaskOfAnotherStep { get; init; }

    /// <summary>N</summary>
    public int Count => X.Rows;

    /// <summary>Some rows of the batch: a micro-batch.</summary>
    public LayerNumbers Slice(int first, int count) => this with
    {
        X = Rows(X, first, count),
        Mask = Mask is null ? null : Rows(Mask, first, count),
        MaskOfAnotherStep = MaskOfAnotherStep is null ? null : Rows(MaskOfAnotherStep, first, count),
    };

    /// <summary>
    /// Absolute values: with them a formula gives the sum of the absolute values of its terms,
    /// which is what rounding errors are measured by.
    /// </summary>
    public LayerNumbers Absolute() => this with
    {
        X = Absolute(X),
        W = Absolute(W),
        Bias = Array.ConvertAll(Bias, Math.Abs),
        A = Absolute(A),
        B = Absolute(B),
        Scaling = Math.Abs(Scaling),
    };

    /// <summary>P [N, in/g], what A is multiplied with: x̃, or its pooled groups.</summary>
    public DenseMatrix Pooled()
    {
        var dropped = Mask is null ? X : Product(X, Mask);
        if (GroupSize == 1)
        {
            return PoolingFactor == 1 ? dropped : PoolingFactor * dropped;
        }
        var pooled = new DenseMatrix(X.Rows, X.Columns / GroupSize);
        for (var n = 0; n < X.Rows; n++)
        {
            for (var i = 0; i < X.Columns; i++)
            {
                pooled[n, i / GroupSize] += PoolingFactor * dropped[n, i];
            }
        }
        return pooled;
    }

    /// <summary>Y [N, out]</summary>
    public DenseMatrix Forward()
    {
        var y = X * W.Transpose() + Scaling * (Pooled() * A * B);
        for (var n = 0; n < y.Rows; n++)
        {
            for (var j = 0; j < y.Columns; j++)
            {
                y[n, j] += Bias[j];
            }
        }
        return y;
    }

    /// <summary>M ⊙ κ·dP·Gᵀ [N, in]: the gradient of P on its way back to X.</summary>
    public DenseMatrix ToInput(DenseMatrix dP)
    {
        var dX = new DenseMatrix(X.Rows, X.Columns);
        for (var n = 0; n < X.Rows; n++)
        {
            for (var i = 0; i < X.Columns; i++)
            {
                dX[n, i] = PoolingFactor * dP[n, i / GroupSize] * (Mask is null ? 1 : Mask[n, i]);
            }
        }
        return dX;
    }

    /// <summary>Element by element.</summary>
    public static DenseMatrix Product(DenseMatrix a, DenseMatrix b) =>
        new(a.Rows, a.Columns, [.. a.Values.Zip(b.Values, (x, y) => x * y)]);

    /// <summary>Element by element.</summary>
    public static DenseMatrix Absolute(DenseMatrix a) => new(a.Rows, a.Columns, Array.ConvertAll(a.Values, Math.Abs));

    /// <summary>Some rows, copied.</summary>
    public static DenseMatrix Rows(DenseMatrix a, int first, int count) =>
        new(count, a.Columns, a.Values[(first * a.Columns)..((first + count) * a.Columns)]);

    /// <summary>A tensor as a matrix [rows, columns].</summary>
    public static DenseMatrix From(IReadOnlyList<float> values, Shape shape) =>
        DenseMatrix.From(values as float[] ?? [.. values], shape.Rows, shape.Columns);
}
