using System.Globalization;
using LoraScratch.Lora.Pages;
using static LoraScratch.Lora.Reporting.ReportText;

namespace LoraScratch.Lora.Reporting;

/// <summary>What runs were predicted to cost beside what they cost.</summary>
internal static class CostTables
{
    /// <summary>The tables; empty where no run says what it cost.</summary>
    public static Html Of(IReadOnlyList<ReportedRun> runs)
    {
        ReportedRun[] measured = [.. runs.Where(run => run.Summary.Measured is not null)];
        return measured.Length == 0 ? Html.Empty : Html.Of($"""
            <p>The prediction was made before the first step: the time from a few batches, the memory of the device by
            going through the largest batch without computing. The memory is that of the tensors; the program itself
            comes on top.</p>
            {PageTable.Of("Predicted and measured",
                ["run", "steps predicted", "measured", "off by", "memory predicted", "measured", "off by"],
                measured.Select(Row))}
            {measured.Where(run => run.Summary.Predicted?.DeviceMemory is not null).Select(Parts)}
            """);
    }

    private static IReadOnlyList<Html> Row(ReportedRun run)
    {
        var (predicted, measured) = (run.Summary.Predicted, run.Summary.Measured!);
        var memory = predicted?.DeviceMemory?.Values.Sum();
        return
        [
            Cell(run.Name), Cell(predicted is null ? null : Duration(predicted.StepSeconds)),
            Cell(Duration(measured.StepSeconds)),
            Cell(Off(predicted?.StepSeconds, measured.StepSeconds)), Cell(memory is null ? null : Bytes(memory.Value)),
            Cell(Bytes(measured.DeviceMemory)), Cell(Off(memory, measured.DeviceMemory)),
        ];
    }

    private static Html Parts(ReportedRun run)
    {
        var parts = run.Summary.Predicted!.DeviceMemory!;
        var total = Math.Max(1, parts.Values.Sum());
        return PageTable.Of($"Memory of {run.Name} at its peak, by what it is for",
            ["part", "bytes", "share", "of the peak"],
            parts.Select(part => (Html[])
            [
                Cell(part.Key), Cell(Bytes(part.Value)), Cell(Percent((double)part.Value / total)),
                Bar((double)part.Value / total),
            ]));
    }

    private static Html Bar(double share) => Html.Of($"""
        <svg class="heat" viewBox="0 0 100 6" width="160" height="10" role="img" aria-label="{Percent(share)}">
        <rect class="p8" width="{100 * share:F2}" height="6"/></svg>
        """);

    /// <summary>"+3.1 %" where more was predicted than measured.</summary>
    private static string? Off(double? predicted, double measured) => predicted is null || measured <= 0 ? null
        : (100 * (predicted.Value / measured - 1)).ToString("+0.0;−0.0;0.0", CultureInfo.InvariantCulture) + " %";
}
