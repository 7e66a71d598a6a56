using System.Globalization;
using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Experiments;
using Spectre.Console;

namespace LoraScratch.Cli.Tables;

/// <summary>
/// The outcome of a sweep: a table of the best points, and accuracy against trainable parameters as
/// a picture.
/// </summary>
internal sealed class SweepReport(SweepResult result)
{
    public const string PictureName = "accuracy.svg";
    private const int MaxRows = 10;

    /// <summary>Writes the picture and shows the table.</summary>
    public void Write(ExperimentFolder folder, IAnsiConsole console)
    {
        folder.Write(PictureName, Picture());
        console.WriteLine();
        console.Write(MethodTable.Fitting($"The best of {result.Rows.Count} runs by validation",
            ["layers", "rank", "alpha", "trainable parameters", "validation", "validation loss", "seconds"],
            [.. result.Rows.Take(MaxRows).Select(row => (IReadOnlyList<string>)[
                string.Join(", ", row.Point.Targets), Number(row.Point.Rank), Number(row.Point.Alpha),
                Text.Count(row.TrainableParameters), Text.Percent(row.Validation),
                row.ValidationLoss.ToString("F4", CultureInfo.InvariantCulture),
                Number(Math.Round(row.Seconds, 1))])]));
        console.Profile.Out.Writer.WriteLine($"The first of them, tested alone: train "
            + $"{Text.Percent(result.Train)}, test {Text.Percent(result.Test)}");
        console.Profile.Out.Writer.WriteLine($"In {folder.Path}: {Sweep.TableName}, {PictureName}. The test examples "
            + "were looked at with the best run alone.");
    }

    private string Picture()
    {
        var (fewest, most) = (result.Rows.Min(row => row.TrainableParameters),
            result.Rows.Max(row => row.TrainableParameters));
        var plot = new SvgPlot($"{result.Rows.Count} LoRA runs",
            new PlotAxis("trainable parameters (logarithmic)", Axis.LogarithmicMarks(fewest, most),
                mark => Text.Count((long)Math.Round(mark)), IsLogarithmic: true),
            new PlotAxis("validation accuracy, %",
                Axis.Marks(100 * result.Rows.Min(row => row.Validation), 100 * result.Rows.Max(row => row.Validation),
                    5), Number));
        plot.Dots("runs", result.Rows.Skip(1).Select(Dot), SeriesStyle.All[0], radius: 3);
        plot.Dots($"best: {result.Rows[0].Point.Name}", [Dot(result.Rows[0])], SeriesStyle.All[1], radius: 6);
        return plot.End();
    }

    private static (double X, double Y, string Tip) Dot(SweepRow row) =>
        (row.TrainableParameters, 100 * row.Validation, $"{row.Point.Name}: {Text.Percent(row.Validation)}");

    private static string Number(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);
}
