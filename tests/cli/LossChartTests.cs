using System.Xml.Linq;
using LoraScratch.Cli.Charts;
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
    public void The_svg_is_well_formed_and_has_a_line_and_a_legend_for_each_curve()
    {
        var root = XDocument.Parse(
            SvgChart.Draw("a < b & c",
                [new LossCurve("one", [0.7f, 0.5f, 0.3f]), new LossCurve("two <2>", [0.7f, 0.6f])])).Root!;
        var lines = root.Elements(Svg + "polyline").ToArray();
        Assert.That(lines, Has.Length.EqualTo(2));
        Assert.That(root.Elements(Svg + "text").Select(text => text.Value),
            Does.Contain("a < b & c").And.Contain("one").And.Contain("two <2>"));
        var heights = lines[0].Attribute("points")!.Value.Split(' ')
            .Select(point => double.Parse(point.Split(',')[1], System.Globalization.CultureInfo.InvariantCulture));
        Assert.That(heights, Is.Ordered.Ascending, "a falling loss goes down, where y grows");
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
