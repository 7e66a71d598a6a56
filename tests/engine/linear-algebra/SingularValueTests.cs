using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Tests.LinearAlgebra;

/// <summary>
/// Singular values against LAPACK's (tests/reference/svd.py), and the laws that any decomposition
/// must obey, on matrices of every kind.
/// </summary>
internal sealed class SingularValueTests
{
    private static readonly JsonElement Reference = Load();

    private static IEnumerable<TestCaseData> References() => Reference.EnumerateArray().Select(entry =>
        new TestCaseData(entry).SetArgDisplayNames(
            $"{entry.GetProperty("kind")} [{entry.GetProperty("rows")}, {entry.GetProperty("columns")}]"));

    /// <summary>Name, and a matrix that is difficult in some way.</summary>
    private static IEnumerable<TestCaseData> Matrices()
    {
        (string Name, DenseMatrix Matrix)[] all =
        [
            ("square", Random(17, 17)), ("tall", Random(40, 6)), ("wide", Random(6, 41)), ("one row", Random(1, 9)),
                ("one column", Random(9, 1)), ("one element", new DenseMatrix(1, 1, [-3])),
            ("zero", new DenseMatrix(5, 8)), ("identity", DenseMatrix.Identity(11)),
                ("rank 3 of 12", Random(12, 3) * Random(3, 15)), ("rank 1", Random(8, 1) * Random(1, 8)),
            ("a row and a column of zeros", WithZeros(Random(7, 7))), ("pairs of equal values", Repeated()),
                ("equal columns", Random(9, 1) * new DenseMatrix(1, 4, [1, 1, 1, 1])),
            ("very large", Random(6, 6).ScaleColumns([1e200, 1e200, 1e200, 1e200, 1e200, 1e200])),
                ("very small", Random(6, 4).ScaleColumns([1e-200, 1e-200, 1e-200, 1e-200])),
            ("of all sizes", Random(8, 5).ScaleColumns([1, 1e-6, 1e6, 1e-12, 1e-3])),
                ("large enough for threads", Random(150, 130)),
        ];
        return all.Select(entry => new TestCaseData(entry.Matrix).SetArgDisplayNames(entry.Name));
    }

    [TestCaseSource(nameof(References))]
    public void Values_and_the_best_approximation_are_those_of_LAPACK(JsonElement entry)
    {
        var a = Matrix(entry.GetProperty("kind").GetString()!, entry.GetProperty("rows").GetInt32(),
            entry.GetProperty("columns").GetInt32());
        var svd = SingularValueDecomposition.Jacobi(a);
        var expected = Numbers(entry.GetProperty("values"));
        Assert.That(svd.Values, Is.EqualTo(expected).Within(2e-15 * expected[0] * expected.Length));
        Assert.That(svd.Truncate(2).Reconstruct().Values,
            Is.EqualTo(Numbers(entry.GetProperty("rank2"))).Within(1e-14 * expected[0] * expected.Length));
    }

    [TestCaseSource(nameof(Matrices))]
    public void U_and_V_are_orthonormal_values_fall_and_the_product_is_the_matrix(DenseMatrix a)
    {
        var svd = SingularValueDecomposition.Jacobi(a);
        var least = Math.Min(a.Rows, a.Columns);
        Assert.That((svd.U.ToString(), svd.V.ToString(), svd.Values.Count),
            Is.EqualTo(($"[{a.Rows}, {least}]", $"[{a.Columns}, {least}]", least)));
        Assert.That(Defect(svd.U), Is.LessThan(1e-14 * (2 + Math.Sqrt(least))), "UᵀU = I");
        Assert.That(Defect(svd.V), Is.LessThan(1e-14 * (2 + Math.Sqrt(least))), "VᵀV = I");
        Assert.That(svd.Values, Is.Ordered.Descending.And.All.GreaterThanOrEqualTo(0));
        var largest = a.Values.Max(Math.Abs);
        Assert.That((a - svd.Reconstruct()).Values.Max(Math.Abs), Is.LessThanOrEqualTo(2e-14 * largest), "UΣVᵀ = A");
    }

