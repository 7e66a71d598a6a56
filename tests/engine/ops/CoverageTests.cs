using System.Reflection;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Kernels;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// A new op without a row in the table, or a new kernel that no op uses, fails here.
/// </summary>
public class CoverageTests
{
    private const BindingFlags All = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static
        | BindingFlags.Instance | BindingFlags.DeclaredOnly;

    [Test]
    public void Every_op_has_a_row_in_the_table()
    {
        var ops = typeof(Ops).GetMethods(All).Where(method => method.IsPublic || method.IsAssembly)
            .Where(method => method.ReturnType == typeof(Tensor)).Select(method => method.Name).Distinct();
        Assert.That(ops.Except(OpCases.All.Select(op => op.Operation)), Is.Empty,
            "ops without a row in OpCases");
    }

    [Test]
    public void The_rows_of_the_table_have_different_names() =>
    Assert.That(OpCases.All.Select(op => op.Name), Is.Unique);

    [Test]
    public void Every_kernel_is_exercised_by_the_table_or_an_optimizer()
    {
        var backend = new RecordingBackend();
        foreach (var op in OpCases.All)
        {
            using var scope = new TensorScope();
            var leaves = op.Leaves(backend);
            op.Backward(op.Compute(leaves));
            op.Backward(op.Compute(leaves));                        // the second one adds to what is there
            leaves[0].ToArray();
        }
        using var weight = Parameter.Filled("weight", 1, new Shape(3), backend);
        foreach (Optimizer optimizer in new Optimizer[] { new Sgd([weight], momentum: 0.9f), new Adam([weight]),
            new AdamW([weight]) })
        {
            weight.Sum().Backward();
            GradientClipping.ClipNorm([weight], 0.1f);
            optimizer.Step();
            optimizer.Dispose();
        }
        // a gradient that shared the memory of dY needs its own once a second share is added: a copy
        var doubled = weight.Scale(2);
        doubled.Add(doubled).Sum().Backward();
        Tensor.Items(weight.Sum());
        backend.Synchronize();
        backend.ForgetPeak();
        backend.Dispose();

        var kernels = typeof(IBackend).GetInterfaces().Append(typeof(IBackend)).SelectMany(type => type.GetMethods(All))
            .Where(method => !method.IsSpecialName);
        Assert.That(kernels.Select(method => method.Name).Distinct().Except(backend.Called), Is.Empty,
            "methods of IBackend that nothing called");
    }
}
