using System.Globalization;
using System.Text;

namespace LoraScratch.Engine;

/// <summary>Numbers as rows and columns.</summary>
internal static class TensorText
{
    /// <summary>Rows and columns that are shown.</summary>
    public const int Most = 8;

    /// <summary>A line for each row, columns aligned; "…" for what is left out.</summary>
    /// <param name="values">Row-major.</param>
    /// <param name="shape">Seen as a matrix, [rows, columns].</param>
    public static string Of(ReadOnlySpan<float> values, Shape shape)
    {
        var (rows, columns) = (Math.Min(shape.Rows, Most), Math.Min(shape.Columns, Most));
        var cells = new string[rows * columns];
        for (var i = 0; i < cells.Length; i++)
        {
            cells[i] = Number(values[i / columns * shape.Columns + i % columns]);
        }
        var width = cells.Length == 0 ? 0 : cells.Max(cell => cell.Length);
        var text = new StringBuilder();
        for (var i = 0; i < rows; i++)
        {
            text.Append(i == 0 ? "[" : "\n ").AppendJoin("  ",
                cells.Skip(i * columns).Take(columns).Select(cell => cell.PadLeft(width)));
            text.Append(shape.Columns > columns ? "  …" : "");
        }
        return text.Append(shape.Rows > rows ? "\n …]" : rows == 0 ? "[]" : "]").ToString();
    }

    /// <summary>Whether all of the numbers are shown.</summary>
    public static bool ShowsAll(Shape shape) => shape.Rows <= Most && shape.Columns <= Most;

    /// <summary>
    /// Mean, standard deviation, the largest in absolute value and how many are zero.
    /// </summary>
    public static string Statistics(ReadOnlySpan<float> values)
    {
        double sum = 0, squares = 0, largest = 0;
        var zeros = 0;
        foreach (var value in values)
        {
            sum += value;
            squares += (double)value * value;
            largest = Math.Max(largest, Math.Abs((double)value));
            zeros += value == 0 ? 1 : 0;
        }
        var mean = sum / Math.Max(1, values.Length);
        var deviation = Math.Sqrt(Math.Max(0, squares / Math.Max(1, values.Length) - mean * mean));
        return string.Create(CultureInfo.InvariantCulture,
            $"mean {mean:G4}, standard deviation {deviation:G4}, max |·| {largest:G4}, norm {Math.Sqrt(squares):G4}, "
                + $"zeros {zeros:N0} of {values.Length:N0}");
    }

    /// <summary>Five digits.</summary>
    public static string Number(double value) => value.ToString("G5", CultureInfo.InvariantCulture);
}
