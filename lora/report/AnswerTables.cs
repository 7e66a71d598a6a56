using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Pages;
using static LoraScratch.Lora.Reporting.ReportText;

namespace LoraScratch.Lora.Reporting;

/// <summary>What a model takes for what, and what it answers most wrongly.</summary>
internal static class AnswerTables
{
    private const int MaxClasses = 20, MaxPairs = 30, Shades = 8;

    /// <summary>The tables; empty where nothing was asked.</summary>
    public static Html Of(IReadOnlyList<ReportedRun> runs) => Html.Concat(runs.Where(run => run.Answers is not null)
        .Select(run => Html.Of($"""
            <h3>{run.Name}: {Percent(run.Answers!.Result.Accuracy)} of {Count(run.Answers.Result.Count)} texts</h3>
            {Confusion(run.Name, run.Answers)}
            {Classes(run.Name, run.Answers)}
            {Mistakes(run.Name, run.Answers)}

            """)));

    private static Html Confusion(string name, ReportedAnswers answers)
    {
        if (answers.Result.Confusion is not { } confusion)
        {
            return Html.Empty;
        }
        if (answers.Labels.Count > MaxClasses)
        {
            return Pairs(name, answers, confusion);
        }
        var largest = confusion.Max(row => row.Max());
        var heads = answers.Labels.Select(label => Html.Of($"""<th scope="col">{label}</th>"""));
        var rows = confusion.Select((row, i) => Html.Of($"""
            <tr><th scope="row">{answers.Labels[i]}</th>
            {row.Select((count, j) => Square(count, largest, isRight: i == j))}</tr>
            """));
        return PageMatrix.Scrollable($"confusion matrix of {name}", Html.Of($"""
            <table class="matrix">
            <caption>Confusion matrix of {name}: a row for each true class, a column for each answer</caption>
            <thead><tr><td></td>{heads}</tr></thead>
            <tbody>{rows}</tbody></table>
            """));
    }

    /// <summary>Right ones blue and bold, wrong ones orange, none grey.</summary>
    private static Html Square(int count, int largest, bool isRight)
    {
        var level = largest == 0 ? 0 : (int)Math.Ceiling((double)Shades * count / largest);
        var shade = level == 0 ? "z" : $"{(isRight ? "p" : "n")}{level}";
        return Html.Of($"""<td class="{shade}{(isRight ? " right" : "")}">{Count(count)}</td>""");
    }

    private static Html Pairs(string name, ReportedAnswers answers, IReadOnlyList<IReadOnlyList<int>> confusion) =>
        PageTable.Of($"What {name} most often takes for something else, of {answers.Labels.Count} classes",
            ["true", "answered", "texts"], confusion.SelectMany((row, i) => row.Select((count, j) => (i, j, count)))
                .Where(pair => pair.i != pair.j && pair.count > 0).OrderByDescending(pair => pair.count).Take(MaxPairs)
                .Select(pair => (Html[])
                    [Cell(answers.Labels[pair.i]), Cell(answers.Labels[pair.j]), Cell(Count(pair.count))]));

    private static Html Classes(string name, ReportedAnswers answers) => PageTable.Of($"Classes of {name}",
        ["class", "precision", "recall", "F1", "texts"], [.. answers.Labels.Zip(answers.Result.Classes, Class),
            (Html[])[Cell("macro average"), Cell(Percent(answers.Result.MacroPrecision)),
                Cell(Percent(answers.Result.MacroRecall)), Cell(Percent(answers.Result.MacroF1)),
                Cell(Count(answers.Result.Count))]]);

    private static IReadOnlyList<Html> Class(string label, ClassScore score) => [Cell(label),
        Cell(Percent(score.Precision)), Cell(Percent(score.Recall)), Cell(Percent(score.F1)),
        Cell(Count(score.Support))];

    private static Html Mistakes(string name, ReportedAnswers answers) => answers.Mistakes.Count == 0
        ? Html.Of($"""<p class="good-text">✓ No wrong answer.</p>""")
        : PageTable.Of($"The most confident mistakes of {name}", ["where", "right", "answered", "probability", "text"],
            answers.Mistakes.Select(mistake => (Html[])
            [
                Cell(mistake.Place), Cell(mistake.Label), Cell(mistake.Predicted), Cell(Percent(mistake.Probability)),
                Html.Of($"""<div class="example">{mistake.Text}</div>"""),
            ]));
}
