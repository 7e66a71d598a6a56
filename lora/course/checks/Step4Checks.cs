namespace LoraScratch.Course;

/// <summary>The formulas against products that count their own multiply-adds.</summary>
[Category("Course4")]
public sealed class Step4Checks
{
    private static readonly int[][] Sizes = [[4, 7, 5, 2], [1, 8, 8, 3], [16, 6, 10, 1]];

    private long count;

    [TestCaseSource(nameof(Sizes))]
    public void Through_the_rank(int n, int inFeatures, int outFeatures, int rank)
    {
        Count(inFeatures, n, Count(n, outFeatures, rank));              // Xᵀ·(dY·Bᵀ)
        Assert.That(Step4Cost.ThroughTheRank(n, inFeatures, outFeatures, rank), Is.EqualTo(count), "multiply-adds");
    }

    [TestCaseSource(nameof(Sizes))]
    public void Through_the_weight(int n, int inFeatures, int outFeatures, int rank)
    {
        Count(inFeatures, n, outFeatures);                              // Xᵀ·dY, then ·Bᵀ
        Count(inFeatures, outFeatures, rank);
        Assert.That(Step4Cost.ThroughTheWeight(n, inFeatures, outFeatures, rank), Is.EqualTo(count), "multiply-adds");
    }

    [Test]
    public void The_bracket_of_a_7B_models_layer() =>
        Assert.That(Step4Cost.BytesInTheBracket(1024, 4096, 4096, 16), Is.EqualTo((65_536, 67_108_864)),
            "N = 1024, in = out = 4096, r = 16: 64 KiB against 64 MiB");

    [TestCase(16, 2)]
    [TestCase(12, 5)]
    public void The_added_work(int d, int rank)
    {
        const int n = 3;
        Count(n, d, rank);                                              // X·A
        Count(n, rank, d);                                              // H·B
        Count(rank, n, d);                                              // dB = s·Hᵀ·dY
        Count(n, d, rank);                                              // dH = s·dY·Bᵀ
        Count(d, n, rank);                                              // dA = Xᵀ·dH
        Count(n, rank, d);                                              // dX += dH·Aᵀ
        var adapter = count;
        Count(n, d, d);                                                 // X·Wᵀ
        Count(n, d, d);                                                 // dX = dY·W
        Assert.That(Step4Cost.AddedWork(d, rank), Is.EqualTo((double)adapter / (count - adapter)).Within(1e-12),
            "six thin products over the layer's two");
    }

    [SetUp]
    public void Start() => count = 0;

    /// <summary>Runs the loops of a product [m, k]·[k, n].</summary>
    /// <returns>n</returns>
    private int Count(int m, int k, int n)
    {
        for (var i = 0; i < m; i++)
        {
            for (var j = 0; j < n; j++)
            {
                for (var inner = 0; inner < k; inner++)
                {
                    count++;
                }
            }
        }
        return n;
    }
}
