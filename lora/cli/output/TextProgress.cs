using System.Diagnostics;

namespace LoraScratch.Cli;

/// <summary>
/// Shows on standard error how many texts are done: a bar on a terminal, a plain line every few
/// seconds where it is piped.
/// </summary>
internal static class TextProgress
{
    private const double SecondsBetweenLines = 5, SecondsBetweenFrames = 0.1;

    /// <summary>Does the work while showing it.</summary>
    /// <param name="texts">How many there are.</param>
    /// <param name="work">Is given what to call with the number of texts done.</param>
    public static void Show(int texts, Action<Action<int>> work) => Show(texts, "texts", work);

    /// <summary>The same of other things.</summary>
    /// <param name="count">How many there are.</param>
    /// <param name="things">What they are: "layers".</param>
    /// <param name="work">Is given what to call with the number of them done.</param>
    public static void Show(int count, string things, Action<Action<int>> work)
    {
        if (Terminal.IsPlain(Console.IsErrorRedirected))
        {
            work(Lines(count, things));
            return;
        }
        var line = new ProgressLine(Console.Error, () => Console.WindowWidth);
        var (clock, shown) = (Stopwatch.StartNew(), 0.0);
        try
        {
            work(done =>
            {
                var seconds = clock.Elapsed.TotalSeconds;
                if (done == count || seconds - shown >= SecondsBetweenFrames)
                {
                    shown = seconds;
                    line.Show(Line(done, count, things, seconds), (double)done / count);
                }
            });
        }
        finally
        {
            line.End();
        }
    }

    /// <summary>Says a line every few seconds when it is called with the texts done.</summary>
    /// <param name="texts">How many there are.</param>
    /// <param name="things">What they are, if not texts.</param>
    public static Action<int> Lines(int texts, string things = "texts")
    {
        var clock = Stopwatch.StartNew();
        var said = 0.0;
        return done =>
        {
            var seconds = clock.Elapsed.TotalSeconds;
            if (done < texts && seconds - said >= SecondsBetweenLines)
            {
                said = seconds;
                Console.Error.WriteLine(Line(done, texts, things, seconds));
            }
        };
    }

    private static string Line(int done, int count, string things, double seconds) =>
        $"{Text.Count(done)} of {Text.Count(count)} {things}  {Text.Duration(seconds * (count - done) / done)} left";
}
