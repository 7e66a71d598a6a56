using System.Globalization;
using LoraScratch.Lora.Training;
using Spectre.Console;

namespace LoraScratch.Cli.Tables;

/// <summary>The methods as the tables name them.</summary>
internal static class MethodNames
{
    /// <summary>"LoRA (query, value)"</summary>
    public static string Of(TrainingMethod method, IReadOnlyList<string> targets) => method switch
    {
        TrainingMethod.LoRA => $"LoRA ({string.Join(", ", targets)})",
        TrainingMethod.QALoRA => $"QA-LoRA ({string.Join(", ", targets)})",
        TrainingMethod.LastLayers => "last two layers",
        _ => "all layers",
    };
}

/// <summary>Numbers of several seeds as one entry of a table.</summary>
internal static class Spread
{
    /// <summary>
    /// Mean and standard deviation (of a sample: over n − 1); the deviation of one number is 0.
    /// </summary>
    public static (double Mean, double Deviation) Of(IReadOnlyList<double> values)
    {
        var mean = values.Average();
        return (mean, values.Count < 2
            ? 0 : Math.Sqrt(values.Sum(value => (value - mean) * (value - mean)) / (values.Count - 1)));
    }

    /// <summary>"89.44 %", or "89.44 ± 0.31 %" of several.</summary>
    public static string Percent(IReadOnlyList<double> shares)
    {
        var (mean, deviation) = Of(shares);
        return shares.Count == 1 ? Text.Percent(mean)
            : string.Create(CultureInfo.InvariantCulture, $"{100 * mean:F2} ± {100 * deviation:F2} %");
    }

    /// <summary>"12.3", or "12.3 ± 0.4" of several.</summary>
    public static string Number(IReadOnlyList<double> values)
    {
        var (mean, deviation) = Of(values);
        return string.Create(CultureInfo.InvariantCulture,
            $"{mean:F1}{(values.Count == 1 ? "" : FormattableString.Invariant($" ± {deviation:F1}"))}");
    }
}

/// <summary>What a method came to, one entry for each seed.</summary>
internal interface IMethodOutcome
{
    /// <summary>As the table names it.</summary>
    string Name { get; }

    /// <summary>Parameters that were trained.</summary>
    long TrainableParameters { get; }

    /// <summary>Accuracies on the texts that it was trained on.</summary>
    IReadOnlyList<double> Train { get; }

    /// <summary>On those that chose.</summary>
    IReadOnlyList<double> Validation { get; }

    /// <summary>On those that nothing is chosen by.</summary>
    IReadOnlyList<double> Test { get; }

    /// <summary>Duration of the training.</summary>
    IReadOnlyList<double> Seconds { get; }
}

/// <summary>The tutorials' table: methods, what they train, and how right they are.</summary>
internal static class MethodTable
{
    /// <summary>The table.</summary>
    /// <param name="title">Above it.</param>
    /// <param name="outcomes">A row each.</param>
    /// <param name="more">More columns, after the others.</param>
    public static Table Create<T>(string title, IReadOnlyList<T> outcomes,
        params (string Header, Func<T, string> Cell)[] more) where T : IMethodOutcome
    {
        (string Header, Func<T, string> Cell)[] columns =
        [
            ("method", outcome => outcome.Name),
            ("trainable parameters", outcome => Text.Count(outcome.TrainableParameters)),
            ("train", outcome => Spread.Percent(outcome.Train)),
            ("validation", outcome => Spread.Percent(outcome.Validation)),
            ("test", outcome => Spread.Percent(outcome.Test)),
            ("seconds", outcome => Spread.Number(outcome.Seconds)),
            .. more,
        ];
        var table = New(title, [.. columns.Select(column => column.Header)]);
        foreach (var outcome in outcomes)
        {
            table.AddRow([.. columns.Select(column => Markup.Escape(column.Cell(outcome)))]);
        }
        return table;
    }

    /// <summary>An empty table; the first column is of words, the others of numbers.</summary>
    public static Table New(string title, params string[] columns)
    {
        var table = new Table { Title = new TableTitle(Markup.Escape(title)), Border = TableBorder.Rounded };
        for (var i = 0; i < columns.Length; i++)
        {
            table.AddColumn(new TableColumn(Markup.Escape(columns[i]))
            {
                Alignment = i == 0
                ? Justify.Left : Justify.Right
            });
        }
        return table;
    }

    /// <summary>
    /// How many fewer parameters one method trains than another, as the tutorial says it: "454x
    /// fewer", "4x fewer", "1.3x more"; "about as many" where the two differ by less than a tenth.
    /// </summary>
    public static string Ratio(long ours, long theirs)
    {
        var ratio = (double)Math.Max(ours, theirs) / Math.Min(ours, theirs);
        return ratio < 1.1 ? ours == theirs
            ? "as many" : "about as many"
            : $"{ratio.ToString(ratio < 9.95 ? "0.#" : "N0", CultureInfo.InvariantCulture)}x "
                + $"{(ours < theirs ? "fewer" : "more")}";
    }

    /// <summary>
    /// Standard output; no escape codes where it is piped into a file or another program, and then
    /// wide enough for the table.
    /// </summary>
    public static IAnsiConsole Output()
    {
        var console = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Ansi = Console.IsOutputRedirected ? AnsiSupport.No : AnsiSupport.Detect,
                Out = new AnsiConsoleOutput(Console.Out)
            });
        if (Console.IsOutputRedirected)
        {
            console.Profile.Width = 160;
        }
        return console;
    }
}
