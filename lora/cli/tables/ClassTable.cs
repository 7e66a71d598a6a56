using System.Text;
using LoraScratch.Lora.Classification;

namespace LoraScratch.Cli.Tables;

/// <summary>
/// How a model does on each class, and on all of them: precision, recall, F1 and support, as
/// people know them from scikit-learn's classification_report. At most 80 columns.
/// </summary>
internal static class ClassTable
{
    private const int NumberWidth = 11, LongestName = Columns.Screen - 4 * NumberWidth - 2;

    /// <summary>The table, a line for each class and each average.</summary>
    /// <param name="result">The figures.</param>
    /// <param name="labels">Names of the classes.</param>
    public static string Of(Evaluation result, IReadOnlyList<string> labels)
    {
        var table = new StringBuilder();
        var averages = Averages(result);
        var width = labels.Concat(averages.Select(average => average.Name))
            .Max(name => Math.Min(Columns.Of(Terminal.Printable(name)), LongestName)) + 2;
        table.Append($"{"class".PadRight(width)}{"precision",NumberWidth}{"recall",NumberWidth}{"F1",NumberWidth}"
            + $"{"support",NumberWidth}\n");
        foreach (var (name, precision, recall, f1, support) in labels
            .Zip(result.Classes, (name, one) => (name, one.Precision, one.Recall, one.F1, one.Support))
            .Concat(averages))
        {
            table.Append(Columns.Left(Columns.Fit(Terminal.Printable(name), LongestName), width)
                + $"{Text.Percent(precision),NumberWidth}{Text.Percent(recall),NumberWidth}"
                + $"{Text.Percent(f1),NumberWidth}{Text.Count(support),NumberWidth}\n");
        }
        return table.ToString();
    }

    /// <summary>
    /// The averages; of one class a text the micro average is the accuracy, which is said already.
    /// </summary>
    private static IReadOnlyList<(string Name, double Precision, double Recall, double F1, int Support)> Averages(
        Evaluation result)
    {
        var (micro, support) = (result.Micro, result.Classes.Sum(one => one.Support));
        return
        [
            .. result.Confusion is null
                ? [("micro average", micro.Precision, micro.Recall, micro.F1, support)]
                : Array.Empty<(string, double, double, double, int)>(),
            ("macro average", result.MacroPrecision, result.MacroRecall, result.MacroF1, support),
            ("weighted average", result.WeightedPrecision, result.WeightedRecall, result.WeightedF1, support),
        ];
    }
}
