using LoraScratch.Engine;
using LoraScratch.Lora.Quantization;
using LoraScratch.Tests.Engine;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// GPTQ against the update it stands for, with an inverse for every step, and against rounding to
/// nearest.
/// </summary>
public sealed class GptqTests
{
    /// <summary>Inputs as layers have them: a few directions carry most of them.</summary>
    private static float[] Inputs(int rows, int columns, int seed)
    {
        const int Directions = 12;
        var factors = Values.Normal(rows * Directions, seed);
        var directions = Values.Normal(Directions * columns, seed + 1);
        var noise = Values.Normal(rows * columns, seed + 2, 0.3);
        var x = new float[rows * columns];
        for (var i = 0; i < x.Length; i++)
        {
            x[i] = noise[i];
            for (var k = 0; k < Directions; k++)
            {
                x[i] += factors[i / columns * Directions + k] * directions[k * columns + i % columns];
            }
        }
        return x;
    }

    private static double[] Hessian(float[] x, int columns)
    {
        using var hessian = new CalibrationHessian(columns, Backends.Any);
        using var all = Tensor.From(x, new Shape(x.Length / columns, columns), Backends.Any);
        hessian.Add(all);
        return hessian.ToArray();
    }

    [Test]
    public void The_Hessian_is_the_mean_of_the_products_of_inputs()
    {
        const int Columns = 19;
        var (x, more) = (Inputs(40, Columns, 1), Inputs(7, Columns, 2));
        using var hessian = new CalibrationHessian(Columns, Backends.Any);
        foreach (var rows in new[] { x, more })
        {
            using var tensor = Tensor.From(rows, new Shape(rows.Length / Columns, Columns), Backends.Any);
            hessian.Add(tensor);
        }
        var all = x.Concat(more).Select(value => (double)value).ToArray();
        var expected = Maths.Product(Maths.Transpose(all, 47, Columns), all, Columns, 47, Columns)
            .Select(value => value / 47).ToArray();
        Assert.That(hessian.Rows, Is.EqualTo(47));
        Assert.That(Maths.RelativeError(Array.ConvertAll(hessian.ToArray(), value => (float)value), expected),
            Is.LessThan(1e-6));
    }

    [TestCase(1)]
    [TestCase(5)]
    [TestCase(70)]
    [TestCase(150)]
    public void The_triangular_factor_belongs_to_the_inverse(int n)
    {
        var x = Values.Normal(2 * n * n, n).Select(value => (double)value).ToArray();
        var h = Maths.Product(Maths.Transpose(x, 2 * n, n), x, n, 2 * n, n);
        var u = TriangularFactor.OfInverse((double[])h.Clone(), n);
        // H·UᵀU = 1
        var product = Maths.Product(h, Maths.Product(Maths.Transpose(u, n, n), u, n, n, n), n, n, n);
        for (var i = 0; i < product.Length; i++)
        {
            Assert.That(product[i], Is.EqualTo(i % (n + 1) == 0 ? 1 : 0).Within(1e-9), $"element {i}");
            Assert.That(i / n <= i % n || u[i] == 0, $"element {i} is below the diagonal");
        }
    }

    [Test]
    public void A_matrix_that_is_not_positive_definite_is_refused() =>
        Assert.That(() => TriangularFactor.OfInverse([1, 2, 2, 1], 2),
            Throws.ArgumentException.With.Message.Contains("pivot 0 is -3"));

    /// <summary>
    /// Step by step with the inverse of what is left of H, by Gauss and Jordan; the grids too are
    /// those of the weights as they were at the group's first input.
    /// </summary>
    [TestCase(4, 16, 48)]
    [TestCase(2, 32, 160, Description = "more than one block")]
    [TestCase(3, 48, 144, Description = "a block that ends within 128 inputs")]
    public void Each_step_is_the_optimal_update(int bits, int groupSize, int inputs)
    {
        const int Outputs = 3;
        var format = new QuantizationFormat(bits, groupSize);
        var w = Values.Normal(Outputs * inputs, 4, 0.05);
        var h = Hessian(Inputs(3 * inputs, inputs, 5), inputs);
        using var weight = Gptq.Quantize(w, Outputs, h, format, Backends.Any);
        var (codes, grids) = (weight.Codes(), weight.Grids());
        var mean = Enumerable.Range(0, inputs).Average(i => h[i * inputs + i]);
        for (var i = 0; i < inputs; i++)
        {
            h[i * inputs + i] += 0.01 * mean;
        }
        var current = Array.ConvertAll(w, value => (double)value);
        for (var i = 0; i < inputs; i++)
        {
            var inverse = FirstRowOfInverse(h, inputs, i);
            for (var row = 0; row < Outputs; row++)
            {
                var grid = grids[(row * inputs + i) / groupSize];
                if (i % groupSize == 0)
                {
                    var group = current.AsSpan(row * inputs + i, groupSize);
                    Assert.That(Error(group, grid),
                        Is.LessThanOrEqualTo(Error(group, GroupRounding.BestGrid(group, format.LargestCode))
                            * (1 + 1e-6)), $"grid of output {row} at input {i}");
                }
                var value = current[row * inputs + i];
                var code = (int)Math.Clamp(Math.Round(value / grid.Scale + grid.Zero), 0, format.LargestCode);
                Assert.That(codes[row * inputs + i], Is.EqualTo(code), $"output {row}, input {i}");
                var error = (value - grid.Scale * (code - (double)grid.Zero)) / inverse[0];
                for (var j = i; j < inputs; j++)
                {
                    current[row * inputs + j] -= error * inverse[j - i];
                }
            }
        }

        double Error(ReadOnlySpan<double> group, LoraScratch.Kernels.GroupGrid grid)
        {
            var sum = 0.0;
            foreach (var value in group)
            {
                sum += Math.Pow(value - grid.Scale
                    * (Math.Clamp(Math.Round(value / grid.Scale + grid.Zero), 0, format.LargestCode)
                        - (double)grid.Zero), 2);
            }
            return sum;
        }
    }

