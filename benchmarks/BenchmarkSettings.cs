using System.Collections.Immutable;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Diagnosers;
using BenchmarkDotNet.Environments;
using BenchmarkDotNet.Exporters;
using BenchmarkDotNet.Exporters.Csv;
using BenchmarkDotNet.Filters;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Order;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Perfolizer.Horology;

namespace LoraScratch.Benchmarks;

/// <summary>How every benchmark is run and what its table shows.</summary>
internal sealed class BenchmarkSettings : ManualConfig
{
    public BenchmarkSettings()
    {
        // In this process: 200 cases start at once instead of each building and starting a program of its own.
        AddJob(Job.Default
            .WithToolchain(InProcessEmitToolchain.Instance)
            .WithRuntime(CoreRuntime.Core10_0)
            .WithWarmupCount(2)
            .WithIterationCount(7)
            .WithIterationTime(TimeInterval.FromMilliseconds(30))
            .WithEvaluateOverhead(false));       // an empty call takes nanoseconds, a product microseconds
        AddDiagnoser(MemoryDiagnoser.Default);
        AddColumnProvider(DefaultColumnProviders.Descriptor, DefaultColumnProviders.Params,
            DefaultColumnProviders.Metrics);
        AddColumn(StatisticColumn.Median, StatisticColumn.Min);
        AddColumn(CostColumn.All);
        AddColumn(new TextRateColumn());
        HideColumns(BaselineAllocationRatioColumn.RatioMean.ColumnName, "Gen0", "Gen1", "Gen2");
        AddFilter(new SimpleFilter(IsSensible));
        AddLogger(new ShortLogger());
        AddExporter(MarkdownExporter.GitHub, CsvExporter.Default);
        WithOrderer(new BySize());
    }

    /// <summary>W·x, the baseline, has no rank; the others need one.</summary>
    private static bool IsSensible(BenchmarkCase benchmark) =>
        benchmark.Parameters[nameof(LoRACost.Rank)] is not int rank || benchmark.Descriptor.Baseline == (rank == 0);

    /// <summary>
    /// Runs and shows what is compared side by side: all ranks of one size with their baseline, so
    /// that a ratio's two times are taken seconds apart.
    /// </summary>
    private sealed class BySize : IOrderer
    {
        private static readonly string[] Keys =
            [nameof(LoRACost.Device), nameof(LoRACost.Width), nameof(LoRACost.Tokens)];

        public bool SeparateLogicalGroups => true;

        public IEnumerable<BenchmarkCase> GetExecutionOrder(ImmutableArray<BenchmarkCase> benchmarks,
            IEnumerable<BenchmarkLogicalGroupRule>? order = null) =>
            benchmarks.OrderBy(benchmark => benchmark.Parameters[nameof(LoRACost.Device)])
                .ThenBy(benchmark => benchmark.Parameters[nameof(LoRACost.Width)])
                .ThenBy(benchmark => benchmark.Parameters[nameof(LoRACost.Tokens)])
                .ThenBy(benchmark => benchmark.Parameters[nameof(LoRACost.Rank)])
                .ThenBy(benchmark => benchmark.Descriptor.MethodIndex);

        public IEnumerable<BenchmarkCase> GetSummaryOrder(ImmutableArray<BenchmarkCase> benchmarks, Summary summary) =>
            GetExecutionOrder(benchmarks);

        public string? GetHighlightGroupKey(BenchmarkCase benchmark) => null;

        public string GetLogicalGroupKey(ImmutableArray<BenchmarkCase> all, BenchmarkCase benchmark) =>
            $"{benchmark.Descriptor.Type.Name} {string.Join(' ', Keys.Select(key => benchmark.Parameters[key]))}";

        public IEnumerable<IGrouping<string, BenchmarkCase>> GetLogicalGroupOrder(
            IEnumerable<IGrouping<string, BenchmarkCase>> groups,
            IEnumerable<BenchmarkLogicalGroupRule>? order = null) => groups;
    }
}