    [TestCaseSource(nameof(Matrices))]
    public void Transposing_the_matrix_exchanges_U_and_V(DenseMatrix a)
    {
        var (svd, transposed) = (SingularValueDecomposition.Jacobi(a),
            SingularValueDecomposition.Jacobi(a.Transpose()));
        Assert.That(transposed.Values, Is.EqualTo(svd.Values).Within(1e-14 * Math.Max(double.Epsilon, svd.Values[0])));
        Assert.That((svd.Reconstruct() - transposed.Reconstruct().Transpose()).Values.Max(Math.Abs),
            Is.LessThanOrEqualTo(4e-14 * a.Values.Max(Math.Abs)));
    }

    [Test]
    public void Small_values_are_exact_beside_large_ones()
    {
        // The columns of H/2 with H of Hadamard are orthonormal without rounding, so the factors are the singular
        // values.
        double[] factors = [1, 1e-5, 1e-10, 1e-15];
        var half = new DenseMatrix(4, 4, [.5, .5, .5, .5, .5, -.5, .5, -.5, .5, .5, -.5, -.5, .5, -.5, -.5, .5]);
        var values = SingularValueDecomposition.Jacobi(half.ScaleColumns(factors)).Values;
        for (var i = 0; i < factors.Length; i++)
        {
            Assert.That(values[i] / factors[i], Is.EqualTo(1).Within(1e-15));
        }
    }

    [Test]
    public void The_rank_is_that_of_the_factors_and_energy_and_error_follow_from_the_values()
    {
        var a = Random(30, 4) * Random(4, 20);
        var svd = SingularValueDecomposition.Jacobi(a);
        Assert.That(svd.NumericRank, Is.EqualTo(4));
        Assert.That((svd.RankForEnergy(1), svd.RankForEnergy(1e-6)), Is.EqualTo((4, 1)));
        for (var k = 0; k <= 6; k++)
        {
            var error = (a - svd.Truncate(k).Reconstruct()).Norm();
            Assert.That(svd.ErrorOf(k), Is.EqualTo(error).Within(1e-13 * a.Norm()));
            Assert.That(svd.EnergyOf(k), Is.EqualTo(1 - error * error / a.SquaredNorm()).Within(1e-13));
        }
        var share = svd.EnergyOf(2);
        Assert.That((svd.RankForEnergy(share - 1e-9), svd.RankForEnergy(share + 1e-9)), Is.EqualTo((2, 3)));
        Assert.That(SingularValueDecomposition.Jacobi(new DenseMatrix(3, 3)).RankForEnergy(0.9), Is.EqualTo(1),
            "a rank of 0 is none");
    }

    [Test]
    public void No_matrix_of_the_same_rank_is_nearer_than_the_truncated_one()
    {
        var a = Random(14, 10);
        var svd = SingularValueDecomposition.Jacobi(a);
        for (ulong seed = 0; seed < 50; seed++)
        {
            var random = new RandomStream(seed + 100);
            var (u, v) = (svd.U.FirstColumns(3), svd.V.FirstColumns(3));
            var moved = (u.ScaleColumns([.. svd.Values.Take(3)]) + 0.01 * Random(14, 3, seed + 900))
                * (v + 0.01 * Random(10, 3, random.NextSeed())).Transpose();
            Assert.That((a - moved).Norm(), Is.GreaterThan(svd.ErrorOf(3)));
        }
    }

    [TestCase(200, 150, 5, 1.0)]
    [TestCase(150, 200, 5, 1.0)]
    [TestCase(300, 140, 10, 0.25)]
    public void The_randomised_decomposition_finds_the_largest_values(int rows, int columns, int rank, double decay)
    {
        var a = Decaying(rows, columns, decay);
        var (all, some) = (SingularValueDecomposition.Jacobi(a),
            SingularValueDecomposition.Randomized(a, rank, seed: 3));
        Assert.That((some.U.ToString(), some.V.ToString(), some.Values.Count),
            Is.EqualTo(($"[{rows}, {rank}]", $"[{columns}, {rank}]", rank)));
        Assert.That(Defect(some.U), Is.LessThan(1e-13));
        Assert.That(Defect(some.V), Is.LessThan(1e-13));
        Assert.That(some.EnergyOf(rank), Is.EqualTo(all.EnergyOf(rank)).Within(1e-5));
        Assert.That(some.ErrorOf(rank), Is.EqualTo((a - some.Reconstruct()).Norm()).Within(1e-10 * a.Norm()),
            "the error that it states is its own");
        Assert.That(some.Values[0], Is.EqualTo(all.Values[0]).Within(1e-6 * all.Values[0]));
    }

