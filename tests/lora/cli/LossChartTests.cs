using System.Xml.Linq;
using LoraScratch.Cli.Charts;
using LoraScratch.Lora.Charts;
using Spectre.Console;

namespace LoraScratch.Tests.Cli;

/// <summary>Loss curves in the terminal and as SVG.</summary>
public class LossChartTests
{
    private static readonly XNamespace Svg = "http://www.w3.org/2000/svg";

    [Test]
    public void A_point_of_a_smooth_curve_is_the_mean_of_its_steps()
    {
        var curve = new LossCurve("c", [1, 3, 5, 7, 2, 4]);
        Assert.That(curve.Smooth(3), Is.EqualTo(new[] { (1.5, 2.0), (3.5, 6.0), (5.5, 3.0) }));
        Assert.That(curve.Smooth(100), Has.Count.EqualTo(6), "no more points than steps");
    }

    [TestCase(0.7, 4, new[] { 0, 0.2, 0.4, 0.6, 0.8 })]
    [TestCase(1200, 8, new[] { 0d, 200, 400, 600, 800, 1000, 1200 })]
    [TestCase(1.0, 5, new[] { 0, 0.2, 0.4, 0.6, 0.8, 1.0 })]
    public void Axis_marks_are_round_and_reach_the_largest_value(double largest, int intervals, double[] expected) =>
        Assert.That(Axis.Marks(largest, intervals), Is.EqualTo(expected).Within(1e-9));

    [TestCase(0)]
    [TestCase(double.NaN)]
    public void An_axis_without_a_largest_value_goes_to_one(double largest) =>
    Assert.That(Axis.Marks(largest, 4), Is.EqualTo(new[] { 0.0, 1.0 }));

    [Test]
    public void A_trend_keeps_a_straight_line_and_halves_a_zigzag()
    {
        var line = new LossCurve("line", [.. Enumerable.Range(0, 48).Select(i => 1 - i / 48f)]);
        Assert.That(line.Trend().Skip(2).Take(44).Select(point => point.Loss),
            Is.EqualTo(line.Losses.Skip(2).Take(44).Select(loss => (double)loss)).Within(1e-6));
        // half a window is 48 / 24 = 2 steps: the mean of five in turn 1 and 0 is 2/5 or 3/5
        var zigzag = new LossCurve("zigzag", [.. Enumerable.Range(0, 48).Select(i => i % 2 == 0 ? 1f : 0f)]);
        Assert.That(zigzag.Trend()[10].Loss, Is.EqualTo(0.6).Within(1e-12));
        Assert.That(zigzag.Trend()[11].Loss, Is.EqualTo(0.4).Within(1e-12));
        var hours = new LossCurve("long", new float[100_000]);
        Assert.That((hours.Trend().Count, hours.Raw().Count()), Is.EqualTo((401, 800)), "a file of some KiB");
    }

    [Test]
    public void The_first_steps_outlier_does_not_stretch_the_axis()
    {
        double[] losses = [11, .. Enumerable.Repeat(0.6, 50), .. Enumerable.Repeat(0.5, 49)];
        Assert.That(Axis.LossRange(losses, [0.7]), Is.EqualTo((0.5, 0.7)));
        Assert.That(Axis.LossRange([.. losses.Skip(1)], []), Is.EqualTo((0.5, 0.6)));
        Assert.That(Axis.LossRange([0.7, 0.6, 0.1], []), Is.EqualTo((0.0, 0.7)),
            "no outlier: 0.7 is shown, and 0 is near");
        var picture = LossPicture.Draw("a", [new LossCurve("a", [.. losses.Select(loss => (float)loss)])]);
        Assert.That(picture, Does.Contain("above: 1 step, up to 11 in step 1"));
    }

    [Test]
    public void The_svg_of_several_runs_has_a_line_in_each_panel_and_a_name_for_each()
    {
        var picture = LossPicture.Draw("a < b & c", [Run("one", 0.7f, 0.5f, 0.3f), Run("two <2>\u0007", 0.7f, 0.6f)]);
        var root = XDocument.Parse(picture).Root!;
        var lines = root.Descendants(Svg + "polyline").ToArray();
        Assert.That(lines, Has.Length.EqualTo(6), "loss, validation loss and accuracy of two runs");
        Assert.That(root.Descendants(Svg + "text").Select(text => text.Value), Does.Contain("a < b & c").And
            .Contain("one").And.Contain("two <2>\ufffd").And.Contain("validation loss").And.Contain("accuracy, %"));
        var heights = lines[0].Attribute("points")!.Value.Split(' ')
            .Select(point => double.Parse(point.Split(',')[1], System.Globalization.CultureInfo.InvariantCulture));
        Assert.That(heights, Is.Ordered.Ascending, "a falling loss goes down, where y grows");
        Assert.That(picture, Does.Contain("@media (prefers-color-scheme: dark)"));

        static LossCurve Run(string name, params float[] losses) => new(name, losses)
        {
            Validations = [new ValidationPoint(losses.Length, losses[^1], 0.5)],
        };
    }

    [Test]
    public void No_two_series_are_told_apart_by_colour_alone()
    {
        Assert.That(SeriesStyle.All.Select(style => (style.Dash, Shape: style.Number % 4)), Is.Unique);
        Assert.That(SeriesStyle.All.Select(style => style.Point(0, 0, 4).Split(' ')[0]).Distinct().Count(),
            Is.EqualTo(2), "discs and polygons");
        Assert.That(SeriesStyle.All.Select(style => style.Light), Is.Unique);
        Assert.That(SeriesStyle.All.Select(style => style.Dark), Is.Unique);
    }

    [Test]
    public void The_terminal_chart_draws_high_losses_above_low_ones_with_a_sign_for_each_curve()
    {
        var output = new StringWriter();
        var console = AnsiConsole.Create(
            new AnsiConsoleSettings { Ansi = AnsiSupport.No, Out = new AnsiConsoleOutput(output) });
        TerminalChart.Write(console,
            [new LossCurve("high", [.. Enumerable.Repeat(0.8f, 50)]),
                new LossCurve("low", [.. Enumerable.Repeat(0.2f, 50)])], width: 40);
        var lines = output.ToString().Split('\n');
        var high = Array.FindIndex(lines, line => line.Contains("oooo"));
        var low = Array.FindIndex(lines, line => line.Contains("xxxx"));
        Assert.That(high, Is.GreaterThanOrEqualTo(0));
        Assert.That(low, Is.GreaterThan(high));
        Assert.That(output.ToString(), Does.Contain("o high").And.Contain("x low").And.Contain("step 50"));
    }
}
