using System.Globalization;
using System.Text;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Experiments;

/// <summary>What a point of a grid came to.</summary>
/// <param name="Point">Which.</param>
/// <param name="TrainableParameters">Parameters that were trained.</param>
/// <param name="KeptStep">The step after which the validation was best.</param>
/// <param name="Validation">Accuracy then.</param>
/// <param name="ValidationLoss">Mean cross-entropy then.</param>
/// <param name="Seconds">Training, validation included.</param>
internal sealed record SweepRow(SweepPoint Point, long TrainableParameters, int KeptStep, double Validation,
    double ValidationLoss, double Seconds)
{
    /// <summary>More texts right, or as many at a smaller loss.</summary>
    public bool IsBetterThan(SweepRow other) =>
        Validation != other.Validation ? Validation > other.Validation : ValidationLoss < other.ValidationLoss;
}

/// <summary>
/// The table of a sweep as a CSV file, to which each run that ends appends its row. A row counts
/// once its line has ended: what a kill left of a line is cut off when the file is opened again.
/// </summary>
internal sealed class SweepTable
{
    private const string Header =
        "rank,alpha,targets,trainable_parameters,kept_step,validation_accuracy,validation_loss,seconds";
    private readonly string path;
    private readonly List<SweepRow> rows = [];

    private SweepTable(string path) => this.path = path;

    /// <summary>The rows, in the order in which the runs ended.</summary>
    public IReadOnlyList<SweepRow> Rows => rows;

    /// <summary>Opens a table, or begins one.</summary>
    /// <exception cref="InputException">
    /// The file is no such table; the message names the line.
    /// </exception>
    public static SweepTable Open(string path)
    {
        var table = new SweepTable(path);
        if (!File.Exists(path))
        {
            table.AppendLine(Header);
            return table;
        }
        var text = File.ReadAllText(path);
        var whole = text[..(text.LastIndexOf('\n') + 1)];
        if (whole.Length < text.Length)
        {
            AtomicFile.WriteText(path, whole);
        }
        var lines = whole.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        if (lines.Length == 0)
        {
            table.AppendLine(Header);
        }
        else if (lines[0] != Header)
        {
            throw new InputException($"{path}, line 1: expected the columns {Header}. Another program has changed "
                + "the table; begin anew in another folder.");
        }
        for (var i = 1; i < lines.Length; i++)
        {
            table.rows.Add(Parse(lines[i])
                ?? throw new InputException($"{path}, line {i + 1}: '{lines[i]}' is no row of this table. Delete the "
                    + "line, and its run is repeated with option 'resume'."));
        }
        return table;
    }

    /// <summary>Appends a row and waits until it is on the disk.</summary>
    /// <exception cref="InputException">It cannot be written.</exception>
    public void Append(SweepRow row)
    {
        AppendLine(string.Create(CultureInfo.InvariantCulture,
            $"{row.Point.Rank},{row.Point.Alpha},{string.Join('+', row.Point.Targets)},{row.TrainableParameters},"
                + $"{row.KeptStep},{row.Validation},{row.ValidationLoss},{row.Seconds:F1}"));
        rows.Add(row);
    }

    private void AppendLine(string line)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read);
            file.Write(Encoding.UTF8.GetBytes(line + "\n"));
            file.Flush(flushToDisk: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be written: {e.Message} The runs so far are in it; mend "
                + "this and resume with option 'resume'.");
        }
    }

    private static SweepRow? Parse(string line)
    {
        var cells = line.Split(',');
        return cells.Length == 8 && int.TryParse(cells[0], CultureInfo.InvariantCulture, out var rank)
            && Number(cells[1], out var alpha)
            && long.TryParse(cells[3], CultureInfo.InvariantCulture, out var parameters)
            && int.TryParse(cells[4], CultureInfo.InvariantCulture, out var step)
            && Number(cells[5], out var accuracy) && Number(cells[6], out var loss) && Number(cells[7], out var seconds)
            ? new SweepRow(new SweepPoint(rank, alpha, cells[2].Split('+')), parameters, step, accuracy, loss, seconds)
            : null;
    }

    private static bool Number(string text, out double value) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value);
}