    [Test]
    public void The_output_errs_less_than_after_rounding_to_nearest([Values(2, 3, 4)] int bits)
    {
        const int Outputs = 48, Columns = 128;
        var w = Values.Normal(Outputs * Columns, 7, 0.05);
        var x = Inputs(800, Columns, 8);
        var (h, unseen) = (Hessian(x[..(600 * Columns)], Columns), Hessian(x[(600 * Columns)..], Columns));
        var format = new QuantizationFormat(bits, 32);
        using var nearest = RoundToNearest.Quantize(w, Outputs, Columns, format, Backends.Any);
        using var gptq = Gptq.Quantize(w, Outputs, h, format, Backends.Any);
        Assert.That(QuantizationError.OfOutput(w, gptq, h),
            Is.LessThan(0.7 * QuantizationError.OfOutput(w, nearest, h)));
        Assert.That(QuantizationError.OfOutput(w, gptq, unseen),
            Is.LessThan(0.7 * QuantizationError.OfOutput(w, nearest, unseen)),
                "on inputs that it was not calibrated with");
        Assert.That(QuantizationError.OfWeight(w, gptq), Is.GreaterThan(QuantizationError.OfWeight(w, nearest)),
            "paid for with the error of the weights");
        Assert.That(gptq.Bytes, Is.EqualTo(nearest.Bytes));
    }

    [Test]
    public void The_error_of_the_output_is_that_of_the_outputs()
    {
        const int Outputs = 5, Columns = 32, Rows = 50;
        var (w, x) = (Values.Normal(Outputs * Columns, 9, 0.05), Inputs(Rows, Columns, 10));
        using var weight = RoundToNearest.Quantize(w, Outputs, Columns, new QuantizationFormat(3, 16), Backends.Any);
        double[] Product(float[] of) =>
            Maths.Product(Values.ToDouble(x), Maths.Transpose(Values.ToDouble(of), Outputs, Columns), Rows, Columns,
                Outputs);
        var (y, near) = (Product(w), Product(weight.Dequantize()));
        var expected = Math.Sqrt(y.Zip(near, (a, b) => (a - b) * (a - b)).Sum() / y.Sum(a => a * a));
        Assert.That(QuantizationError.OfOutput(w, weight, Hessian(x, Columns)),
            Is.EqualTo(expected).Within(1e-5 * expected));
    }

    [Test]
    public void Inputs_that_never_were_active_are_rounded_to_nearest()
    {
        var w = Values.Normal(2 * 32, 11);
        using var gptq = Gptq.Quantize(w, 2, new double[32 * 32], new QuantizationFormat(4, 16), Backends.Any);
        using var nearest = RoundToNearest.Quantize(w, 2, 32, new QuantizationFormat(4, 16), Backends.Any);
        Assert.That(gptq.Codes(), Is.EqualTo(nearest.Codes()));
    }

    [Test]
    public void The_same_input_gives_the_same_codes()
    {
        var (w, h) = (Values.Normal(40 * 64, 12), Hessian(Inputs(100, 64, 13), 64));
        using var first = Gptq.Quantize(w, 40, h, new QuantizationFormat(3, 16), Backends.Any);
        using var second = Gptq.Quantize(w, 40, h, new QuantizationFormat(3, 16), Backends.Any);
        Assert.That(second.Packed(), Is.EqualTo(first.Packed()));
        Assert.That(second.Grids(), Is.EqualTo(first.Grids()));
    }

    [Test]
    public void Mistakes_are_refused_in_words()
    {
        using var hessian = new CalibrationHessian(16, Backends.Any);
        Assert.That(hessian.ToArray, Throws.InvalidOperationException.With.Message.Contains("calibration texts"));
        using var wide = Values.Leaf(Backends.Any, 1, new Shape(2, 17));
        Assert.That(() => hessian.Add(wide), Throws.InstanceOf<ShapeMismatchException>());
        using var damaged = Tensor.From(Enumerable.Repeat(float.PositiveInfinity, 16).ToArray(), new Shape(1, 16),
            Backends.Any);
        hessian.Add(damaged);
        Assert.That(hessian.ToArray, Throws.InstanceOf<InputException>().With.Message.Contains("not finite"));
        Assert.That(() => Gptq.Quantize(new float[33], 2, new double[256], new QuantizationFormat(4, 16), Backends.Any),
            Throws.InstanceOf<ShapeMismatchException>());
    }

    /// <summary>Row i of the inverse of H[i …, i …].</summary>
    private static double[] FirstRowOfInverse(double[] h, int n, int i)
    {
        var size = n - i;
        var a = new double[size, size];
        for (var row = 0; row < size; row++)
        {
            for (var column = 0; column < size; column++)
            {
                a[row, column] = h[(row + i) * n + column + i];
            }
        }
        // The first row of the inverse of a symmetric matrix solves a·x = (1, 0, …): Gauss, from the last unknown up.
        var right = new double[size];
        right[0] = 1;
        for (var pivot = size - 1; pivot > 0; pivot--)
        {
            for (var row = 0; row < pivot; row++)
            {
                var factor = a[row, pivot] / a[pivot, pivot];
                for (var column = 0; column <= pivot; column++)
                {
                    a[row, column] -= factor * a[pivot, column];
                }
                right[row] -= factor * right[pivot];
            }
        }
        for (var row = 0; row < size; row++)
        {
            for (var column = 0; column < row; column++)
            {
                right[row] -= a[row, column] * right[column];
            }
            right[row] /= a[row, row];
        }
        return right;
    }
}
