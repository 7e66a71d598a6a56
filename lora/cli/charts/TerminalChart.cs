using System.Globalization;
using System.Text;
using LoraScratch.Lora.Charts;
using Spectre.Console;

namespace LoraScratch.Cli.Charts;

/// <summary>
/// Loss curves drawn with letters: they can be told apart in a pipe, where there are no colours.
/// </summary>
internal static class TerminalChart
{
    private const int Height = 12, LabelWidth = 6;
    private static readonly char[] Signs = ['o', 'x', '+', '*'];
    private static readonly string[] Colours = ["deepskyblue1", "orange1", "green3", "violet"];

    /// <summary>Writes the chart and its legend.</summary>
    /// <param name="console">Where to.</param>
    /// <param name="curves">At most four.</param>
    /// <param name="width">Columns of the plot.</param>
    public static void Write(IAnsiConsole console, IReadOnlyList<LossCurve> curves, int width = 64)
    {
        var marks = Axis.Marks(curves.Max(curve => curve.Smooth(width).Max(point => point.Loss)), 4);
        var steps = curves.Max(curve => curve.Losses.Count);
        // 0: empty; i + 1: curve i, a later one over an earlier one
        var owner = new int[Height, width];
        for (var i = 0; i < curves.Count; i++)
        {
            foreach (var (step, loss) in curves[i].Smooth(width))
            {
                var column = Math.Clamp((int)(step / steps * width), 0, width - 1);
                owner[Row(loss, marks[^1]), column] = i + 1;
            }
        }
        for (var row = 0; row < Height; row++)
        {
            console.MarkupLine($"{Label(row, marks)} │{Cells(owner, row, width)}");
        }
        console.WriteLine($"{new string(' ', LabelWidth)} └{new string('─', width)}");
        console.WriteLine($"{new string(' ', LabelWidth)}  1{$"step {steps}".PadLeft(width - 1)}");
        var legend = curves.Select((curve, i) => $"[{Colours[i]}]{Signs[i]}[/] {Markup.Escape(curve.Name)}");
        console.MarkupLine($"{new string(' ', LabelWidth)}  {string.Join("   ", legend)}");
    }

    private static int Row(double loss, double top) =>
        Math.Clamp(Height - 1 - (int)Math.Round(loss / top * (Height - 1)), 0, Height - 1);

    private static string Label(int row, double[] marks) =>
        (marks.Where(mark => Row(mark, marks[^1]) == row)
            .Select(mark => mark.ToString("0.##", CultureInfo.InvariantCulture)).FirstOrDefault()
            ?? "").PadLeft(LabelWidth);

    private static string Cells(int[,] owner, int row, int width)
    {
        var cells = new StringBuilder();
        for (var column = 0; column < width; column++)
        {
            cells.Append(owner[row, column] is > 0 and var i ? $"[{Colours[i - 1]}]{Signs[i - 1]}[/]" : " ");
        }
        return cells.ToString();
    }
}
