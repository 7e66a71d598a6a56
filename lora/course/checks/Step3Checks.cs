using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Lora;

namespace LoraScratch.Course;

/// <summary>Each formula against differences of the loss, on matrices nobody has seen.</summary>
[Category("Course3")]
public sealed class Step3Checks
{
    private const double S = 1.5;

    private readonly DenseMatrix x, w, a, b, dY;

    public Step3Checks()
    {
        const int n = 4, inFeatures = 5, outFeatures = 3, rank = 2;
        var seed = (ulong)Environment.TickCount64;
        (x, w) = (Check.Random(n, inFeatures, seed), Check.Random(outFeatures, inFeatures, seed + 1));
        (a, b) = (Check.Random(inFeatures, rank, seed + 2), Check.Random(rank, outFeatures, seed + 3));
        dY = Check.Random(n, outFeatures, seed + 4);
    }

    [Test]
    public void DB_equals_the_differences_of_the_loss() =>
        Check.Same("dB", Step3Derivation.GradientOfB(x, a, dY, S), Check.Numeric(b, Loss));

    [Test]
    public void DA_equals_the_differences_of_the_loss() =>
        Check.Same("dA", Step3Derivation.GradientOfA(x, b, dY, S), Check.Numeric(a, Loss));

    [Test]
    public void DX_equals_the_differences_of_the_loss() =>
        Check.Same("dX", Step3Derivation.GradientOfX(w, a, b, dY, S), Check.Numeric(x, Loss));

    [Test]
    public void The_engines_closed_forms_agree_with_yours()
    {
        using var scope = new TensorScope();
        var engine = LoRAGradients.Compute(x.ToTensor(), w.ToTensor(), a.ToTensor(), b.ToTensor(), (float)S,
            dY.ToTensor());
        Check.Same("dB", Step3Derivation.GradientOfB(x, a, dY, S), DenseMatrix.From(engine.B), 1e-5);
        Check.Same("dA", Step3Derivation.GradientOfA(x, b, dY, S), DenseMatrix.From(engine.A), 1e-5);
        Check.Same("dX", Step3Derivation.GradientOfX(w, a, b, dY, S), DenseMatrix.From(engine.X!), 1e-5);
    }

    /// <summary>A loss whose gradient with respect to Y is dY: ⟨dY, Y⟩.</summary>
    private double Loss() => Check.Inner(dY, x * w.Transpose() + S * (x * a * b));
}
