using System.Text.RegularExpressions;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Functions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// What an explained expression says about its ops, and that it says it of any op.
/// </summary>
[Parallelizable]
public sealed partial class ExplainTests
{
    private static Tensor Leaf(int seed, bool requiresGradient, params ReadOnlySpan<int> sizes) =>
        Values.Leaf(Backends.Any, seed, new Shape(sizes), requiresGradient);

    // A user's op: nothing about it is written anywhere else.
    private static Tensor MyMatMul(Tensor x, Tensor w)
    {
        var y = Tensor.Result(x.Shape.WithColumns(w.Shape.Columns), x.Backend);
        y.Backend.Product(y.Matrix, x.Matrix, w.Matrix);
        return y.GradientFor(x, "dX += dY·Wᵀ", (dY, dX) => dX.AddProduct(dY.Matrix, w.Matrix.T), needs: w)
                .GradientFor(w, "dW += Xᵀ·dY", (dY, dW) => dW.AddProduct(x.Matrix.T, dY.Matrix), needs: x);
    }

    [Test]
    public void A_users_own_op_appears_with_its_equations_shapes_and_costs()
    {
        using var x = Leaf(1, false, 3, 4);
        using var w = Leaf(2, true, 4, 2);
        var explanation = Explain.Run(() => MyMatMul(x, w).Sum());
        var operation = explanation.Operations[0];
        Assert.That(operation.EquationWithShapes, Is.EqualTo("y1 [3, 2] = MyMatMul(X [3, 4], W [4, 2])"));
        Assert.That(operation.Flops, Is.EqualTo(2 * 3 * 4 * 2));
        Assert.That(explanation.Backward.Select(gradient => gradient.EquationWithShapes),
            Is.EqualTo(new[] { "dy1ᵢ += dy2 []", "dW [4, 2] += Xᵀ [4, 3]·dy1 [3, 2]" }));
        Assert.That(explanation.Backward[1].Flops, Is.EqualTo(2 * 4 * 3 * 2));
        Assert.That(explanation["W"].Gradient, Is.EqualTo(w.Gradient!.ToArray()));
        Assert.That(explanation["y1"].Gradient, Is.All.EqualTo(1));
        Assert.That(explanation.ToString(), Does.Contain("dW [4, 2] += Xᵀ [4, 3]·dy1 [3, 2]"));
    }

    [Test]
    public void What_is_frozen_is_said_to_be_never_formed_with_what_that_spares()
    {
        using var x = Leaf(1, false, 3, 4);
        using var w = Leaf(2, true, 4, 2);
        var explanation = Explain.Run(() => MyMatMul(x, w).Sum(), [("X", x), ("W", w)]);
        var unformed = explanation.Unformed.Single();
        Assert.That(unformed.Equation, Is.EqualTo("dX += dy1·Wᵀ"));
        Assert.That(unformed.Unformed.Single().Name, Is.EqualTo("X"));
        Assert.That(unformed.UnformedFlops, Is.EqualTo(2 * 3 * 2 * 4));
        Assert.That(explanation.UnformedBytes, Is.EqualTo(4 * 12));
        Assert.That(x.Gradient, Is.Null, "counting it forms nothing");
    }

    [Test]
    public void What_is_saved_is_what_the_gradients_read()
    {
        using var x = Leaf(1, true, 3, 4);
        using var w = Leaf(2, true, 4, 2);
        var explanation = Explain.Run(() => x.MatMul(w).Softmax().Square().Mean(), [("X", x), ("W", w)]);
        Assert.That(explanation.Saved.Select(saved => (saved.Tensor.Name, saved.Bytes, saved.IsExtra)), Is.EquivalentTo(
            new[] { ("y2", 24L, true), ("W", 32L, false), ("X", 48L, false) }));
        Assert.That(explanation.SavedBytes, Is.EqualTo(24));
    }

