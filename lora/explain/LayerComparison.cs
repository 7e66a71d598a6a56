using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Lora.Explaining;

/// <summary>
/// Y, H, dA, dB and dX of a layer in closed form, by autograd and by finite differences.
/// </summary>
internal static class LayerComparison
{
    /// <summary>Compares.</summary>
    /// <param name="numbers">The batch.</param>
    /// <param name="dY">dY [N, out] in float64, as the gradients use it.</param>
    /// <param name="dYError">What dY itself may be off, [N, out]; null: it is given.</param>
    /// <param name="autograd">
    /// What the engine computed: Y, H, dA, dB, dX; null where it did not.
    /// </param>
    /// <param name="loss">Of the numbers.</param>
    /// <param name="differences">Which elements to take differences of.</param>
    public static IReadOnlyList<ThreeWays> Of(LayerNumbers numbers, DenseMatrix dY, DenseMatrix? dYError,
        LayerResults autograd, LayerLoss loss, FiniteDifferences differences)
    {
        int rows = numbers.Count, inner = numbers.X.Columns, outer = numbers.W.Rows, rank = numbers.A.Columns;
        var absolute = numbers.Absolute();
        var size = LayerNumbers.Absolute(dY);
        var gradients = LoRAFormulas.Right.Gradients(numbers, dY);
        var bounds = LoRAFormulas.Right.Gradients(absolute, dYError is null ? size : size + dYError);
        var carried = dYError is null ? null : LoRAFormulas.Right.Gradients(absolute, dYError);
        var terms = LayerNumbers.Product(absolute.Forward(), size).Values.Sum() + Math.Abs(loss.Of(numbers));
        var h = numbers.Pooled() * numbers.A;
        var absoluteH = absolute.Pooled() * absolute.A;
        // roundings on the way to an element: products, one addition for each, and a few factors
        int depthH = inner + 4, depthY = inner + rank + 6, depthA = rows + outer + 6,
            depthB = rows + inner + 6, depthX = outer + rank + 8;
        return
        [
            Compare("H", h, autograd.H, absoluteH, null, depthH, []),
            Compare("Y", numbers.Forward(), autograd.Y, absolute.Forward(), null, depthY, []),
            Compare("dA", gradients.A, autograd.DA, bounds.A, carried?.A, depthA,
                Differences(numbers.A, gradients.A, autograd.DA, _ => loss.OfUpdate(numbers))),
            Compare("dB", gradients.B, autograd.DB, bounds.B, carried?.B, depthB,
                Differences(numbers.B, gradients.B, autograd.DB, _ => loss.OfUpdate(numbers))),
            Compare("dX", gradients.X, autograd.DX, bounds.X, carried?.X, depthX,
                Differences(numbers.X, gradients.X, autograd.DX,
                    element => element < 0 ? loss.Of(numbers) : loss.OfRow(numbers, element / inner))),
        ];

        IReadOnlyList<FiniteDifference> Differences(DenseMatrix moved, DenseMatrix closed,
            IReadOnlyList<float> computed, Func<int, double> lossAt) =>
            differences.Of(moved.Values, closed.Values, computed, lossAt, terms,
                depth: inner + rank + (int)Math.Min(rows * (long)outer, 1 << 20) + 8);
    }

    private static ThreeWays Compare(string name, DenseMatrix closed, IReadOnlyList<float> computed, DenseMatrix terms,
        DenseMatrix? carried, int depth, IReadOnlyList<FiniteDifference> differences)
    {
        var gamma = ThreeWays.Gamma(depth, ThreeWays.Single);
        return new ThreeWays(name, new Shape(closed.Rows, closed.Columns), closed.Values, computed,
            [.. terms.Values.Select((sum, i) => gamma * sum + (carried?.Values[i] ?? 0))], depth, differences);
    }
}

/// <summary>
/// The loss of a layer's numbers, at most quadratic in each of them. A difference of it needs no
/// more than what moves with a number.
/// </summary>
internal abstract class LayerLoss
{
    /// <summary>The whole.</summary>
    public abstract double Of(LayerNumbers numbers);

    /// <summary>What of it moves with A and B.</summary>
    public virtual double OfUpdate(LayerNumbers numbers) => Of(numbers);

    /// <summary>What of it moves with a row of X.</summary>
    public virtual double OfRow(LayerNumbers numbers, int row) => Of(numbers);
}

/// <summary>
/// L = ⟨dY, Y⟩: of a layer within a model, whose loss moves with Y as dY says.
/// </summary>
/// <param name="dY">[N, out]</param>
internal sealed class ProductLoss(DenseMatrix dY) : LayerLoss
{
    private DenseMatrix? pooled;

    /// <inheritdoc/>
    public override double Of(LayerNumbers numbers) => Sum(dY, numbers.Forward());

    /// <inheritdoc/>
    public override double OfUpdate(LayerNumbers numbers) =>
        Sum(dY, numbers.Scaling * ((pooled ??= numbers.Pooled()) * numbers.A * numbers.B));

    /// <inheritdoc/>
    public override double OfRow(LayerNumbers numbers, int row) =>
        Sum(LayerNumbers.Rows(dY, row, 1), numbers.Slice(row, 1).Forward());

    private static double Sum(DenseMatrix a, DenseMatrix b) => LayerNumbers.Product(a, b).Values.Sum();
}

/// <summary>What the engine computed in a layer, row-major.</summary>
/// <param name="H">P·A [N, r]</param>
/// <param name="Y">[N, out]</param>
/// <param name="DA">dA</param>
/// <param name="DB">dB</param>
/// <param name="DX">dX</param>
internal sealed record LayerResults(IReadOnlyList<float> H, IReadOnlyList<float> Y, IReadOnlyList<float> DA,
    IReadOnlyList<float> DB, IReadOnlyList<float> DX);
