using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Kernels;
using LoraScratch.Lora;
using LoraScratch.Lora.Quantization;

namespace LoraScratch.Course;

[Category("Course7")]
public sealed class Step7Checks
{
    private const int N = 3, In = 64, Out = 6, Rank = 2, Group = 16, Groups = In / Group;
    private const double S = 1.5;

    private static readonly DenseMatrix X = Check.Random(N, In, 1), A = Check.Random(Groups, Rank, 3),
        B = Check.Random(Rank, Out, 4);

    private static readonly GroupQuantizedWeight Weight =
        RoundToNearest.Quantize(Check.Random(Out, In, 2).ToFloats(), Out, In, new QuantizationFormat(4, Group));

    [TestCase(1.0 / Group)]
    [TestCase(1.0)]
    public void Pooling(double kappa) =>
        Check.Same("P(X)", Pooled(kappa), kappa * (X * Membership()), 1e-12);

    [TestCase(1.0 / Group)]
    [TestCase(1.0)]
    public void With_other_zeros_and_the_same_codes_the_outputs_are_those_with_the_adapter(double kappa)
    {
        var expected = X * Decoded((grid, _, _) => grid.Zero).Transpose() + S * (Pooled(kappa) * A * B);
        var product = A * B;
        var got = X * Decoded((grid, l, j) => Step7FewBits.MergedZero(grid.Zero, grid.Scale, S, kappa, product[l, j]))
            .Transpose();
        Check.Same("Y", got, expected, 1e-12);
    }

    [Test]
    public void The_library_finds_the_same_zeros()
    {
        var (grids, product, kappa) = (Weight.Grids(), A * B, 1.0 / Group);
        var engine = QALoRAMerge.Zeros(grids, A.ToFloats(), B.ToFloats(), Rank, S, kappa);
        for (var i = 0; i < grids.Length; i++)
        {
            Assert.That(Step7FewBits.MergedZero(grids[i].Zero, grids[i].Scale, S, kappa,
                product[i % Groups, i / Groups]), Is.EqualTo(engine[i]).Within(1e-4), $"zero {i}");
        }
    }

    [Test]
    public void What_it_costs_in_freedom() =>
        Assert.That(Step7FewBits.NumbersInA(768, 8, 32), Is.EqualTo((6_144, 192)), "in = 768, r = 8, g = 32");

    private static DenseMatrix Pooled(double kappa)
    {
        double[] rows =
            [.. Enumerable.Range(0, N).SelectMany(n => Step7FewBits.Pool(X.Row(n).ToArray(), Group, kappa))];
        Assert.That(rows, Has.Length.EqualTo(N * Groups), "one number for each group of each row");
        return new DenseMatrix(N, Groups, rows);
    }

    /// <summary>G [in, in/g]: 1 where an input is of the group.</summary>
    private static DenseMatrix Membership()
    {
        var membership = new DenseMatrix(In, Groups);
        for (var i = 0; i < In; i++)
        {
            membership[i, i / Group] = 1;
        }
        return membership;
    }

    /// <summary>Ŵ in double, with the zeros that a function names.</summary>
    private static DenseMatrix Decoded(Func<GroupGrid, int, int, double> zero)
    {
        var (codes, grids, weight) = (Weight.Codes(), Weight.Grids(), new DenseMatrix(Out, In));
        for (var j = 0; j < Out; j++)
        {
            for (var i = 0; i < In; i++)
            {
                var (grid, l) = (grids[j * Groups + i / Group], i / Group);
                weight[j, i] = grid.Scale * (codes[j * In + i] - zero(grid, l, j));
            }
        }
        return weight;
    }
}
