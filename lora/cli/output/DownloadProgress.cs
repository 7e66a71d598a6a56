using System.Diagnostics;
using LoraScratch.Lora.Hub;

namespace LoraScratch.Cli;

/// <summary>
/// Shows a download on standard error: a bar on a terminal, a plain line every few seconds where
/// it is piped.
/// </summary>
internal sealed class DownloadProgress : IProgress<HubProgress>, IDisposable
{
    private const double SecondsBetweenLines = 5, SecondsBetweenFrames = 0.1;

    private readonly ProgressLine? line = Terminal.IsPlain(Console.IsErrorRedirected)
        ? null : new ProgressLine(Console.Error, () => Console.WindowWidth);
    private readonly Stopwatch clock = Stopwatch.StartNew();
    private double? shown;
    private (long Bytes, double Seconds)? first;                // of what this process downloads
    private bool wasWaiting;

    /// <summary>Shows how far it is.</summary>
    public void Report(HubProgress value)
    {
        var seconds = clock.Elapsed.TotalSeconds;
        first = value.IsWaiting ? null : first ?? (value.Bytes, seconds);
        var isDue = shown is not { } last || value.IsWaiting != wasWaiting || line is not null
            && value.Bytes == value.TotalBytes
            || seconds - last >= (line is null ? SecondsBetweenLines : SecondsBetweenFrames);
        if (!isDue)
        {
            return;
        }
        (shown, wasWaiting) = (seconds, value.IsWaiting);
        var text = Describe(value, seconds);
        if (line is null)
        {
            Console.Error.WriteLine(text);
            return;
        }
        line.Show(text, value.TotalBytes == 0 ? 1 : (double)value.Bytes / value.TotalBytes);
    }

    public void Dispose() => line?.End();

    private string Describe(HubProgress value, double seconds)
    {
        if (value.IsWaiting)
        {
            return $"{value.File}: another process downloads it, waiting";
        }
        var (bytes, time) = first is { } from ? (value.Bytes - from.Bytes, seconds - from.Seconds) : default;
        var left = bytes > 0 && value.Bytes < value.TotalBytes && time > 1
            ? $"  {Text.Duration(time * (value.TotalBytes - value.Bytes) / bytes)} left" : "";
        return $"{value.File}  {Text.Bytes(value.Bytes)} of {Text.Bytes(value.TotalBytes)}{left}";
    }
}
