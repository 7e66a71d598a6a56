using LoraScratch.Lora.Pages;
using LoraScratch.Lora.Training;
using static LoraScratch.Lora.Reporting.ReportText;

namespace LoraScratch.Lora.Reporting;

/// <summary>From what runs were made: data, base, versions, device, options.</summary>
internal static class OriginTables
{
    /// <summary>The tables; empty without any run.</summary>
    public static Html Of(IReadOnlyList<ReportedRun> runs) => Html.Concat(runs.Select(run => Html.Of($"""
        {(run.Summary.Provenance is { } origin
            ? PageTable.Of($"Origin of {run.Name}", ["what", "as recorded"], Rows(run.Summary, origin))
            : Html.Of($"""
                <p class="muted">{run.Name}: an older version trained it, which did not say from which data and
                weights.</p>
                """))}
        <details><summary>Options of {run.Name}</summary>{PageTable.Of($"Options of {run.Name}", ["option", "value"],
            run.Summary.Options.Select(option => (Html[])[Cell(option.Key), Cell(option.Value)]))}</details>

        """)));

    private static IEnumerable<IReadOnlyList<Html>> Rows(RunSummary summary, RunProvenance origin) =>
    [
        .. origin.Data.Select(part => (Html[])[Cell($"examples {RunInputs.Shown(part.Key)}"),
            Html.Of($"""{Count(part.Value.Count)}, SHA-256 <code>{part.Value.Hash}</code>""")]),
        [Cell("base"), Html.Of($"""
            {summary.BaseModel ?? "from scratch"}, SHA-256 of what the run began with <code>{origin.Base}</code>
            """)],
        .. origin.Result.Select(file => (Html[])[Cell(file.Key), Html.Of($"""SHA-256 <code>{file.Value}</code>""")]),
        [Cell("version"), Cell($"{origin.Version} on {origin.Runtime}")],
        [Cell("device"), Cell(origin.Device)],
        [Cell("arithmetic"), Cell(origin.Arithmetic)],
    ];
}
