using LoraScratch.Kernels.Functions;

namespace LoraScratch.Tests.Kernels;

[TestFixtureSource(typeof(Backends), nameof(Backends.ForKernels))]
internal class ElementwiseKernelTests(BackendCase backendCase) : KernelTests(backendCase)
{
    [TestCaseSource(nameof(Lengths))]
    public void Elementwise_kernels_equal_double_loops(int n)
    {
        float[] a = Numbers(n, 1), b = Numbers(n, 2), start = Numbers(n, 3);

        var y = Lend(new float[n]);
        Backend.Fill(y, 2.5f);
        AssertClose(y, Each(n, _ => 2.5), 0, "Fill");
        Backend.Copy(y, Lend(a));
        Assert.That(Read(y), Is.EqualTo(a), "Copy");
        Backend.Scale(y, -3, Lend(a));
        AssertClose(y, Each(n, i => -3.0 * a[i]), 1e-7, "Scale");
        Backend.WeightedSum(y, 2, Lend(a), -0.5f, Lend(b));
        AssertClose(y, Each(n, i => 2.0 * a[i] - 0.5 * b[i]), 3e-7, "WeightedSum");
        Backend.Multiply(y, Lend(a), Lend(b));
        AssertClose(y, Each(n, i => (double)a[i] * b[i]), 1e-7, "Multiply");

        y = Lend(start);
        Backend.AddScaled(y, 1.5f, Lend(a));
        AssertClose(y, Each(n, i => start[i] + 1.5 * a[i]), 3e-7, "AddScaled");
        y = Lend(start);
        Backend.AddMultiply(y, Lend(a), Lend(b));
        AssertClose(y, Each(n, i => start[i] + (double)a[i] * b[i]), 3e-7, "AddMultiply");
        y = Lend(start);
        Backend.AddBroadcast(y, 3, Lend(0.25f));
        AssertClose(y, Each(n, i => start[i] + 0.75), 3e-7, "AddBroadcast");
    }

    [TestCaseSource(nameof(Lengths))]
    public void Map_applies_the_formula_and_its_gradient_accumulates(int n)
    {
        float[] x = Numbers(n, 4, 4), dY = Numbers(n, 5), start = Numbers(n, 6);
        var y = Lend(new float[n]);
        Backend.Map<Tanh>(y, Lend(x));
        AssertClose(y, Each(n, i => Math.Tanh(x[i])), 1e-6, "Map");
        var dX = Lend(start);
        Backend.AddMapGradient<Tanh>(dX, Lend(dY), null, y);
        AssertClose(dX, Each(n, i => start[i] + dY[i] / Math.Pow(Math.Cosh(x[i]), 2)), 1e-6,
            "AddMapGradient from the output alone");

        dX = Lend(start);
        Backend.AddMapGradient<Square>(dX, Lend(dY), Lend(x), null);
        AssertClose(dX, Each(n, i => start[i] + dY[i] * 2.0 * x[i]), 1e-6, "AddMapGradient from the input alone");
    }

    [Test]
    public void Kernels_that_say_so_work_in_place()
    {
        float[] a = Numbers(101, 1), b = Numbers(101, 2);
        var y = Lend(a);
        Backend.Scale(y, 2, y);
        AssertClose(y, Each(101, i => 2.0 * a[i]), 0, "Scale");
        y = Lend(a);
        Backend.Multiply(y, y, Lend(b));
        AssertClose(y, Each(101, i => (double)a[i] * b[i]), 1e-7, "Multiply");
        y = Lend(a);
        Backend.WeightedSum(y, 1, y, 1, Lend(b));
        AssertClose(y, Each(101, i => (double)a[i] + b[i]), 3e-7, "WeightedSum");
        y = Lend(a);
        Backend.Map<Relu>(y, y);
        AssertClose(y, Each(101, i => Math.Max(0, a[i])), 0, "Map");
    }
}
