using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Engine.NN;

namespace LoraScratch.Course;

[Category("Course8")]
public sealed class Step8Checks
{
    private const int N = 4, In = 5, Out = 3, Rank = 2;
    private const float S = 1.5f;

    private Tensor x = null!, a = null!, b = null!;

    [SetUp]
    public void Draw()
    {
        x = Check.Random(N, In, 1).ToTensor(requiresGradient: true);
        a = Check.Random(In, Rank, 2).ToTensor(requiresGradient: true);
        b = Check.Random(Rank, Out, 3).ToTensor(requiresGradient: true);
    }

    [Test]
    public void Every_element_of_every_gradient_equals_its_difference_quotient()
    {
        var report = GradientCheck.Run(() => Step8OpOfYourOwn.LowRank(x, a, b, S), [("X", x), ("A", a), ("B", b)],
            reference: values => (S * (new DenseMatrix(N, In, values[0]) * new DenseMatrix(In, Rank, values[1])
                * new DenseMatrix(Rank, Out, values[2]))).Values);
        Assert.That(report.Passed, report.ToString());
    }

    [Test]
    public void A_second_backward_pass_adds_to_the_first()
    {
        using var scope = new TensorScope();
        var dY = Check.Random(N, Out, 4).ToTensor();
        Step8OpOfYourOwn.LowRank(x, a, b, S).Backward(dY);
        var once = DenseMatrix.From(b.Gradient!);
        Step8OpOfYourOwn.LowRank(x, a, b, S).Backward(dY);
        Check.Same("dB after two passes", DenseMatrix.From(b.Gradient!), 2 * once, 1e-6);
    }

    /// <summary>
    /// One gradient at a time, of inputs that are gone before Backward: only "needs" holds them.
    /// </summary>
    [Test]
    public void The_tape_holds_what_the_gradient_reads([Values("X", "A", "B")] string trained)
    {
        using var scope = new TensorScope();
        var dY = Check.Random(N, Out, 4).ToTensor();
        Step8OpOfYourOwn.LowRank(x, a, b, S).Backward(dY);
        var leaf = trained switch { "X" => x, "A" => a, _ => b };
        var expected = DenseMatrix.From(leaf.Gradient!);
        Tensor y;
        using (var inner = new TensorScope())
        {
            y = inner.Return(Step8OpOfYourOwn.LowRank(Copy(x), Copy(a), Copy(b), S));
        }
        leaf.ZeroGradient();
        y.Backward(dY);
        Check.Same($"d{trained}", DenseMatrix.From(leaf.Gradient!), expected, 1e-6);

        Tensor Copy(Tensor input) => (input == leaf ? input : input.Detach()).Scale(1);
    }

    [Test]
    public void A_frozen_input_costs_nothing()
    {
        using var scope = new TensorScope();
        var y = Step8OpOfYourOwn.LowRank(Check.Random(N, In, 1).ToTensor(), a, b, S);
        Assert.That(y.BackwardPlan().Split('\n'), Has.Length.EqualTo(2), "X is frozen: one line for A, one for B");
        y.Backward(Check.Random(N, Out, 4).ToTensor());
        Assert.That(a.Gradient, Is.Not.Null);
    }
}
