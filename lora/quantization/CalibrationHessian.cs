using LoraScratch.Engine;
using LoraScratch.Kernels;

namespace LoraScratch.Lora.Quantization;

/// <summary>
/// What a layer's input looks like, as far as its output error depends on it: H = Σ xxᵀ/n over the
/// rows x of calibration texts. For one output with the error δ in its weights the mean squared
/// error of the output is δᵀHδ. (GPTQ writes 2·Σ xxᵀ; a factor changes nothing in it.)
/// </summary>
/// <param name="inFeatures">in</param>
/// <param name="backend">Where to sum; default <see cref="Device.Default"/>.</param>
internal sealed class CalibrationHessian(int inFeatures, IBackend? backend = null) : IDisposable
{
    private readonly Tensor sum = Tensor.Zeros(new Shape(inFeatures, inFeatures), backend);

    /// <summary>Width of the input.</summary>
    public int InFeatures { get; } = inFeatures;

    /// <summary>n: rows added.</summary>
    public long Rows { get; private set; }

    /// <summary>Adds the rows of an input, without recording a gradient.</summary>
    /// <param name="x">[…, in]</param>
    /// <exception cref="ShapeMismatchException">The width is another one.</exception>
    public void Add(Tensor x)
    {
        if (x.Shape.Rank == 0 || x.Shape.Columns != InFeatures)
        {
            throw new ShapeMismatchException($"CalibrationHessian: rows have {InFeatures} elements, got x {x.Shape}.");
        }
        sum.Backend.AddProduct(sum.Matrix, x.Matrix.T, x.Matrix);       // Σ += XᵀX
        Rows += x.Shape.Rows;
    }

    /// <summary>H, row-major [in, in].</summary>
    /// <exception cref="InvalidOperationException">No row was added.</exception>
    /// <exception cref="InputException">An input was not finite.</exception>
    public double[] ToArray()
    {
        if (Rows == 0)
        {
            throw new InvalidOperationException(
                "CalibrationHessian: no input was added. Run the model over calibration texts first.");
        }
        var h = Array.ConvertAll(sum.ToArray(), value => (double)value / Rows);
        return h.All(double.IsFinite)
            ? h
            : throw new InputException("GPTQ: the inputs of a layer on the calibration texts are not finite. The "
                + "checkpoint is damaged, or its training has diverged.");
    }

    /// <inheritdoc/>
    public void Dispose() => sum.Dispose();
}
