using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using LoraScratch.Benchmarks.Report;

namespace LoraScratch.Benchmarks;

/// <summary>How many products a benchmark of a LoRA layer computes.</summary>
[AttributeUsage(AttributeTargets.Class)]
internal sealed class ProductsAttribute : Attribute
{
    /// <summary>With W, each of 2Nd² operations.</summary>
    public required int OfWeight { get; init; }

    /// <summary>With A or B, each of 2Ndr operations.</summary>
    public required int OfRank { get; init; }
}

/// <summary>
/// A column of <see cref="LoRACost"/>: operations, times, and ratios to W·x of the same size.
/// </summary>
/// <param name="name">Head of the column.</param>
/// <param name="legend">What it says.</param>
/// <param name="text">The text of a cell.</param>
internal sealed class CostColumn(string name, string legend, Func<CostColumn.Row, string> text) : IColumn
{
    // Of the 12 d² weights in a transformer block (query, key, value, projection: 4 d²; the MLP: 8 d²), LoRA adapts
    // query and value: 2 d².
    private const int WeightsOfBlock = 12, AdaptedWeights = 2;

    /// <summary>In the order of the table.</summary>
    public static IColumn[] All { get; } =
    [
        new CostColumn("GFLOP/s", "10⁹ floating-point operations in a second",
            row => Format(row.Operations / row.Nanoseconds, "F1")),
        new CostColumn("Time/W·x", "Time over that of W·x at the same size: the median of rounds in which all methods "
            + "of a size take turns, so that what else the machine does falls on both",
            row => row.IsBaseline ? "1" : Format(row.Ratio?.Median, "F3")),
        new CostColumn("Spread", "The middle half of these rounds",
            row => row.Ratio is { } ratio ? FormattableString.Invariant($"{ratio.Low:F3}–{ratio.High:F3}") : "-"),
        new CostColumn("Flop/W·x", "Operations over those of W·x",
            row => Format(row.Operations / row.WeightOperations, "F3")),
        new CostColumn("Step share",
            "The adapter's share of the products of a transformer whose query and value are adapted (2 d² of a "
                + "block's 12 d² weights). Above 5 % a kernel is at fault",
            row => row.IsBaseline ? "-"
                : Format(AdaptedWeights * row.AdapterRatio
                    / (WeightsOfBlock + AdaptedWeights * row.AdapterRatio), "P1")),
    ];

    public string Id => $"{nameof(CostColumn)}.{name}";
    public string ColumnName => name;
    public string Legend => legend;
    public bool AlwaysShow => true;
    public ColumnCategory Category => ColumnCategory.Custom;
    public int PriorityInCategory => Array.IndexOf(All, this);
    public bool IsNumeric => true;
    public UnitType UnitType => UnitType.Dimensionless;

    public bool IsAvailable(Summary summary) =>
        summary.BenchmarksCases.Any(benchmark => ProductsOf(benchmark) is not null);

    public bool IsDefault(Summary summary, BenchmarkCase benchmarkCase) => false;

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase) =>
        GetValue(summary, benchmarkCase, SummaryStyle.Default);

    public string GetValue(Summary summary, BenchmarkCase benchmarkCase, SummaryStyle style)
    {
        return ProductsOf(benchmarkCase) is { } products && Median(summary, benchmarkCase) is { } time
            ? text(new Row(benchmarkCase, products, time)) : "NA";
    }

    private static double? Median(Summary summary, BenchmarkCase benchmark) =>
        summary[benchmark]?.ResultStatistics?.Median;

    private static ProductsAttribute? ProductsOf(BenchmarkCase benchmark) =>
        (ProductsAttribute?)Attribute.GetCustomAttribute(benchmark.Descriptor.Type, typeof(ProductsAttribute));

    private static string Format(double? value, string format) =>
        value?.ToString(format, CultureInfo.InvariantCulture) ?? "NA";

    /// <summary>One line of the table.</summary>
    internal sealed class Row(BenchmarkCase benchmark, ProductsAttribute products, double nanoseconds)
    {
        private readonly int tokens = (int)benchmark.Parameters[nameof(LoRACost.Tokens)];
        private readonly int width = (int)benchmark.Parameters[nameof(LoRACost.Width)];
        private readonly int rank = (int)benchmark.Parameters[nameof(LoRACost.Rank)];

        public bool IsBaseline => benchmark.Descriptor.Baseline;

        public double Nanoseconds => nanoseconds;

        /// <summary>To W·x, measured in turn.</summary>
        public Spread? Ratio => LoRACost.RatioOf(benchmark.Descriptor.Type.Name,
            benchmark.Descriptor.WorkloadMethod.Name, (string)benchmark.Parameters[nameof(LoRACost.Device)], width,
            tokens, rank);

        /// <summary>What is spent beside W·x, over W·x.</summary>
        public double? AdapterRatio => IsLowRankAlone ? Ratio?.Median : Ratio?.Median - 1;

        public double WeightOperations => products.OfWeight * 2.0 * tokens * width * width;

        public double Operations =>
            (IsLowRankAlone ? 0 : WeightOperations) + products.OfRank * 2.0 * tokens * width * rank;

        private bool IsLowRankAlone => benchmark.Descriptor.WorkloadMethod.Name == nameof(LoRAForward.LowRank);
    }
}
