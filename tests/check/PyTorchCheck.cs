using System.ComponentModel;
using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace LoraScratch.Tests.Check;

/// <summary>
/// PyTorch beside it, where a Python has it: the same products and steps, by pytorch.py, which is
/// inside this program.
/// </summary>
internal static class PyTorchCheck
{
    private const string Section = "pytorch", Script = "pytorch.py";

    private static readonly TimeSpan Most = TimeSpan.FromSeconds(90);

    public static void Run(CheckRun run) => run.Try(Section, Script, () =>
    {
        using var folder = new TemporaryFolder();
        using (var script = typeof(PyTorchCheck).Assembly.GetManifestResourceStream(Script)!)
        using (var file = File.Create(folder.File(Script)))
        {
            script.CopyTo(file);
        }
        var start = new ProcessStartInfo(run.Options.Python, [folder.File(Script),
            .. run.Options.Gpu.IsSimulated ? (string[])["--device", "cpu", "--steps", "", "--products", "64,64,64"]
                : ["--products", string.Join(';', ProductCheck.Shapes.Select(shape => $"{shape.M},{shape.N},{shape.K}")
                    .Distinct())]])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception)
        {
            LeftOut(run, $"there is no program {run.Options.Python}.");
            return;
        }
        using (process)
        using (new Timer(_ => Kill(process), null, Most, Timeout.InfiniteTimeSpan))
        {
            var errors = process.StandardError.ReadToEndAsync();
            while (process.StandardOutput.ReadLine() is { } line)
            {
                Read(run, line);
            }
            process.WaitForExit();
            if (process.ExitCode != 0)
            {
                LeftOut(run, $"it ended with code {process.ExitCode}: "
                    + $"{errors.Result.Trim().Split('\n')[^1]} (it may take {Most.TotalSeconds} s).");
            }
        }
    });

    private static void Kill(Process process)
    {
        try
        {
            process.Kill(entireProcessTree: true);
        }
        catch (Exception e) when (e is InvalidOperationException or Win32Exception)
        {
            // It has just ended by itself.
        }
    }

    /// <summary>A line is an object of JSON: figures, or why there are none.</summary>
    private static void Read(CheckRun run, string line)
    {
        try
        {
            var figures = JsonNode.Parse(line)!.AsObject();
            run.Add(Section, figures,
                $"  {string.Join(", ", figures.Select(figure => $"{figure.Key} {figure.Value}"))}");
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            LeftOut(run, $"it printed '{line}'.");
        }
    }

    private static void LeftOut(CheckRun run, string reason) =>
        run.Add(Section, new JsonObject { ["left_out"] = reason }, $"  left out: {reason}");
}