    [Test]
    public void The_randomised_decomposition_of_a_matrix_of_low_rank_is_exact()
    {
        var a = Random(160, 6, 21) * Random(6, 190, 22);
        var svd = SingularValueDecomposition.Randomized(a, 9, seed: 1);
        Assert.That(svd.NumericRank, Is.EqualTo(6));
        Assert.That((a - svd.Reconstruct()).Norm(), Is.LessThan(1e-13 * a.Norm()));
        Assert.That(SingularValueDecomposition.Randomized(new DenseMatrix(140, 150), 3).Values, Is.All.Zero);
    }

    [Test]
    public void The_same_seed_gives_the_same_bits_and_another_seed_the_same_values()
    {
        var a = Decaying(160, 140, 1);
        var (first, again, other) =
            (SingularValueDecomposition.Randomized(a, 4, 7), SingularValueDecomposition.Randomized(a, 4, 7),
                SingularValueDecomposition.Randomized(a, 4, 8));
        Assert.That(again.U.Values, Is.EqualTo(first.U.Values));
        Assert.That(again.V.Values, Is.EqualTo(first.V.Values));
        Assert.That(other.U.Values, Is.Not.EqualTo(first.U.Values));
        Assert.That(other.Values, Is.EqualTo(first.Values).Within(1e-5));
        Assert.That(other.V.Values, Is.EqualTo(first.V.Values).Within(1e-2), "the signs are settled");
        Assert.That(SingularValueDecomposition.Jacobi(a).U.Values,
            Is.EqualTo(SingularValueDecomposition.Jacobi(a).U.Values));
    }

    [Test]
    public void The_largest_are_found_by_either_way_and_a_part_does_not_claim_more_than_it_knows()
    {
        var a = Decaying(180, 170, 1);
        var (part, all) = (SingularValueDecomposition.Largest(a, 6), SingularValueDecomposition.Jacobi(a));
        Assert.That(part.Values, Is.EqualTo(all.Values.Take(6)).Within(1e-6));
        Assert.That(SingularValueDecomposition.Largest(a, 170).Values, Is.EqualTo(all.Values));
        Assert.That(part.RankForEnergy(0.2), Is.EqualTo(all.RankForEnergy(0.2)));
        Assert.That(() => part.RankForEnergy(0.999),
            Throws.InvalidOperationException.With.Message.Contains("Take the whole decomposition"));
    }

    [Test]
    public void What_has_no_singular_values_is_refused()
    {
        var broken = new DenseMatrix(2, 2, [1, 2, double.NaN, 3]);
        Assert.That(() => SingularValueDecomposition.Jacobi(broken),
            Throws.ArgumentException.With.Message.Contains("NaN"));
        Assert.That(() => SingularValueDecomposition.Randomized(broken, 1),
            Throws.ArgumentException.With.Message.Contains("NaN"));
        Assert.That(() => SingularValueDecomposition.Randomized(Random(4, 3), 4),
            Throws.InstanceOf<ArgumentOutOfRangeException>());
        Assert.That(() => SingularValueDecomposition.Jacobi(Random(4, 3)).Truncate(4),
            Throws.InstanceOf<ArgumentOutOfRangeException>());
    }

