using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Pages;

namespace LoraScratch.Lora.Reporting;

/// <summary>
/// The page about runs: what they came to, how they went, what they answer wrongly, what they cost,
/// what a merge keeps, and what all of it was made of.
/// </summary>
/// <param name="data">What it shows.</param>
internal sealed class ReportPage(ReportData data)
{
    /// <summary>The whole file.</summary>
    public string Build()
    {
        (string Id, string Title, Html Contents)[] sections = [.. Sections().Where(section =>
            section.Contents.Text.Length > 0)];
        return StaticPage.Build(data.Title, Html.Of($"""
            <a class="skip" href="#main">Skip to the results</a>
            <header><h1>{data.Title}</h1>
            <p class="lede">{Lede()}</p>
            <nav aria-label="Contents"><ul>{sections.Select(section =>
                Html.Of($"""<li><a href="#{section.Id}">{section.Title}</a></li>"""))}</ul></nav>
            </header>
            <main id="main">
            {sections.Select(section => Html.Of($"""
                <section id="{section.Id}" aria-labelledby="{section.Id}-title">
                <h2 id="{section.Id}-title">{section.Title}</h2>
                {section.Contents}
                </section>

                """))}
            </main>
            <footer><p>One file; it asks nothing of any network.</p></footer>
            """));
    }

    private IEnumerable<(string Id, string Title, Html Contents)> Sections() =>
    [
        ("results", "Results", ResultTables.Of(data)),
        ("curves", "Curves", Curves()),
        ("answers", "Answers", AnswerTables.Of(data.Runs)),
        ("cost", "Cost", CostTables.Of(data.Runs)),
        ("certificate", "Certificate", CertificateTables.Of(data.Certificates)),
        ("origin", "What it was made of", OriginTables.Of(data.Runs)),
    ];

    private string Lede()
    {
        (int Count, string One, string Many)[] counts = [(data.Runs.Count, "training", "trainings"),
            (data.Experiments.Count, "experiment", "experiments"), (data.Certificates.Count, "merge", "merges")];
        var shown = string.Join(", ", counts.Where(entry => entry.Count > 0)
            .Select(entry => $"{entry.Count} {(entry.Count == 1 ? entry.One : entry.Many)}"));
        return data.Runs.Select(run => run.Answers).OfType<ReportedAnswers>().FirstOrDefault() is { } answers
            ? $"{shown}, asked {ReportText.Count(answers.Result.Count)} texts of {answers.Source}." : $"{shown}.";
    }

    private Html Curves()
    {
        if (data.Curves.Count == 0)
        {
            return Html.Empty;
        }
        var shown = data.Curves.Take(LossPicture.MaxRuns).ToList();
        var some = shown.Count < data.Curves.Count ? $" The first {shown.Count} of {data.Curves.Count} runs." : "";
        return Html.Of($"""
            <p>The loss of each step and its mean, and loss and accuracy on the held-out examples.{some}</p>
            <figure class="plot-figure">{new Html(LossPicture.Draw(data.Title, shown, inPage: true))}</figure>
            """);
    }
}
