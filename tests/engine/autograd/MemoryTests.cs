using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// What training takes from the system, from the pool and from the garbage collector.
/// </summary>
public class MemoryTests
{
    [Test]
    public void At_a_fixed_shape_a_training_step_takes_no_new_buffer_and_leaves_none_behind([Values(1, 2)] int threads)
    {
        using var backend = new CpuBackend(threads);
        var (model, optimizer) = Training(backend, hidden: 32);
        using var batch = new SmallBlock.Batch(backend, seed: 1, 30, 7, 12, 1, 14);
        Run(3);
        var settled = backend.Memory;
        Run(30);
        Assert.That(backend.Memory, Is.EqualTo(settled), "reserved, in use, and the most that was in use");
        optimizer.Dispose();

        void Run(int steps)
        {
            for (var i = 0; i < steps; i++)
            {
                model.Step(optimizer, batch);
            }
        }
    }

    [Test]
    public void The_engine_fills_no_gradient_with_zeros_before_its_first_share()
    {
        using var backend = new RecordingBackend(new CpuBackend(threads: 1));
        var model = new SmallBlock(backend, hidden: 16, heads: 2);
        model.Train();
        using var batch = new SmallBlock.Batch(backend, seed: 1, 5, 3);
        using var scope = new TensorScope();
        var loss = model.Loss(batch);
        backend.Forget();
        loss.Backward();
        Assert.That(backend.Kernels.Count(kernel => kernel == nameof(IBackend.Fill)), Is.EqualTo(1),
            "d(loss)/d(loss) = 1");
        Assert.That(backend.Kernels,
            Does.Contain(nameof(IBackend.AddAttentionGradient)).And.Contain(nameof(IBackend.AddDropoutGradient)).And
                .Contain(nameof(IBackend.AddScatter)));
    }

    [Test]
    public void With_ragged_batches_the_pool_stays_bounded_by_the_largest_batch_seen()
    {
        const int longest = 200, sequences = 24;
        using var backend = new CpuBackend(threads: 2);
        var (model, optimizer) = Training(backend, hidden: 32);
        using (var largest = new SmallBlock.Batch(backend, seed: 1, [.. Enumerable.Repeat(longest, sequences)]))
        {
            model.Step(optimizer, largest);
            model.Step(optimizer, largest);
        }
        var bound = backend.Memory;
        var draw = new Random(5);
        for (var step = 0; step < 25; step++)
        {
            using var batch = new SmallBlock.Batch(backend, step,
                [.. Enumerable.Range(0, 1 + draw.Next(sequences)).Select(_ => 1 + draw.Next(longest))]);
            model.Step(optimizer, batch);
        }
        TestContext.Out.WriteLine($"largest batch: {bound}; after ragged batches: {backend.Memory}");
        Assert.That(backend.Memory.InUse, Is.EqualTo(bound.InUse), "every buffer came back");
        Assert.That(backend.Memory.PeakInUse, Is.EqualTo(bound.PeakInUse), "no batch needed more than the largest");
        Assert.That(backend.Memory.Reserved, Is.LessThanOrEqualTo(bound.Reserved),
            "and none took more from the system");
        optimizer.Dispose();
    }

    [Test]
    public void The_graph_costs_less_than_a_kilobyte_of_managed_memory_per_op()
    {
        using var backend = new CpuBackend(threads: 2);
        var (model, _) = Training(backend, hidden: 16);
        using var batch = new SmallBlock.Batch(backend, seed: 1, 5, 3);
        int ops;
        using (new TensorScope())
        {
            var loss = model.Loss(batch);
            ops = CountOps(loss);
            loss.Backward();
        }
        const int steps = 50;
        var perOp = Allocations.Least(() => Steps(1), steps) / (double)(steps * ops);
        TestContext.Out.WriteLine($"{ops} ops a step, {perOp:F0} managed bytes an op");
        Assert.That(perOp, Is.LessThan(1024));

        void Steps(int count)
        {
            for (var i = 0; i < count; i++)
            {
                using var scope = new TensorScope();
                // the parameters keep their gradients: those are leaves, not part of the graph
                model.Loss(batch).Backward();
            }
        }
    }

