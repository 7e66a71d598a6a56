using System.Diagnostics;
using System.Globalization;
using Spectre.Console;

namespace LoraScratch.Cli.Demo;

/// <summary>How far a stage has come.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="Steps">Steps in all.</param>
/// <param name="Loss">Loss of the last batch.</param>
internal readonly record struct StageState(int Step, int Steps, float Loss);

/// <summary>
/// Shows the stages of a long command: a live bar each on a terminal, a plain line each where the
/// output is piped.
/// </summary>
/// <param name="console">Where to.</param>
/// <param name="heading">Comes before every stage's name; empty for none.</param>
internal sealed class StageProgress(IAnsiConsole console, string heading = "")
{
    // A batch's loss jumps about; people want to see where it is going.
    private const float Smoothing = 0.05f;

    /// <summary>Runs a stage while showing it.</summary>
    /// <param name="name">What is being done.</param>
    /// <param name="work">Does it, and calls its argument after every step.</param>
    public T Show<T>(string name, Func<Action<StageState>, T> work)
    {
        var clock = Stopwatch.StartNew();
        return console.Profile.Capabilities.Interactive && console.Profile.Capabilities.Ansi
            ? ShowBar(heading + name, work, clock) : ShowLine(heading + name, work, clock);
    }

    private T ShowBar<T>(string name, Func<Action<StageState>, T> work, Stopwatch clock) =>
        console.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn { Width = 24 },
                new PercentageColumn())
            .Start(context =>
            {
                var bar = context.AddTask(Describe(name, null, clock), maxValue: 1);
                var loss = float.NaN;
                var result = work(state =>
                {
                    loss = Smooth(loss, state.Loss);
                    (bar.MaxValue, bar.Value, bar.Description) = (state.Steps, state.Step, Describe(name, loss, clock));
                });
                (bar.Value, bar.Description) = (bar.MaxValue, Describe(name, loss, clock));
                return result;
            });

    private T ShowLine<T>(string name, Func<Action<StageState>, T> work, Stopwatch clock)
    {
        var loss = float.NaN;
        var result = work(state => loss = Smooth(loss, state.Loss));
        console.MarkupLine(Describe(name, loss, clock));
        return result;
    }

    private static float Smooth(float mean, float loss) => float.IsNaN(mean) ? loss : mean + Smoothing * (loss - mean);

    private static string Describe(string name, float? loss, Stopwatch clock) =>
        Markup.Escape(name.PadRight(36)
            + (loss is { } value && float.IsFinite(value)
                ? value.ToString("'loss' 0.000", CultureInfo.InvariantCulture) : "").PadRight(12)
            + Text.Duration(clock.Elapsed.TotalSeconds).PadLeft(7));
}
