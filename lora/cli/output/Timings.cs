using System.Diagnostics;
using System.Globalization;
using System.Runtime;
using LoraScratch.Engine;

namespace LoraScratch.Cli;

/// <summary>
/// Where the time of a short command goes: the stages that the library tells, and the rest.
/// </summary>
internal sealed class Timings : IDisposable
{
    private readonly List<(string Name, TimeSpan Time)> stages = [];
    private readonly ActivityListener listener;
    private readonly DateTime begun = DateTime.Now;

    /// <summary>Listens from here on.</summary>
    public Timings()
    {
        listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == Stages.SourceName,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllData,
            ActivityStopped = stage => stages.Add((stage.OperationName, stage.Duration)),
        };
        ActivitySource.AddActivityListener(listener);
    }

    /// <summary>Milliseconds of every stage since the process started, a line each.</summary>
    /// <remarks>
    /// What the JIT compiler took is part of the stages, wherever it was that a method ran for the
    /// first time.
    /// </remarks>
    public void Write(TextWriter output)
    {
        var started = Process.GetCurrentProcess().StartTime;
        var total = DateTime.Now - started;
        var told = stages.GroupBy(stage => stage.Name)
            .Select(stage => (stage.Key, Time: TimeSpan.FromTicks(stage.Sum(one => one.Time.Ticks)))).ToList();
        var other = total - (begun - started) - TimeSpan.FromTicks(told.Sum(stage => stage.Time.Ticks));
        foreach (var (name, time) in told.Prepend(("start the runtime, read the command line", begun - started))
            .Append(("everything else", other)).Append(("together", total)))
        {
            Line(name, time);
        }
        Line($"of which compiling {JitInfo.GetCompiledMethodCount()} methods", JitInfo.GetCompilationTime());

        void Line(string name, TimeSpan time) =>
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{name,-42}{time.TotalMilliseconds,8:F1} ms"));
    }

    public void Dispose() => listener.Dispose();
}
