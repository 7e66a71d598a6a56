using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Classification;

namespace LoraScratch.Cli.Tables;

/// <summary>
/// A reliability diagram: the accuracy of each bin against its mean probability, beside the
/// diagonal on which they are the same.
/// </summary>
internal sealed class CalibrationPicture
{
    private const int Most = 3;

    private readonly List<(string Name, AnswerCalibration Calibration)> curves = [];

    /// <param name="path">Where it will go.</param>
    /// <exception cref="InputException">That is no name of an SVG.</exception>
    public CalibrationPicture(string path) => Path = SvgFile.Require("--reliability", path);

    /// <summary>The SVG file.</summary>
    public string Path { get; }

    /// <summary>Refuses more curves than can be told apart.</summary>
    /// <exception cref="InputException">The message says what to do.</exception>
    public void RequireRoom(int tasks)
    {
        if (tasks > Most)
        {
            throw new InputException($"--reliability {Path} has room for {Most} adapters, and {tasks} are "
                + "given. Choose one with --active.");
        }
    }

    /// <summary>Adds a curve.</summary>
    public void Add(string name, Evaluation result) => curves.Add((name, result.Calibration));

    /// <summary>The whole file.</summary>
    public string Draw()
    {
        var marks = Axis.Marks(1, 5);
        var plot = new SvgPlot("Are probabilities what they say?", new PlotAxis("mean probability", marks, Short),
            new PlotAxis("accuracy", marks, Short));
        plot.Curve("as they say", [(0, 0), (1, 1)], SeriesStyle.All[^1], dashed: true);
        foreach (var ((name, calibration), style) in curves.Zip(SeriesStyle.All))
        {
            var bins = calibration.Bins.Where(bin => bin.Count > 0).ToList();
            plot.Curve($"{name}, ECE {Text.Percent(calibration.ExpectedError)}",
                bins.Select(bin => (bin.Confidence, bin.Accuracy)), style);
            plot.Dots("", bins.Select(bin => (bin.Confidence, bin.Accuracy,
                $"{Text.Count(bin.Count)} answers of {Text.Percent(bin.Confidence)}, {Text.Percent(bin.Accuracy)} of "
                    + "them right")), style, radius: 4);
        }
        return plot.End();
    }

    private static string Short(double value) => value.ToString("0.##", CultureInfo.InvariantCulture);
}