    [Test]
    public void A_frozen_linear_layer_does_not_hold_its_input_for_the_backward_pass()
    {
        const int rows = 256, width = 16, activation = rows * width * sizeof(float);
        using var backend = new CpuBackend(threads: 1);
        var layer = new Linear(width, width, new RandomStream(1), backend: backend);
        Assert.That(HeldAfterForward(), Is.EqualTo(2 * activation),
            "a trainable layer holds its input beside the result");
        layer.Freeze();
        Assert.That(HeldAfterForward(), Is.EqualTo(activation), "a frozen one leaves the result alone");

        long HeldAfterForward()
        {
            using var x = Values.Leaf(backend, 1, new Shape(rows, width));
            var before = backend.Memory.InUse;
            using var outer = new TensorScope();
            using (var scope = new TensorScope())
            {
                scope.Return(layer.Forward(x.Scale(1)));
            }
            return backend.Memory.InUse - before;
        }
    }

    [Test]
    public void A_training_step_holds_each_activation_only_as_long_as_a_gradient_needs_it()
    {
        const int rows = 256, width = 16, activation = rows * width * sizeof(float);
        using var backend = new CpuBackend(threads: 1);
        using var x = Values.Leaf(backend, 1, new Shape(rows, width));
        var before = backend.Memory.InUse;
        using (var outer = new TensorScope())
        {
            Tensor y;
            using (var scope = new TensorScope())
            {
                // Sums and scalings need nothing, tanh its result: of these forty values twenty are held.
                y = x;
                for (var i = 0; i < 20; i++)
                {
                    y = y.Scale(0.5f).Add(x).Tanh();
                }
                scope.Return(y);
            }
            Assert.That(backend.Memory.InUse - before, Is.EqualTo(20 * activation));
            using var upstream = Values.Leaf(backend, 2, y.Shape);
            y.Backward(upstream);
            Assert.That(backend.Memory.InUse - before, Is.EqualTo(3 * activation),
                "the root, the upstream and the gradient of x");
        }
        x.ZeroGradient();
        Assert.That(backend.Memory.InUse, Is.EqualTo(before));
        Assert.That(backend.Memory.PeakInUse - before, Is.LessThanOrEqualTo(62 * activation),
            "forward in one scope: every value once");
    }

    [Test]
    public void Evaluation_without_gradients_gives_everything_back_and_peaks_below_training()
    {
        using var backend = new CpuBackend(threads: 1);
        var (model, optimizer) = Training(backend, hidden: 32);
        model.Evaluate();
        using var batch = new SmallBlock.Batch(backend, seed: 1, 100, 60, 40);
        foreach (var (_, parameter) in model.NamedParameters())
        {
            // one that was filled with one value takes its memory when it is first read
            _ = parameter.Data;
        }
        var before = backend.Memory.InUse;
        using (new NoGradient())
        using (new TensorScope())
        {
            model.Loss(batch).Item();
        }
        Assert.That(backend.Memory.InUse, Is.EqualTo(before));
        var evaluation = backend.Memory.PeakInUse;
        model.Train();
        model.Step(optimizer, batch);
        Assert.That(backend.Memory.PeakInUse, Is.GreaterThan(evaluation));
        optimizer.Dispose();
    }

    private static (SmallBlock Model, Optimizer Optimizer) Training(CpuBackend backend, int hidden)
    {
        var model = new SmallBlock(backend, hidden, heads: 4);
        model.Train();
        return (model, new AdamW(model.TrainableParameters(), learningRate: 1e-3f));
    }

    /// <summary>Op results that the loss depends on.</summary>
    private static int CountOps(Tensor loss)
    {
        var seen = new HashSet<Tensor>();
        var open = new Stack<Tensor>([loss]);
        while (open.TryPop(out var tensor))
        {
            if (tensor.Edges is null || !seen.Add(tensor))
            {
                continue;
            }
            for (var edge = tensor.Edges; edge is not null; edge = edge.Next)
            {
                foreach (var input in edge.Inputs)
                {
                    open.Push(input);
                }
            }
        }
        return seen.Count;
    }
}
