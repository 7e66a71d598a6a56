using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;

namespace LoraScratch.Course;

[Category("Course2")]
public sealed class Step2Checks
{
    private const int N = 4, In = 5, Out = 3, Rank = 2;
    private const float S = 1.5f, Rate = 0.1f;

    private static readonly DenseMatrix X = Check.Random(N, In, 1), W = Check.Random(Out, In, 2),
        A = Check.Random(In, Rank, 3), B = Check.Random(Rank, Out, 4), Target = Check.Random(N, Out, 5);

    [Test]
    public void The_output_is_the_base_plus_the_scaled_update()
    {
        using var scope = new TensorScope();
        var y = Step2OnTheEngine.Forward(X.ToTensor(), W.ToTensor(), A.ToTensor(), B.ToTensor(), S);
        Check.Same("Y", DenseMatrix.From(y), X * W.Transpose() + S * (X * A * B), 1e-6);
    }

    [Test]
    public void The_graph_leads_to_A_and_B_and_not_to_W()
    {
        using var scope = new TensorScope();
        var (x, w) = (X.ToTensor(), W.ToTensor());
        var (a, b) = (A.ToTensor(requiresGradient: true), B.ToTensor(requiresGradient: true));
        var y = Step2OnTheEngine.Forward(x, w, a, b, S);
        var plan = y.BackwardPlan();
        TestContext.Out.WriteLine(plan);
        Assert.That(plan.Split('\n'), Has.Length.EqualTo(3), $"to H, to B and to A, not:\n{plan}");
        Assert.That(plan, Does.Not.Contain($"[{In}, {Out}]"), "no tensor as large as W on the way");
        y.Backward(Target.ToTensor());
        Assert.That(w.Gradient, Is.Null, "W is frozen");
        Assert.That(new[] { a.Gradient, b.Gradient }, Has.None.Null);
    }

    [Test]
    public void Two_steps_are_two_steps_of_gradient_descent()
    {
        var (a, b) = (new Parameter("A", A.ToFloats(), new Shape(In, Rank)),
            new Parameter("B", B.ToFloats(), new Shape(Rank, Out)));
        using var optimizer = new Sgd([a, b], Rate);
        var (ea, eb) = (new DenseMatrix(In, Rank, [.. A.Values]), new DenseMatrix(Rank, Out, [.. B.Values]));
        for (var step = 1; step <= 2; step++)
        {
            var expected = Loss();
            var (dA, dB) = (Check.Numeric(ea, Loss), Check.Numeric(eb, Loss));
            (ea, eb) = (ea - Rate * dA, eb - Rate * dB);
            var loss = Step2OnTheEngine.Step(X.ToTensor(), Target.ToTensor(), W.ToTensor(), a, b, S, optimizer);
            Assert.That(loss, Is.EqualTo(expected).Within(1e-4), $"the loss before step {step}");
            Check.Same($"A after step {step}", DenseMatrix.From(a), ea, 1e-4);
            Check.Same($"B after step {step}", DenseMatrix.From(b), eb, 1e-4);
        }
        Assert.That(a.Gradient, Is.Null, "the next step starts from gradients of 0");

        double Loss() => (X * W.Transpose() + S * (X * ea * eb) - Target).SquaredNorm() / (N * Out);
    }
}