    [Test]
    public void Values_and_gradients_are_those_of_the_pass()
    {
        using var x = Leaf(3, true, 2, 3);
        using var scope = new TensorScope();
        var kept = x.Square().Keep();
        kept.Scale(3).Tanh().Sum().Backward();
        var (value, gradient, leaf) = (kept.ToArray(), kept.Gradient!.ToArray(), x.Gradient!.ToArray());
        kept.Dispose();
        x.ZeroGradient();
        var explanation = Explain.Run(() => x.Square().Scale(3).Tanh().Sum(), [("X", x)]);
        Assert.That(explanation["y1"].Values, Is.EqualTo(value));
        Assert.That(explanation["y1"].Gradient, Is.EqualTo(gradient));
        Assert.That(explanation["X"].Gradient, Is.EqualTo(leaf));
        Assert.That(x.Gradient!.ToArray(), Is.EqualTo(leaf), "and Backward has run as always");
    }

    [Test]
    public void The_ops_own_letters_become_the_names_of_the_tensors()
    {
        using var a = new Parameter("A", Values.Normal(6, 1), new Shape(2, 3), Backends.Any);
        using var b = new Parameter("B", Values.Normal(6, 2), new Shape(2, 3), Backends.Any);
        var explanation = Explain.Run(() => b.Subtract(a).Multiply(a).Sum());
        Assert.That(explanation.Operations.Select(operation => operation.Equation),
            Is.EqualTo(new[] { "y1 = B − A", "y2 = y1 ⊙ A", "y3 = Σᵢ y2ᵢ" }));
        Assert.That(explanation.Backward.Select(gradient => gradient.Equation), Is.EqualTo(new[]
            { "dy2ᵢ += dy3", "dy1 += dy2 ⊙ A", "dA += dy2 ⊙ y1", "dB += dy1", "dA −= dy1" }));
        explanation["y1"].Name = "E";
        Assert.That(explanation.Operations[1].Equation, Is.EqualTo("y2 = E ⊙ A"));
    }

    [Test]
    public void Factors_stand_as_numbers_and_a_factor_of_1_is_left_out()
    {
        using var x = Leaf(1, true, 2, 3);
        using var w = Leaf(2, true, 3, 3);
        var explanation = Explain.Run(() => x.MatMul(w, 2.5f).MatMul(w).Sum(), [("X", x), ("W", w)]);
        Assert.That(explanation.Operations.Select(operation => operation.Equation),
            Is.EqualTo(new[] { "y1 = 2.5 · X·W", "y2 = y1·W", "y3 = Σᵢ y2ᵢ" }));
    }

    [Test]
    public void A_frozen_expression_has_a_forward_pass_alone()
    {
        using var x = Leaf(1, false, 2, 3);
        var explanation = Explain.Run(() => x.Tanh().Sum());
        Assert.That(explanation.Backward, Is.Empty);
        Assert.That(explanation.Unformed, Has.Count.EqualTo(2));
        Assert.That(explanation.ForwardFlops, Is.EqualTo(12));
    }

    [Test]
    public void Misuse_is_an_error_that_says_what_to_do()
    {
        using var x = Leaf(1, true, 2, 3);
        using var y = x.Tanh();
        Assert.That(() => Explain.Run(() => y),
            Throws.InvalidOperationException.With.Message.Contains("Compute it inside"));
        Assert.That(() => Explain.Run(() => x.Tanh()),
            Throws.InvalidOperationException.With.Message.Contains("pass the upstream"));
        Assert.That(() => Explain.Run(() => x.Sum())["nothing"], Throws.TypeOf<KeyNotFoundException>().With.Message
            .Contains("X"));
    }

