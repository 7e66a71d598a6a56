using System.Globalization;
using LoraScratch.Lora.Training;
using Spectre.Console;
using Spectre.Console.Rendering;

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
    public static IRenderable Create<T>(string title, IReadOnlyList<T> outcomes,
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
        return Fitting(title, [.. columns.Select(column => column.Header)], [.. outcomes.Select(outcome =>
            (IReadOnlyList<string>)[.. columns.Select(column => column.Cell(outcome))])]);
    }

    /// <summary>
    /// A table, or where it is wider than a screen several beneath each other, with the first
    /// column in each. A number is never broken.
    /// </summary>
    /// <param name="title">Above it.</param>
    /// <param name="headers">Of the columns.</param>
    /// <param name="rows">As many cells in each.</param>
    public static IRenderable Fitting(string title, IReadOnlyList<string> headers,
        IReadOnlyList<IReadOnlyList<string>> rows)
    {
        const int frame = 3;                                    // a line and two spaces
        const int firstColumn = 12;                             // "embeddings," and more in further lines
        var tables = new List<IRenderable>();
        for (var column = 1; column < headers.Count;)
        {
            var table = New(tables.Count == 0 ? title : "", headers[0]);
            var chosen = new List<int>();
            var left = Columns.Screen - 1 - firstColumn - frame;
            for (; column < headers.Count; column++)
            {
                var width = Math.Max(headers[column].Split(' ').Max(Columns.Of),
                    rows.Max(row => Columns.Of(row[column])));
                if (left < frame + width && chosen.Count > 0)
                {
                    break;
                }
                left -= frame + width;
                chosen.Add(column);
                table.AddColumn(new TableColumn(Markup.Escape(headers[column]))
                {
                    Alignment = Justify.Right,
                    Width = width,
                    NoWrap = true,
                });
            }
            // it must not take from the others, as it would by itself
            table.Columns[0].Width = Math.Min(firstColumn + Math.Max(left, 0), rows.Max(row => Columns.Of(row[0])));
            foreach (var row in rows)
            {
                table.AddRow([Markup.Escape(row[0]), .. chosen.Select(i => Markup.Escape(row[i]))]);
            }
            tables.Add(table);
        }
        return new Rows(tables);
    }

    /// <summary>An empty table; the first column is of words, the others of numbers.</summary>
    public static Table New(string title, params string[] columns)
    {
        var table = new Table
        {
            Title = title.Length > 0 ? new TableTitle(Markup.Escape(title)) : null,
            Border = TableBorder.Rounded,
        };
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
    /// as wide as a screen.
    /// </summary>
    public static IAnsiConsole Output()
    {
        var console = AnsiConsole.Create(
            new AnsiConsoleSettings
            {
                Ansi = Terminal.IsPlain(Console.IsOutputRedirected) ? AnsiSupport.No : AnsiSupport.Detect,
                Out = new AnsiConsoleOutput(Console.Out)
            });
        if (Console.IsOutputRedirected)
        {
            console.Profile.Width = Columns.Screen;
        }
        return console;
    }
}
