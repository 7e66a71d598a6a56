using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;

namespace LoraScratch.Course;

[Category("Course6")]
public sealed class Step6Checks
{
    private const int N = 4, In = 40, Out = 30, Rank = 3;
    private const double S = 1.5;

    private static readonly DenseMatrix X = Check.Random(N, In, 1), W = Check.Random(Out, In, 2),
        A = Check.Random(In, Rank, 3), B = 0.01 * Check.Random(Rank, Out, 4);

    [Test]
    public void The_merged_layer_computes_the_same() =>
        Check.Same("Y", X * (W + Step6Merging.Update(A, B, S)).Transpose(), X * W.Transpose() + S * (X * A * B), 1e-12);

    [Test]
    public void The_library_merges_to_the_same_weight()
    {
        var layer = new LinearWithLoRA(new Linear(In, Out, W.ToFloats(), bias: null),
            new LoRASettings(Rank, S * Rank), new RandomStream(1));
        layer.Lora.A.Set(A.ToFloats());
        layer.Lora.B.Set(B.ToFloats());
        layer.Merge();
        Check.Same("W", W + Step6Merging.Update(A, B, S), DenseMatrix.From(layer.Base.Weight), 1e-6);
    }

    [Test]
    public void Unmerging_gives_every_bit_back()
    {
        var (w, update) = (W.ToFloats(), Step6Merging.Update(A, B, S).ToFloats());
        var before = (float[])w.Clone();
        var (merged, kept) = Step6Merging.Merge(w, update);
        Assert.That(merged, Is.EqualTo(before.Zip(update, (weight, change) => weight + change)), "merged");
        var restored = Step6Merging.Unmerge(merged, update, kept);
        Assert.That(restored, Has.Length.EqualTo(before.Length));
        var other = restored.Zip(before, (a, b) => !a.Equals(b)).Count(differs => differs);
        Assert.That(other, Is.Zero, $"of {before.Length} weights, {other} came back with other bits");
    }
}