    /// <summary>
    /// Every op of the table: it has an equation in the letters of its gradients, so that each
    /// input is named in it or in a gradient; its gradient is that of Backward; and nothing stays
    /// behind.
    /// </summary>
    [TestCaseSource(typeof(OpCases), nameof(OpCases.Once))]
    public void Every_op_is_explained(OpCase op)
    {
        using var backend = new RecordingBackend();
        var leaves = op.Leaves(backend);
        var before = backend.Memory.InUse;
        using var upstream = Tensor.From(op.Upstream, Shape(), backend);
        var explanation = Explain.Run(() => op.Compute(leaves), upstream: upstream);
        Assert.That(explanation.Operations.Select(operation => operation.OwnEquation), Has.None.Null);
        Assert.That(explanation.ToString(), Is.Not.Empty);
        foreach (var (leaf, expected) in leaves.Zip(op.Gradients))
        {
            Values.AssertClose(leaf.Gradient!.ToArray(), expected, 1e-4, op.Name);
            leaf.ZeroGradient();
        }
        upstream.Dispose();
        Assert.That(backend.Memory.InUse, Is.EqualTo(before));

        Shape Shape()
        {
            using var scope = new TensorScope();
            using var frozen = new NoGradient();
            return op.Compute(leaves).Shape;
        }
    }

    /// <summary>
    /// The equation that is data and the one that is read above the method are the same.
    /// </summary>
    [Test]
    public void The_equation_of_every_op_stands_in_its_documentation()
    {
        var methods = SourceCode.Files("engine/ops").SelectMany(file => CSharpSyntaxTree.ParseText(
            File.ReadAllText(file)).GetRoot().DescendantNodes().OfType<MethodDeclarationSyntax>())
            .Where(method => method.Modifiers.Any(SyntaxKind.PublicKeyword));
        var missing = new List<string>();
        var found = 0;
        foreach (var method in methods)
        {
            var documentation = Letters(method.GetLeadingTrivia().ToFullString());
            foreach (var equation in method.DescendantNodes().OfType<LiteralExpressionSyntax>()
                .Select(literal => literal.Token.ValueText).Where(text => ForwardEquation().IsMatch(text)))
            {
                found++;
                if (!documentation.Contains(Letters(equation), StringComparison.Ordinal))
                {
                    missing.Add($"{method.Identifier}: {equation}");
                }
            }
        }
        Assert.That(found, Is.GreaterThan(20));
        Assert.That(missing, Is.Empty);

        // without line breaks, spaces and the marks of comments
        static string Letters(string text) => Regex.Replace(text, @"[\s/]", "");
    }

    [GeneratedRegex(@"^(Y|y|Losses)(\[[^\]]*\])?\s*[=≈]\s")]
    private static partial Regex ForwardEquation();

    [Test]
    public void A_kept_result_has_its_gradient_after_Backward_and_gives_it_back()
    {
        using var backend = new RecordingBackend();
        using var x = Values.Leaf(backend, 1, new Shape(2, 3));
        var before = backend.Memory.InUse;
        using (new TensorScope())
        {
            var kept = x.Square().Keep();
            var other = kept.Scale(2);
            other.Sum().Backward();
            Assert.That(kept.Gradient!.ToArray(), Is.All.EqualTo(2));
            Assert.That(other.Gradient, Is.Null, "nobody kept it");
            kept.Dispose();
        }
        x.ZeroGradient();
        Assert.That(backend.Memory.InUse, Is.EqualTo(before));
    }

    [Test]
    public void Tensors_print_as_rows_and_columns()
    {
        using var x = Tensor.From(new float[,] { { 1, -2.5f }, { 30, 4 } });
        Assert.That(x.ToString().ReplaceLineEndings("\n"), Is.EqualTo("leaf [2, 2]\n[   1  -2.5\n   30     4]"));
        using var wide = Tensor.Zeros(new Shape(20, 20), requiresGradient: true);
        var lines = wide.ToString().Split('\n');
        Assert.That(lines, Has.Length.EqualTo(1 + 8 + 1));
        Assert.That(lines[0], Is.EqualTo("leaf [20, 20], requires gradient"));
        Assert.That(lines[1], Does.EndWith("…"));
    }

