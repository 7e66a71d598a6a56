namespace LoraScratch.Engine.NN;

/// <summary>
/// A fully connected layer on whole numbers of 8 bits, y ≈ xWᵀ + b, for prediction ("dynamic
/// quantisation"): the weight is rounded once, when the layer is made, and every row of x on the
/// fly.
/// <para>
/// <b>Symbols.</b> N rows; X [N, in]; W [out, in]; Y [N, out]. q[n, i], 0 to 255, are the codes of
/// X, and β, ζ those of its row n; c[j, i], −127 to 127, are the codes of W, and α that of its row
/// j.
/// </para>
/// <para><b>Weight</b>, symmetric, a scale for each output:</para>
/// <code>
/// α[j] = maxᵢ |w[j, i]| / 127        c[j, i] = round(w[j, i] / α[j])        ŵ[j, i] = α[j]·c[j, i]
/// </code>
/// <para>
/// <b>Input</b>, asymmetric, a scale β and a zero ζ for each row, from its smallest and largest
/// number (and 0, which so always has a code of its own):
/// </para>
/// <code>
/// β[n] = (hi − lo) / 255             ζ[n] = round(−lo / β[n])
/// q[n, i] = round(x[n, i] / β[n]) + ζ[n], cut to 0 … 255                    x̂[n, i] = β[n]·(q[n, i] − ζ[n])
/// </code>
/// <para>
/// <b>Product.</b> Scales and zero leave the sum over the inputs, and what is left are whole
/// numbers:
/// </para>
/// <code>
/// Σᵢ x̂[n, i]·ŵ[j, i] = β[n]·α[j]·( S[n, j] − ζ[n]·C[j] ),    S[n, j] = Σᵢ q[n, i]·c[j, i],    C[j] = Σᵢ c[j, i]
/// y[n, j] = β[n]·α[j]·( S[n, j] − ζ[n]·C[j] ) + b[j]
/// </code>
/// <para>
/// S is exact in 32 bits for up to 66311 inputs, and is the whole work: processors multiply and add
/// four pairs of bytes where they do one pair of floats. C does not depend on x and is computed
/// once.
/// </para>
/// <para>
/// <b>Error.</b> Rounding moves x by at most β/2 and w by at most α/2, so that, but for roundings
/// of float32,
/// </para>
/// <code>|y[n, j] − (xWᵀ + b)[n, j]| ≤ β[n]/2 · Σᵢ |w[j, i]| + α[j]/2 · Σᵢ |x̂[n, i]|</code>
/// <para>
/// and, as the roundings of different inputs have different signs, usually no more than about 1/√in
/// of that bound.
/// </para>
/// <para>
/// <b>Why a zero.</b> A symmetric code of a row has steps of max|x|/127, twice as wide as (hi −
/// lo)/255 where all numbers have one sign. The outputs of GELU, which the widest product of a
/// transformer reads, are nearly so: from −0.17 up. The zero costs one multiplication and one
/// subtraction for each element of Y, and nothing in the sum, where unsigned codes are what the
/// processors' instructions ask for anyway. A range for each row, not for the whole batch, keeps
/// the result of a text independent of the texts beside it.
/// </para>
/// <para>
/// <b>No gradient</b> for x or W: see <see cref="Ops.DynamicInt8Linear"/>. The bias stays float32
/// and has one.
/// </para>
/// </summary>
internal sealed class DynamicInt8Linear : PackedLinear<ChannelQuantizedWeight>
{
    /// <summary>A layer on a given weight, which it owns from now on.</summary>
    /// <param name="weight">Ŵ [out, in]</param>
    /// <param name="bias">b [out], or null for none.</param>
    /// <exception cref="ShapeMismatchException">
    /// The bias does not have one element per output.
    /// </exception>
    public DynamicInt8Linear(ChannelQuantizedWeight weight, Parameter? bias = null) : base(weight, bias)
    {
    }

    /// <summary>False: inputs are rounded on the way.</summary>
    public override bool PassesGradient => false;

    /// <summary>y ≈ xWᵀ + b</summary>
    /// <param name="x">[…, in]</param>
    /// <returns>[…, out]</returns>
    public override Tensor Forward(Tensor x) => x.DynamicInt8Linear(Weight, Bias);
}
