using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Pages;

namespace LoraScratch.Benchmarks.Report;

/// <summary>The report as a page of one file.</summary>
internal static class ReportPage
{
    private const string Title = "What LoRA costs on this machine";

    /// <summary>The whole file.</summary>
    public static string Build(IReadOnlyList<(string Name, string Value)> facts, IReadOnlyList<Question> questions) =>
        new HtmlPage(Title, [PageFiles.Style, SvgPlot.Style], [PageFiles.Script]).Build(Html.Of($"""
            <header><h1>{Title}</h1>
            <p class="lede">Measured by LoraScratch's benchmarks. What is compared was measured in turn; a ratio is the
            median of the rounds' ratios.</p>
            <nav aria-label="questions"><ul>{questions.Select((question, i) =>
                Html.Of($"<li><a href=\"#q{i}\">{question.Title}</a></li>"))}</ul></nav></header>
            <main>
            <section><h2>The machine</h2>{PageTable.Of("The machine", ["what", "found"],
                facts.Select(fact => (Html[])[Html.Escape(fact.Name), Html.Escape(fact.Value)]))}</section>
            {questions.Select(Section)}
            </main>
            """), new { });

    private static Html Section(Question question, int i) => Html.Of($"""
        <section id="q{i}"><h2>{question.Title}</h2>
        <p>{question.Answer}</p>
        {question.Charts.Select(chart => chart.Draw())}
        {question.Tables.Select(Table)}</section>

        """);

    private static Html Table(ReportTable table) => Html.Of($"""
        {PageTable.Of(table.Caption, [.. table.Columns.Select(column => column.Name)],
            table.Rows.Select(row => (Html[])[.. row.Select(Html.Escape)]))}
        <details class="small"><summary>What the columns say</summary><dl>{table.Columns.Select(column =>
            Html.Of($"<dt>{column.Name}</dt><dd>{column.Meaning}</dd>"))}</dl></details>
        """);
}