    /// <summary>
    /// y = x³ by a formula of the kernels' alphabet, with a slope that may be wrong.
    /// </summary>
    private readonly struct Cubic : IFormula
    {
        public static Reads DerivativeReads => Reads.Input;

        public static T Value<T>(T x) where T : struct, IReal<T> => x * x * x;

        public static T Derivative<T>(T x, T y) where T : struct, IReal<T> => T.Of(3.001f) * x * x;
    }

    [Test]
    public void The_formula_in_float64_finds_an_error_of_a_thousandth_without_a_reference()
    {
        using var x = Leaf(5, true, 3, 4);
        var report = GradientCheck.Run(() =>
        {
            var y = Tensor.Result(x.Shape, x.Backend, "Cube");
            y.Backend.Map<Cubic>(y.Data, x.Data);
            return y.GradientFor(x, "dX += 3 · dY ⊙ X²",
                (dY, dX) => dY.Backend.AddMapGradient<Cubic>(dX.Data, dY.Data, x.Data, null), needs: x);
        }, [("X", x)]);
        Assert.That(report.Method, Is.EqualTo(NumericGradient.FromKernels));
        Assert.That(report.Passed, Is.False);
        Assert.That(report.Worst.Equations, Is.EqualTo(new[] { "dX += 3 · dy1 ⊙ X² (Cube)" }));
    }

    [Test]
    public void An_op_that_computes_on_the_host_is_differenced_in_float32_and_the_report_says_so()
    {
        using var x = Leaf(5, true, 3, 4);
        var report = GradientCheck.Run(() =>
        {
            var y = Tensor.Result(x.Shape, x.Backend, "HostSquare");
            y.Set(Array.ConvertAll(x.ToArray(), value => value * value));
            return y.GradientFor(x, "dX += 2 · dY ⊙ X", (dY, dX) => dX.Add(dY.Multiply(x), 2), needs: x);
        }, [("X", x)]);
        Assert.That(report.Passed, report.ToString());
        Assert.That(report.Method, Is.EqualTo(NumericGradient.FromFloat32));
        Assert.That(report.ToString(), Does.Contain("reads values back to the host").And
            .Contain("errors below 1 % of the largest gradient"));
    }

    /// <summary>The kernels' forms in float64 against the op table's own references.</summary>
    [TestCaseSource(typeof(OpCases), nameof(OpCases.Once))]
    public void Every_op_runs_in_float64_and_gives_the_references_gradient(OpCase op)
    {
        var leaves = op.Leaves(Backends.Any);
        var report = GradientCheck.Run(() => op.Compute(leaves),
            [.. leaves.Select((leaf, i) => ($"X{i + 1}", leaf))], tolerance: 3e-4);
        if (op.Operation == nameof(Ops.DynamicInt8Linear))
        {
            Assert.That(report.Limits, Does.Contain("whole numbers"), "its forward pass rounds to them");
            return;
        }
        Assert.That(report.Obstacle, Is.Null);
        Assert.That(report.Passed, report.ToString());
        using var scope = new TensorScope();
        op.Backward(op.Compute(leaves));                        // with the upstream of the table
        foreach (var (leaf, expected) in leaves.Zip(op.Gradients))
        {
            Values.AssertClose(leaf.Gradient!.ToArray(), expected, 1e-4, op.Name);
        }
    }

