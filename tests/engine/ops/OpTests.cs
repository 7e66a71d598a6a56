using LoraScratch.Engine;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// What every op of the table must do, on every backend where the backend matters.
/// </summary>
[Parallelizable]
public class OpTests
{
    private const double Tolerance = 1e-5;

    private readonly Dictionary<(OpCase, BackendCase), Passes> known = [];

    [TestCaseSource(typeof(OpCases), nameof(OpCases.OnEveryBackend))]
    public void Forward_equals_the_double_reference(OpCase op, BackendCase backend) =>
        Values.AssertClose(PassesOf(op, backend).Forward, op.Forward, Tolerance, "y");

    [Category(Categories.Gradients)]
    [TestCaseSource(typeof(OpCases), nameof(OpCases.OnEveryBackend))]
    public void Gradient_equals_the_numeric_gradient_of_the_double_reference(OpCase op, BackendCase backend) =>
        AssertGradients(PassesOf(op, backend).Once, op.Gradients);

    [TestCaseSource(typeof(OpCases), nameof(OpCases.OnEveryBackend))]
    public void A_second_backward_adds_to_the_gradient(OpCase op, BackendCase backend) =>
        AssertGradients(PassesOf(op, backend).Twice,
            [.. op.Gradients.Select(gradient => Reference.Map(gradient, value => -2 * value))]);

    /// <summary>
    /// Two passes over the same leaves, the second with −3 times the upstream gradient; made once,
    /// since on the simulator each costs more than all of it on a CPU.
    /// </summary>
    private Passes PassesOf(OpCase op, BackendCase backend)
    {
        if (known.TryGetValue((op, backend), out var passes))
        {
            return passes;
        }
        using var scope = new TensorScope();
        var leaves = op.Leaves(backend.Backend);
        var y = op.Compute(leaves);
        var forward = y.ToArray();
        op.Backward(y);
        var once = Gradients();
        op.Backward(op.Compute(leaves), factor: -3);
        return known[(op, backend)] = new Passes(forward, once, Gradients());

        float[][] Gradients() => [.. leaves.Select(leaf => leaf.Gradient!.ToArray())];
    }

    [TestCaseSource(typeof(OpCases), nameof(OpCases.Once))]
    public void A_frozen_input_has_no_gradient_and_costs_no_work(OpCase op)
    {
        using var backend = new RecordingBackend();
        var full = Work(op.Leaves(backend));
        for (var i = 0; i < op.Inputs.Length; i++)
        {
            var frozen = i;
            var leaves = op.Leaves(backend, input => input == frozen);
            if (leaves.Length == 1)
            {
                Assert.That(op.Compute(leaves).RequiresGradient, Is.False);
                continue;
            }
            Assert.That(Work(leaves), Is.LessThan(full), $"backward work with input {i} frozen");
            for (var j = 0; j < leaves.Length; j++)
            {
                if (j == frozen)
                {
                    Assert.That(leaves[j].Gradient, Is.Null, $"input {j} is frozen");
                }
                else
                {
                    Values.AssertClose(leaves[j].Gradient!.ToArray(), op.Gradients[j], Tolerance,
                        $"gradient of input {j} while input {frozen} is frozen");
                }
            }
        }

        // Floats that the kernels of the backward pass were given room for or told to write.
        long Work(Tensor[] leaves)
        {
            var y = op.Compute(leaves);
            var before = backend.DestinationFloats;
            op.Backward(y);
            return backend.DestinationFloats - before;
        }
    }

    [TestCaseSource(typeof(OpCases), nameof(OpCases.Once))]
    public void NoGradient_records_nothing_and_holds_nothing(OpCase op)
    {
        using var backend = new RecordingBackend();
        var leaves = op.Leaves(backend);
        var inputs = backend.Memory.InUse;
        using (new NoGradient())
        {
            Tensor y;
            using (var scope = new TensorScope())
            {
                y = scope.Return(op.Compute(leaves));
            }
            Assert.That(y.RequiresGradient, Is.False);
            Assert.That(y.Edges, Is.Null);
            Assert.That(() => y.Backward(leaves[0]),
                Throws.InvalidOperationException.With.Message.Contains("NoGradient"));
            y.Dispose();
            Assert.That(backend.Memory.InUse, Is.EqualTo(inputs), "nothing but its owner holds the result");
        }
    }

    /// <summary>
    /// Inputs and result are given up before Backward, so a gradient reads only what it declared in
    /// <c>needs</c>, or throws.
    /// </summary>
    [TestCaseSource(typeof(OpCases), nameof(OpCases.Once))]
    public void The_gradient_reads_only_what_it_declared(OpCase op)
    {
        using var backend = new RecordingBackend();
        var leaves = op.Leaves(backend);
        Tensor y;
        using (new TensorScope())
        {
            y = op.Compute([.. leaves.Select(leaf => leaf.Scale(1))]);
        }
        op.Backward(y);
        AssertGradients([.. leaves.Select(leaf => leaf.Gradient!.ToArray())], op.Gradients);
    }

    [TestCaseSource(typeof(OpCases), nameof(OpCases.Once))]
    public void Everything_is_given_back_after_backward(OpCase op)
    {
        using var backend = new RecordingBackend();
        var leaves = op.Leaves(backend);
        using (new TensorScope())
        {
            op.Backward(op.Compute(leaves));
        }
        foreach (var leaf in leaves)
        {
            leaf.ZeroGradient();
            leaf.Dispose();
        }
        Assert.That(backend.Memory.InUse, Is.Zero);
    }

    private static void AssertGradients(float[][] gradients, double[][] expected)
    {
        for (var i = 0; i < gradients.Length; i++)
        {
            Values.AssertClose(gradients[i], expected[i], Tolerance, $"gradient of input {i}");
        }
    }

    /// <summary>What an op gave on a backend.</summary>
    /// <param name="Forward">The result.</param>
    /// <param name="Once">Gradients of the inputs after one pass.</param>
    /// <param name="Twice">After both.</param>
    private sealed record Passes(float[] Forward, float[][] Once, float[][] Twice);
}