    [TestCase(9, 9)]
    [TestCase(23, 7)]
    [TestCase(7, 23)]
    [TestCase(1, 5)]
    [TestCase(5, 1)]
    public void QR_gives_the_matrix_back_and_pivoting_orders_the_diagonal(int rows, int columns)
    {
        var a = Random(rows, columns);
        foreach (var pivot in (bool[])[false, true])
        {
            var qr = QrDecomposition.Of(a, pivot);
            var permuted = new DenseMatrix(rows, columns);
            for (var i = 0; i < rows; i++)
            {
                for (var j = 0; j < columns; j++)
                {
                    permuted[i, j] = a[i, qr.Order[j]];
                }
            }
            Assert.That(Defect(qr.Q), Is.LessThan(1e-14));
            Assert.That((permuted - qr.Q * qr.R).Norm(), Is.LessThan(1e-14 * a.Norm()));
            for (var i = 1; i < qr.R.Rows; i++)
            {
                Assert.That(qr.R.Row(i)[..i].ToArray(), Is.All.Zero);
                Assert.That(Math.Abs(qr.R[i, i]),
                    Is.LessThanOrEqualTo(pivot ? Math.Abs(qr.R[i - 1, i - 1]) : double.MaxValue));
            }
        }
    }

    [TestCase(3, 5, 4)]
    [TestCase(70, 90, 33)]
    [TestCase(1, 6, 1)]
    public void A_product_is_the_sum_of_products(int rows, int inner, int columns)
    {
        var (a, b) = (Random(rows, inner), Random(inner, columns, 5));
        Assert.That((a * b).Values,
            Is.EqualTo(Lora.Maths.Product(a.Values, b.Values, rows, inner, columns)).Within(1e-12));
        Assert.That(() => a * a.FirstColumns(inner - (inner > rows ? 1 : 0)),
            inner == rows ? Throws.Nothing : Throws.InstanceOf<ShapeMismatchException>());
    }

    private static DenseMatrix Random(int rows, int columns, ulong seed = 1) =>
        DenseMatrix.From(new RandomStream(seed + (ulong)(rows * 1000 + columns)).Normal(rows * columns, 1), rows,
            columns);

    private static DenseMatrix WithZeros(DenseMatrix a)
    {
        for (var i = 0; i < a.Rows; i++)
        {
            (a[i, 2], a[3, i]) = (0, 0);
        }
        return a;
    }

    /// <summary>Singular values 4, 4, 4, 2, 2, 1.</summary>
    private static DenseMatrix Repeated() =>
        QrDecomposition.Of(Random(9, 6)).Q.ScaleColumns([4, 2, 4, 1, 2, 4])
        * QrDecomposition.Of(Random(6, 6)).Q.Transpose();

    /// <summary>Singular values i^−decay.</summary>
    private static DenseMatrix Decaying(int rows, int columns, double decay)
    {
        var least = Math.Min(rows, columns);
        return QrDecomposition.Of(Random(rows, least)).Q
            .ScaleColumns([.. Enumerable.Range(1, least).Select(i => Math.Pow(i, -decay))])
            * QrDecomposition.Of(Random(columns, least)).Q.Transpose();
    }

    /// <summary>The largest element of QᵀQ − I.</summary>
    private static double Defect(DenseMatrix q) =>
        (q.Transpose() * q - DenseMatrix.Identity(q.Columns)).Values.Max(Math.Abs);

    private static DenseMatrix Matrix(string kind, int rows, int columns)
    {
        var a = new DenseMatrix(rows, columns);
        for (var i = 0; i < rows; i++)
        {
            for (var j = 0; j < columns; j++)
            {
                a[i, j] = kind switch
                {
                    "modular" => (7 * i * i + 3 * i * j + 5 * j + 2) % 17 - 8,
                    "hilbert" => 1.0 / (i + j + 1),
                    "dependent" => (i + 1.0) * (j - 2.0) + (i * i - 3.0) * (2.0 * j + 1.0),
                    _ => throw new ArgumentException(kind),
                };
            }
        }
        return a;
    }

    private static double[] Numbers(JsonElement list) => [.. list.EnumerateArray().Select(value => value.GetDouble())];

    private static JsonElement Load()
    {
        using var stream = typeof(SingularValueTests).Assembly.GetManifestResourceStream("svd.json")!;
        return JsonDocument.Parse(stream).RootElement.Clone();
    }
}
