using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Kernels;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// Whoever holds a gradient may change it, as clipping does: nothing else that can be read after
/// Backward may change with it, neither another gradient nor a value. Intermediate results may lend
/// their gradients on, for nobody can read those afterwards.
/// </summary>
[Parallelizable]
public class GradientMemoryTests
{
    private delegate Tensor BuildGraph(OpCase op, Tensor[] x, Func<Tensor, Tensor> keep);

    /// <summary>
    /// Graphs of an op and others that pass dY on as it is, since alone most ops have nothing to
    /// lend. <c>keep</c> notes what can still be read after Backward.
    /// </summary>
    private static readonly (string Name, BuildGraph Build)[] Graphs =
    [
        ("alone", (op, x, _) => op.Compute(x)),
        ("on views of leaves", (op, x, keep) => op.Compute([.. x.Select(leaf => keep(leaf.Reshape(leaf.Shape)))])),
        ("on sums of leaves", (op, x, keep) => op.Compute([.. x.Select(leaf => keep(leaf.Add(keep(Another(leaf)))))])),
        ("on leaves added to themselves", (op, x, keep) => op.Compute([.. x.Select(leaf => keep(leaf.Add(leaf)))])),
        ("twice on the same leaves", (op, x, keep) => keep(op.Compute(x)).Add(keep(op.Compute(x)))),
        ("added to itself", (op, x, keep) =>
        {
            var y = keep(op.Compute(x));
            return y.Add(y);
        }),
        ("added to a leaf, under a view", (op, x, keep) =>
        {
            var y = keep(op.Compute(x));
            return keep(y.Add(keep(Another(y)))).Reshape(y.Shape);
        }),
    ];

    /// <summary>
    /// A row of each op, for memory is shared by the graph, whatever the sizes and the device.
    /// </summary>
    private static IEnumerable<TestCaseData> EveryOpOnEveryBackend =>
        from op in OpCases.All.DistinctBy(op => (op.Operation, op.Shapes.Count))
        from backend in Backends.All
        select new TestCaseData(op, backend).SetArgDisplayNames($"{op} on {backend}")
            .In(backend.Category);

    [TestCaseSource(typeof(OpCases), nameof(OpCases.Once))]
    public void No_gradient_shares_memory_with_another_or_with_a_value(OpCase op) =>
        AssertNothingIsShared(op, Backends.Any);

    [TestCaseSource(nameof(EveryOpOnEveryBackend))]
    public void Nor_on_any_backend_for_any_op(OpCase op, BackendCase backend) =>
        AssertNothingIsShared(op, backend.Backend);

    [Test]
    public void Clipping_scales_the_gradients_of_two_summands_once_each()
    {
        using var scope = new TensorScope();
        using var a = new Parameter("a", [1, 2], new Shape(2), Backends.Any);
        using var b = new Parameter("b", [3, 4], new Shape(2), Backends.Any);
        a.Add(b).Sum().Backward();
        Assert.That(GradientClipping.ClipNorm([a, b], 1), Is.EqualTo(2), "four derivatives of 1");
        Assert.That(a.Gradient!.ToArray(), Is.All.EqualTo(0.5f).Within(1e-6));
        Assert.That(b.Gradient!.ToArray(), Is.All.EqualTo(0.5f).Within(1e-6));
    }

    private static void AssertNothingIsShared(OpCase op, IBackend backend)
    {
        foreach (var (name, build) in Graphs)
        {
            using var scope = new TensorScope();
            AssertNothingIsShared(op, op.Leaves(backend), build, name);
        }
    }

    /// <summary>Writes another number into each gradient and then reads everything again.</summary>
    private static void AssertNothingIsShared(OpCase op, Tensor[] leaves, BuildGraph build, string graph)
    {
        var readable = new List<(Tensor Tensor, float[] Values)>();
        Array.ForEach(leaves, leaf => Keep(leaf));
        var y = Keep(build(op, leaves, Keep));
        y.Backward(Keep(Another(y)));

        var gradients = readable.Select(kept => kept.Tensor.Gradient).OfType<Tensor>().ToArray();
        for (var i = 0; i < gradients.Length; i++)
        {
            // copied, for on the simulator a kernel that fills it takes milliseconds
            gradients[i].Backend.Upload<float>(gradients[i].Data,
                [.. Enumerable.Repeat(i + 1f, gradients[i].Shape.Count)]);
        }
        for (var i = 0; i < gradients.Length; i++)
        {
            Assert.That(gradients[i].ToArray(), Is.All.EqualTo(i + 1), $"{graph}: gradient {i} shares its memory");
        }
        foreach (var (tensor, values) in readable)
        {
            Values.AssertSameBits(tensor.ToArray(), values, $"{graph}: the value of {tensor.Description}");
        }

        Tensor Keep(Tensor tensor)
        {
            readable.Add((tensor.Keep(), tensor.ToArray()));
            return tensor;
        }
    }

    private static Tensor Another(Tensor x) => Values.Leaf(x.Backend, seed: 3, x.Shape);
}
