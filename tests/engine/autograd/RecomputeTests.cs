using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// A block that is computed again in the backward pass: the bits are those of one that holds all
/// its values, and the memory is not. What every op must do is tested by its rows in
/// <see cref="OpCases"/>.
/// </summary>
public class RecomputeTests
{
    private const int Rows = 24, Width = 16;

    private static Tensor Leaf(int seed, bool requiresGradient = true) =>
        Values.Leaf(Backends.Any, seed, new Shape(Rows, Width), requiresGradient);

    // ---------------------------------------------------------------- the same bits

    private static IEnumerable<TestCaseData> Graphs()
    {
        yield return Case("a chain of blocks", (x, blocks, of) => blocks.Aggregate(x, (y, block) => of(y, block)));
        yield return Case("a block within a block", (x, blocks, of) =>
            of(x, y => blocks[2](of(of(y, blocks[0]), blocks[1]))));
        yield return Case("blocks of two blocks", (x, blocks, of) =>
            of(of(x, y => of(of(y, blocks[0]), blocks[1])), y => of(y, blocks[2])));
        yield return Case("an input that is used before and behind", (x, blocks, of) =>
        {
            var h = x.Scale(0.5f);
            return of(h.Add(x), blocks[0]).Add(of(h, blocks[1])).Add(h.Tanh()).Multiply(of(h, blocks[2]));
        });
        yield return Case("one block twice", (x, blocks, of) => of(of(x, blocks[0]), blocks[0]));
        yield return Case("a block of an input alone", (x, blocks, of) => of(of(x, y => y), blocks[0]));

        static TestCaseData Case(string name,
            Func<Tensor, Func<Tensor, Tensor>[], Func<Tensor, Func<Tensor, Tensor>, Tensor>, Tensor> graph) =>
            new TestCaseData(graph).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Graphs))]
    public void Values_gradients_and_the_random_numbers_to_come_have_the_same_bits(
        Func<Tensor, Func<Tensor, Tensor>[], Func<Tensor, Func<Tensor, Tensor>, Tensor>, Tensor> graph)
    {
        var plain = Run((x, block) => block(x));
        var recomputed = Run(Recompute.Of);
        Assert.That(recomputed.Calls, Is.GreaterThan(plain.Calls), "blocks are computed again");
        Assert.That(recomputed.Positions, Is.EqualTo(plain.Positions), "where the streams go on");
        Assert.That(recomputed.Values.Count, Is.EqualTo(plain.Values.Count));
        foreach (var (got, expected) in recomputed.Values.Zip(plain.Values))
        {
            Values.AssertSameBits(got, expected, "a value or a gradient");
        }

        (List<float[]> Values, int Calls, ulong[] Positions) Run(Func<Tensor, Func<Tensor, Tensor>, Tensor> of)
        {
            var stack = new Stack(Backends.Any);
            var values = new List<float[]>();
            using var x = Leaf(1);
            for (var step = 0; step < 2; step++)                    // the second adds to the gradients of the first
            {
                using var scope = new TensorScope();
                var y = graph(x, stack.Blocks, of);
                values.Add(y.ToArray());
                using var upstream = Leaf(2 + step, requiresGradient: false);
                y.Backward(upstream);
            }
            values.Add(x.Gradient!.ToArray());
            values.AddRange(stack.TrainableParameters().Where(parameter => parameter.Gradient is not null)
                .Select(parameter => parameter.Gradient!.ToArray()));
            return (values, stack.Calls, [.. stack.Streams.Select(stream => stream.Position)]);
        }
    }

    [Test]
    public void Two_names_of_one_tensor_share_its_gradient()
    {
        using var scope = new TensorScope();
        using var x = Leaf(1);
        using var w = new Parameter("w", Values.Normal(Rows * Width, 2), new Shape(Rows, Width), Backends.Any);
        Recompute.Of([x, x, w], inputs => inputs[0].Multiply(inputs[1]).Multiply(w).Add(inputs[2])).Sum().Backward();
        var (xs, ws) = (x.ToArray(), w.ToArray());
        Values.AssertClose(x.Gradient!.ToArray(), [.. xs.Select((value, i) => 2.0 * value * ws[i])], 1e-6, "2·x·w");
        Values.AssertClose(w.Gradient!.ToArray(), [.. xs.Select(value => (double)value * value + 1)], 1e-6, "x² + 1");
    }

    // ---------------------------------------------------------------- memory and work

    [Test]
    public void Of_each_block_its_input_is_held_until_backward_and_never_the_values_of_two()
    {
        const int rows = 256, activation = rows * Width * sizeof(float), blocks = 8;
        var gradients = 0L;
        var (plain, plainPeak) = Memory((x, block) => block(x));
        var (held, peak) = Memory(Recompute.Of);
        Assert.That(held, Is.EqualTo(blocks * activation), "the inputs but the leaf, and the result");
        var ofBlock = (double)plain / blocks;
        Assert.That(ofBlock, Is.GreaterThan(5 * activation), "or there was nothing to save");
        Assert.That(peak - gradients, Is.LessThan(held + 2 * ofBlock), "the values of a block and their gradients");
        Assert.That(peak - gradients, Is.LessThan((plainPeak - gradients) / 2));

        (long Held, long Peak) Memory(Func<Tensor, Func<Tensor, Tensor>, Tensor> of)
        {
            using var backend = new CpuBackend(threads: 1);
            var stack = new Stack(backend, blocks);
            using var x = Values.Leaf(backend, 1, new Shape(rows, Width));
            using var upstream = Values.Leaf(backend, 2, x.Shape, requiresGradient: false);
            gradients = stack.WeightBytes();
            var before = backend.Memory.InUse;
            using var outer = new TensorScope();
            Tensor y;
            using (var scope = new TensorScope())
            {
                y = scope.Return(stack.Blocks.Aggregate(x, of));
            }
            var after = backend.Memory.InUse;
            y.Backward(upstream);
            return (after - before, backend.Memory.PeakInUse - before);
        }
    }

    [Test]
    public void A_frozen_block_is_computed_once_and_holds_nothing()
    {
        using var backend = new CpuBackend(threads: 1);
        var stack = new Stack(backend);
        stack.Freeze();
        using var x = Values.Leaf(backend, 1, new Shape(Rows, Width), requiresGradient: false);
        using var w = new Parameter("w", Values.Normal(Width, 2), new Shape(Width), backend);
        var before = backend.Memory.InUse;
        using (new TensorScope())
        {
            Tensor y;
            using (var scope = new TensorScope())
            {
                y = scope.Return(Recompute.Of(x, stack.Blocks[0]));
            }
            Assert.That((y.RequiresGradient, backend.Memory.InUse - before),
                Is.EqualTo((false, (long)Rows * Width * sizeof(float))));
            y.AddBias(w).Sum().Backward();
        }
        Assert.That(stack.Calls, Is.EqualTo(1));
    }

    [Test]
    public void Below_the_first_trainable_parameter_no_gradient_is_computed()
    {
        var stack = new Stack(Backends.Any);
        using var scope = new TensorScope();
        using var x = Leaf(1, requiresGradient: false);
        var h = x;
        stack.Freeze();
        stack.Last(0).Unfreeze();
        h = Recompute.Of(h, stack.Blocks[0]);
        var first = h.BackwardPlan().Split('\n');
        Assert.That(first, Is.EqualTo(new[]
        {
            $"Recompute [{Rows}, {Width}]: dX += dY·∂f(X)/∂X, where f(X) is computed again → "
                + $"parameter weight [{Width}, {2 * Width}], parameter bias [{Width}]",
        }));
        h.Sum().Backward();
        Assert.That(stack.TrainableParameters().Select(parameter => parameter.Gradient is not null),
            Is.EqualTo(new[] { true, true }));
        Assert.That(stack.Parameters().Count(parameter => parameter.Gradient is not null), Is.EqualTo(2));
    }

    [Test]
    public void Without_gradients_the_block_is_an_ordinary_part_of_the_forward_pass()
    {
        var stack = new Stack(Backends.Any);
        using var scope = new TensorScope();
        using var x = Leaf(1);
        using var frozen = new NoGradient();
        Tensor? given = null;
        Recompute.Of(x, input => stack.Blocks[0](given = input));
        Assert.That((given, stack.Calls), Is.EqualTo((x, 1)));
    }

    [Test]
    public void What_was_frozen_after_the_forward_pass_gets_no_gradient()
    {
        var stack = new Stack(Backends.Any);
        using var scope = new TensorScope();
        using var x = Leaf(1, requiresGradient: false);
        var loss = Recompute.Of(x, stack.Blocks[0]).Sum();
        stack.Freeze();
        loss.Backward();
        Assert.That(stack.Parameters().Select(parameter => parameter.Gradient), Is.All.Null);
    }

    [Test]
    public void Explain_shows_one_op_that_costs_a_forward_pass_in_the_backward_pass()
    {
        using var x = Leaf(1);
        using var w = new Parameter("W", Values.Normal(Width * Width, 2), new Shape(Width, Width), Backends.Any);
        static Tensor Block(Tensor x, Tensor w) => x.MatMul(w).Tanh().MatMul(w);
        var plain = Explain.Run(() => Block(x.Scale(2), w).Square().Sum(), [("X", x)]);
        x.ZeroGradient();
        w.ZeroGradient();
        var recomputed = Explain.Run(() => Recompute.Of(x.Scale(2), h => Block(h, w)).Square().Sum(), [("X", x)]);
        Assert.That(recomputed.Operations.Select(operation => operation.Name),
            Is.EqualTo(new[] { "Scale", "Recompute", "Square", "Sum" }));
        Assert.That(recomputed.ForwardFlops, Is.EqualTo(plain.ForwardFlops));
        Assert.That(recomputed.Operations[1].Flops, Is.EqualTo(plain.Operations.Skip(1).Take(3).Sum(op => op.Flops)));
        Assert.That(recomputed.BackwardFlops - plain.BackwardFlops, Is.EqualTo(recomputed.Operations[1].Flops));
        Assert.That(recomputed.Operations[1].Gradients.Single().Targets.Select(target => target.Shape),
            Is.EqualTo(new[] { x.Shape, w.Shape }));
    }

    // ---------------------------------------------------------------- what is refused

    [Test]
    public void A_result_from_outside_that_is_no_input_is_refused_by_name()
    {
        using var scope = new TensorScope();
        using var x = Leaf(1);
        var h = x.Tanh();
        Assert.That(() => Recompute.Of(x, input => input.Multiply(h)),
            Throws.InvalidOperationException.With.Message.Contains($"reads Tanh [{Rows}, {Width}], which was computed")
                .And.Message.Contains("Name it among the inputs"));
        Assert.That(() => Recompute.Of([x, h], inputs => inputs[0].Multiply(inputs[1])).Sum().Backward(),
            Throws.Nothing);
    }

    [Test]
    public void Keep_within_a_block_is_refused()
    {
        using var scope = new TensorScope();
        using var x = Leaf(1);
        Assert.That(() => Recompute.Of(x, input => input.Tanh().Keep().Square()),
            Throws.InvalidOperationException.With.Message.Contains("Keep() was called on Tanh"));
    }

    [Test]
    public void A_block_that_computes_something_else_the_second_time_is_refused()
    {
        var stack = new Stack(Backends.Any);
        RequireRefused(stack.Blocks[0], () => stack.Evaluate(), "other random numbers");
        stack.Train();
        stack.Last(0).Freeze();
        RequireRefused(stack.Blocks[0], () => stack.Unfreeze(), "parameter weight");
        var rows = Rows;
        RequireRefused(x => x.Reshape(new Shape(rows, Rows * Width / rows)), () => rows /= 2,
            $"a result of shape [{Rows / 2}, {2 * Width}], which was [{Rows}, {Width}]");
        var before = stack.Streams.Select(stream => stream.Position).ToArray();
        var calls = 0;
        Assert.That(() => Refuse(x => ++calls < 2 ? stack.Blocks[0](x) : throw new ArithmeticException(), () => { }),
            Throws.TypeOf<ArithmeticException>());
        Assert.That(NoGradient.IsActive, Is.False);
        Assert.That(stack.Streams.Select(stream => stream.Position), Is.EqualTo(before.Select(at => at + 2)),
            "the streams stay where the forward pass left them");

        static void RequireRefused(Func<Tensor, Tensor> block, Action change, string message) =>
            Assert.That(() => Refuse(block, change), Throws.InvalidOperationException.With.Message.Contains(message)
                .And.Message.Contains("Leave everything as it was"));

        static void Refuse(Func<Tensor, Tensor> block, Action change)
        {
            using var scope = new TensorScope();
            using var x = Leaf(1);
            var loss = Recompute.Of(x, block).Sum();
            change();
            loss.Backward();
        }
    }

    /// <summary>
    /// Blocks with a residual connection, two linear layers, and two dropouts of different streams.
    /// </summary>
    private sealed class Stack : Module
    {
        public Stack(IBackend backend, int blocks = 3)
        {
            Streams = [new RandomStream(5), new RandomStream(6)];
            var initial = new RandomStream(7);
            Blocks = [.. Enumerable.Range(0, blocks).Select(i =>
            {
                var first = Add($"first{i}", new Linear(Width, 2 * Width, initial, backend: backend));
                var last = Add($"last{i}", new Linear(2 * Width, Width, initial, backend: backend));
                var norm = Add($"norm{i}", new LayerNorm(Width, backend: backend));
                var before = Add($"before{i}", new Dropout(0.2f, Streams[0]));
                var behind = Add($"behind{i}", new Dropout(0.3f, Streams[1]));
                _ = (norm.Value.Weight.Data, norm.Value.Bias.Data);     // filled ones take memory when they are read
                return (Func<Tensor, Tensor>)(x =>
                {
                    Calls++;
                    using var scope = new TensorScope();
                    var inner = first.Value.Forward(before.Value.Forward(x)).Gelu();
                    return scope.Return(norm.Value.Forward(behind.Value.Forward(last.Value.Forward(inner)).Add(x)));
                });
            })];
            Train();
        }

        public Func<Tensor, Tensor>[] Blocks { get; }

        public RandomStream[] Streams { get; }

        public int Calls { get; private set; }

        public Module Last(int block) => NamedModules().Single(entry => entry.Path == $"last{block}").Module;
    }
}
