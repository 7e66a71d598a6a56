using LoraScratch.Engine;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// The public check, on ops of the engine, on ops that a user writes with its public parts alone,
/// and on ops with deliberate mistakes.
/// </summary>
[Category(Categories.Gradients)]
public class GradientCheckTests
{
    private static Tensor Leaf(int seed, params ReadOnlySpan<int> sizes) =>
        Values.Leaf(Backends.Any, seed, new Shape(sizes));

    /// <summary>y = x³ from kernels of the backend; <paramref name="slope"/> 3 is right.</summary>
    private static Tensor Cube(Tensor x, float slope = 3)
    {
        var backend = x.Backend;
        var y = Tensor.Result(x.Shape, backend);
        backend.Multiply(y.Data, x.Data, x.Data);
        backend.Multiply(y.Data, y.Data, x.Data);
        return y.GradientFor(x, "dX += 3 · dY ⊙ X²", (dY, dX) => dX.Add(dY.Multiply(x).Multiply(x), slope), needs: x);
    }

    /// <summary>y = x³: a user's own formula.</summary>
    private readonly struct Cubic : IFormula
    {
        public static Reads DerivativeReads => Reads.Input;

        public static T Value<T>(T x) where T : struct, IReal<T> => x * x * x;

        public static T Derivative<T>(T x, T y) where T : struct, IReal<T> => T.Of(3) * x * x;
    }

    private static Tensor CubeByFormula(Tensor x)
    {
        var y = Tensor.Result(x.Shape, x.Backend);
        y.Backend.Map<Cubic>(y.Data, x.Data);
        return y.GradientFor(x, "dX += 3 · dY ⊙ X²",
            (dY, dX) => dY.Backend.AddMapGradient<Cubic>(dX.Data, dY.Data, x.Data, null), needs: x);
    }

    private static double[] CubeReference(double[][] x) => Reference.Map(x[0], value => value * value * value);

    [Test]
    public void A_users_own_op_passes_with_and_without_a_reference()
    {
        using var x = Leaf(1, 3, 7);
        foreach (var op in new Func<Tensor>[] { () => Cube(x), () => CubeByFormula(x),
            () => Cube(x.Scale(0.5f)).Add(CubeByFormula(x)).Softmax() })
        {
            var report = GradientCheck.Run(op, [("x", x)]);
            Assert.That(report.Passed, Is.True, report.ToString());
        }
        var withReference = GradientCheck.Run(() => Cube(x), [("x", x)], CubeReference);
        Assert.That(withReference.Passed, Is.True, withReference.ToString());
        Assert.That(withReference.Entries.Select(entry => entry.Name), Is.EqualTo(new[] { "forward", "dx" }));
        Assert.That(withReference.ToString(), Does.StartWith("gradient check passed").And.Contain("dx: 21 elements"));
    }

    [Test]
    public void A_wrong_gradient_fails_with_and_without_a_reference()
    {
        using var x = Leaf(1, 3, 7);
        foreach (var reference in new Func<double[][], double[]>?[] { null, CubeReference })
        {
            var report = GradientCheck.Run(() => Cube(x, slope: 2.9f), [("x", x)], reference);
            Assert.That(report.Passed, Is.False);
            Assert.That(report.Worst.Name, Is.EqualTo("dx"));
            Assert.That(report.ToString(), Does.StartWith("gradient check FAILED"));
        }
    }

    [Test]
    public void A_gradient_that_is_wrong_in_one_element_is_found_and_named()
    {
        using var x = Leaf(2, 4, 5);
        var report = GradientCheck.Run(() => WrongAt(x, 13), [("x", x)]);
        Assert.That(report.Passed, Is.False);
        Assert.That(report.Worst.Index, Is.EqualTo(13));
        Assert.That(report.ToString(), Does.Contain("dx[2, 3]").And.Contain("dx is right but for the element [2, 3]"));

        static Tensor WrongAt(Tensor x, int element)
        {
            var backend = x.Backend;
            var y = Tensor.Result(x.Shape, backend);
            backend.Scale(y.Data, 2, x.Data);
            return y.GradientFor(x, "dX += 2 · dY but for one element", (dY, dX) =>
            {
                var gradient = Array.ConvertAll(dY.ToArray(), value => 2 * value);
                gradient[element] += 1;
                using var wrong = Tensor.From(gradient, x.Shape, backend);
                dX.Add(wrong);
            });
        }
    }

