using System.Diagnostics;
using System.Text.Json;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// Ctrl-C ends a training after the step in progress, saves what there is, and says how to go on.
/// </summary>
[Platform("Linux", Reason = "a test can send the signal of Ctrl-C to another process on Linux only")]
[Parallelizable]
[Category(Categories.Processes)]
public class InterruptTests
{
    [Test]
    public void Training_stops_saves_and_goes_on_with_the_command_that_it_prints()
    {
        using var task = new TinyTask(inProcesses: true);
        var model = task.Model;
        using var process = LoraProgram.Start(
            ["train", "--model", model, "--data", "train.csv", "--out", "my tuned", "--rank", "4", "--lr", "2e-3",
                "--epochs", "1000000", "--threads", "1"], task.Root);
        var output = process.StandardOutput.ReadToEndAsync();
        LoraProgram.WaitForLine(process, "step 1/");
        var errors = process.StandardError.ReadToEndAsync();
        LoraProgram.Signal(process, "INT");
        var stopped = LoraProgram.Finish(process, output, errors);
        Assert.That(stopped.Code, Is.EqualTo(130), stopped.Errors);
        Assert.That(stopped.Output, Does.StartWith("Stopped after step "));
        Assert.That(Directory.GetFileSystemEntries(task.Root, ".*"), Is.Empty, "nothing half-written");

        var steps = File.ReadAllLines(Path.Combine(task["my tuned"], "metrics.jsonl")).Length;
        Assert.That(Summary(task["my tuned"]).GetProperty("cancelled").GetBoolean(), Is.True);
        Assert.That(Summary(task["my tuned"]).GetProperty("steps").GetInt32(), Is.EqualTo(steps));

        Assert.That(File.Exists(task["my tuned.checkpoint.safetensors"]));
        var again = stopped.Lines.Single(text => text.StartsWith("  lora ", StringComparison.Ordinal)).Trim();
        Assert.That(again,
            Is.EqualTo($"lora train --data train.csv --model {model} --out 'my tuned' --rank 4 --lr 2e-3 --epochs "
                + "1000000 --threads 1 --resume"));
        var script = $"lora() {{ '{ChildProcess.Host}' '{AssemblyFile.Of(typeof(LoraScratch.Cli.CommandLine))}' "
            + $"\"$@\"; }}; {again}";
        using var shell = Process.Start(
            new ProcessStartInfo("/bin/sh", ["-c", script])
            {
                WorkingDirectory = task.Root,
                RedirectStandardOutput = true,
                RedirectStandardError = true
            })!;
        var second = shell.StandardOutput.ReadToEndAsync();
        Assert.That(shell.StandardError.ReadLine(), Is.Not.Null);
        while (shell.StandardError.ReadLine() is { } line && !line.StartsWith("step ", StringComparison.Ordinal))
        {
        }
        shell.Kill(entireProcessTree: true);
        LoraProgram.Finish(shell, second, shell.StandardError.ReadToEndAsync());
    }

    private static JsonElement Summary(string folder) =>
        JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "training.json"))).RootElement;
}