    [TestCase(2f, "twice the numeric gradient")]
    [TestCase(-1f, "a sign?")]
    [TestCase(0.4f, "a missing factor scale = 2.5?")]
    [TestCase(2.5f, "the factor scale = 2.5 once too often?")]
    [TestCase(0f, "0 everywhere")]
    public void A_wrong_factor_is_diagnosed(float factor, string words)
    {
        using var x = Leaf(5, true, 3, 4);
        using var w = Leaf(6, true, 4, 2);
        var report = GradientCheck.Run(() => Product(x, w, 2.5f, factor), [("X", x), ("W", w)]);
        Assert.That(report.Worst.Name, Is.EqualTo("dX"));
        Assert.That(report.ToString(), Does.Contain(words).And.Contain("dX += 2.5 · dy1·Wᵀ (Product)"));
        Assert.That(report.Entries.Single(entry => entry.Name == "dW").Diagnosis, Is.Null);

        static Tensor Product(Tensor x, Tensor w, float scale, float factor)
        {
            var y = Tensor.Result(x.Shape.WithColumns(w.Shape.Columns), x.Backend, nameof(Product));
            y.Backend.Product(y.Matrix, x.Matrix, w.Matrix, scale);
            float[] wrong = [scale * factor];                   // not a number that the report could name
            return y.GradientFor(x, "dX += scale · dY·Wᵀ", (dY, dX) =>
                    dX.AddProduct(dY.Matrix, w.Matrix.T, wrong[0]), needs: w)
                .GradientFor(w, "dW += scale · Xᵀ·dY", (dY, dW) => dW.AddProduct(x.Matrix.T, dY.Matrix, scale),
                    needs: x);
        }
    }

    [Test]
    public void A_transposed_gradient_and_a_missing_share_are_diagnosed_and_the_table_marks_them()
    {
        using var x = Leaf(5, true, 3, 4);
        using var w = Leaf(6, true, 4, 2);
        var report = GradientCheck.Run(() => Transposing(x, w), [("X", x), ("W", w)]);
        Assert.That(report.Worst.Diagnosis, Does.StartWith("dW is the transpose of the numeric gradient"));
        var table = report.Worst.Table().Split('\n');
        Assert.That(table, Has.Length.EqualTo(1 + 8));
        Assert.That(table[0], Does.StartWith("dW [4, 2]"));
        Assert.That(table.Count(line => line.EndsWith("FAIL", StringComparison.Ordinal)), Is.GreaterThan(4));
        var twice = GradientCheck.Run(() => Half(x).Add(x.Square()), [("X", x)]);
        Assert.That(twice.Worst.Diagnosis, Does.Contain("2 ops add to it"));

        static Tensor Transposing(Tensor x, Tensor w)
        {
            var y = Tensor.Result(x.Shape.WithColumns(w.Shape.Columns), x.Backend);
            y.Backend.Product(y.Matrix, x.Matrix, w.Matrix);
            return y.GradientFor(w, "dW += Xᵀ·dY", (dY, dW) =>
            {
                using var transposed = Tensor.Zeros(new Shape(dY.Shape[1], x.Shape[1]), dY.Backend);
                dY.Backend.Product(transposed.Matrix, dY.Matrix.T, x.Matrix);
                dW.Add(transposed);
            }, needs: x).GradientFor(x, "dX += dY·Wᵀ", (dY, dX) => dX.AddProduct(dY.Matrix, w.Matrix.T), needs: w);
        }

        static Tensor Half(Tensor x)
        {
            var y = Tensor.Result(x.Shape, x.Backend);
            y.Backend.Multiply(y.Data, x.Data, x.Data);
            y.Backend.Multiply(y.Data, y.Data, x.Data);
            return y.GradientFor(x, "dX += 3 · dY ⊙ X²", (dY, dX) => dX.Add(dY, 0));
        }
    }

    [Test]
    public void A_trace_that_only_counts_changes_nothing()
    {
        using var x = Leaf(7, false, 2, 2);
        var before = x.ToArray();
        using (var trace = new KernelTrace(runsKernels: false))
        {
            x.Backend.Scale(x.Data, 3, x.Data);
            x.Backend.Fill(x.Data, 7);
            Assert.That(trace.Flops, Is.EqualTo(4));
        }
        Assert.That(x.ToArray(), Is.EqualTo(before));
    }
}