    [Test]
    public void A_wrong_forward_is_found_by_the_reference()
    {
        using var x = Leaf(1, 5);
        var report = GradientCheck.Run(() => Cube(x), [("x", x)],
            values => Reference.Map(values[0], value => value * value * value + 0.01));
        Assert.That(report.Passed, Is.False);
        Assert.That(report.Worst.Name, Is.EqualTo("forward"));
    }

    [Test]
    public void A_gradient_of_NaN_or_none_at_all_fails()
    {
        using var x = Leaf(3, 6);
        Assert.That(GradientCheck.Run(() => Cube(x, slope: float.NaN), [("x", x)]).Passed, Is.False);
        using var forgotten = Leaf(4, 6);
        var report = GradientCheck.Run(() => x.Add(forgotten.Detach()), [("x", x), ("forgotten", forgotten)]);
        Assert.That(report.Passed, Is.False);
        Assert.That(report.Worst.Name, Is.EqualTo("dforgotten"));
    }

    [Test]
    public void Several_inputs_are_checked_and_frozen_ones_left_alone()
    {
        using var x = Leaf(1, 3, 4);
        using var w = Leaf(2, 4, 2);
        using var constant = Values.Leaf(Backends.Any, 3, new Shape(3, 2), requiresGradient: false);
        var before = x.ToArray();
        var report = GradientCheck.Run(() => x.MatMul(w).Multiply(constant),
            [("x", x), ("w", w), ("constant", constant)]);
        Assert.That(report.Passed, Is.True, report.ToString());
        Assert.That(report.Entries.Select(entry => entry.Name), Is.EqualTo(new[] { "dx", "dw" }));
        Values.AssertSameBits(x.ToArray(), before, "the inputs are put back");
        Assert.That(x.Gradient, Is.Null, "and their gradients forgotten");
    }

    [Test]
    public void Misuse_is_an_error()
    {
        using var frozen = Values.Leaf(Backends.Any, 3, new Shape(3), requiresGradient: false);
        Assert.That(() => GradientCheck.Run(() => frozen.Square(), [("x", frozen)]),
            Throws.ArgumentException.With.Message.Contains("requiresGradient: true"));
        using var x = Leaf(1, 5);
        Assert.That(() => GradientCheck.Run(() => Cube(x), [("x", x)], _ => [1]),
            Throws.ArgumentException.With.Message.Contains("the reference gave 1"));
    }

    [Test]
    public void A_gradient_function_that_adds_the_wrong_shape_is_refused()
    {
        using var scope = new TensorScope();
        using var x = Leaf(1, 2, 3);
        using var other = Values.Leaf(Backends.Any, 2, new Shape(4, 4), requiresGradient: false);
        var y = Tensor.Result(x.Shape, x.Backend, "Mine").GradientFor(x, "dX += other", (dY, dX) => dX.Add(other));
        var z = Tensor.Result(x.Shape, x.Backend, "Mine")
            .GradientFor(x, "dX += other · other", (dY, dX) => dX.AddProduct(other.Matrix, other.Matrix));
        Assert.That(() => y.Backward(x),
            Throws.TypeOf<ShapeMismatchException>().With.Message.Contains("leaf [2, 3]").And.Message
                .Contains("[4, 4]"));
        Assert.That(() => z.Backward(x),
            Throws.TypeOf<ShapeMismatchException>().With.Message.Contains("leaf [2, 3]").And.Message
                .Contains("[4, 4] · [4, 4]"));
    }

    [Test]
    public void Reading_a_value_that_was_not_declared_is_an_error_that_says_so()
    {
        using var x = Leaf(1, 4);
        Tensor y;
        using (var scope = new TensorScope())
        {
            var input = x.Scale(2);
            y = scope.Return(Tensor.Result(x.Shape, x.Backend, "Forgetful")
                .GradientFor(input, "dX += dY ⊙ X", (dY, dX) => dX.Add(dY.Multiply(input))));
            x.Backend.Fill(y.Data, 0);
        }
        using var upstream = Leaf(2, 4);
        Assert.That(() => y.Backward(upstream),
            Throws.TypeOf<ObjectDisposedException>().With.Message.Contains("Scale [4]").And.Message.Contains("needs"));
    }
}
