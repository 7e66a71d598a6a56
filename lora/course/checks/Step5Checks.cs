using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Lora;

namespace LoraScratch.Course;

/// <summary>Predictions against what the engine does.</summary>
[Category("Course5")]
public sealed class Step5Checks
{
    private const int N = 4, In = 32, Out = 3;

    [Test]
    public void The_first_step([Values] Start start)
    {
        const int rank = 2;
        using var scope = new TensorScope();
        var a = Drawn(In, rank, 3, start is Start.BZero or Start.BothDrawn);
        var b = Drawn(rank, Out, 4, start is Start.AZero or Start.BothDrawn);
        var (x, w, dY) = (Check.Random(N, In, 1), Check.Random(Out, In, 2), Check.Random(N, Out, 5));
        var gradients = LoRAGradients.Compute(x.ToTensor(), w.ToTensor(), a.ToTensor(), b.ToTensor(), 2, dY.ToTensor());
        var (dA, dB) = (DenseMatrix.From(gradients.A).Norm(), DenseMatrix.From(gradients.B).Norm());
        var change = (2.0 * (x * a * b)).Norm();
        TestContext.Out.WriteLine($"{start}: ‖s·(X·A)·B‖ = {change:G3}, ‖dA‖ = {dA:G3}, ‖dB‖ = {dB:G3}");
        Assert.That(Step5Start.Predict(start), Is.EqualTo(new FirstStep(change == 0, dA > 0, dB > 0)),
            $"measured: the update changes Y by {change:G3}, ‖dA‖ = {dA:G3}, ‖dB‖ = {dB:G3}");
    }

    [TestCase(LoRAScaling.AlphaOverRank, 4, 16)]
    [TestCase(LoRAScaling.AlphaOverRank, 8, 2)]
    [TestCase(LoRAScaling.Alpha, 4, 16)]
    [TestCase(LoRAScaling.AlphaOverSqrtRank, 4, 16)]
    [TestCase(LoRAScaling.AlphaOverSqrtRank, 16, 2)]
    public void The_first_move(LoRAScaling rule, int fromRank, int toRank)
    {
        var measured = FirstMove(rule, toRank) / FirstMove(rule, fromRank);
        TestContext.Out.WriteLine($"{rule}, r {fromRank} → {toRank}: the first move is {measured:F2} times as large");
        Assert.That(Step5Start.FirstMoveRatio(rule, fromRank, toRank), Is.EqualTo(measured).Within(20).Percent,
            $"measured over 200 draws of A: {measured:F2}");
    }

    /// <summary>The mean size of the output's first move over many draws of A.</summary>
    private static double FirstMove(LoRAScaling rule, int rank)
    {
        const int draws = 200;
        const double rate = 0.1;
        var s = new LoRASettings(rank, 16, rule).Scaling;
        var (x, dY) = (Check.Random(N, In, 1), Check.Random(N, Out, 5));
        var sum = 0.0;
        for (ulong draw = 0; draw < draws; draw++)
        {
            var h = x * Drawn(In, rank, 100 + draw, true);
            var b = -rate * s * (h.Transpose() * dY);                       // from B = 0: one step against dB
            sum += Check.Inner(s * (h * b), dY);                            // how far along dY the output moved
        }
        return sum / draws;
    }

    private static DenseMatrix Drawn(int rows, int columns, ulong seed, bool isDrawn) =>
        isDrawn ? 1 / Math.Sqrt(In) * Check.Random(rows, columns, seed) : new DenseMatrix(rows, columns);
}
