using System.Diagnostics;
using Spectre.Console;

namespace LoraScratch.Cli;

/// <summary>
/// Shows on standard error how many texts are done: a bar on a terminal, a plain line every few
/// seconds where it is piped.
/// </summary>
internal static class TextProgress
{
    private const double SecondsBetweenLines = 5;

    /// <summary>Does the work while showing it.</summary>
    /// <param name="texts">How many there are.</param>
    /// <param name="work">Is given what to call with the number of texts done.</param>
    public static void Show(int texts, Action<Action<int>> work)
    {
        if (Console.IsErrorRedirected)
        {
            work(Lines(texts));
            return;
        }
        var clock = Stopwatch.StartNew();
        Terminal.Error.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn { Width = 20 },
                new PercentageColumn())
            .Start(context =>
            {
                var bar = context.AddTask("texts", maxValue: Math.Max(texts, 1));
                work(done =>
                {
                    bar.Value = done;
                    bar.Description = Line(done, texts, clock.Elapsed.TotalSeconds);
                });
            });
    }

    /// <summary>Says a line every few seconds when it is called with the texts done.</summary>
    /// <param name="texts">How many there are.</param>
    public static Action<int> Lines(int texts)
    {
        var clock = Stopwatch.StartNew();
        var said = 0.0;
        return done =>
        {
            var seconds = clock.Elapsed.TotalSeconds;
            if (done < texts && seconds - said >= SecondsBetweenLines)
            {
                said = seconds;
                Console.Error.WriteLine(Line(done, texts, seconds));
            }
        };
    }

    private static string Line(int done, int texts, double seconds) => $"{Text.Count(done)} of {Text.Count(texts)} "
        + $"texts  {Text.Duration(seconds * (texts - done) / done)} left";
}
