using System.Diagnostics;
using System.Text.Json;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// A closed terminal or a lost connection stops a training as Ctrl-C does, though nobody can read
/// what it says then.
/// </summary>
[Platform("Linux", Reason = "a test can send signals to another process on Linux only")]
[Parallelizable]
[Category(Categories.Processes)]
public class HangupTests
{
    [Test]
    public void The_run_is_saved_and_goes_on_to_the_bits_of_one_that_nobody_disturbed()
    {
        using var task = new TinyTask(inProcesses: true);
        string[] args = ["train", "--model", task.Model, "--data", task.Data, "--dropout", "0.1", "--epochs", "100",
            "--threads", "1"];
        Train([.. args, "--out", task["whole"]]);

        using var process = LoraProgram.Start([.. args, "--out", task["stopped"]]);
        LoraProgram.WaitForLine(process, "step 1/");
        process.StandardOutput.Close();                 // as sshd does: whatever is written now fails
        process.StandardError.Close();
        LoraProgram.Signal(process, "HUP");
        Assert.That(process.WaitForExit(TimeSpan.FromMinutes(1)));
        Assert.That(process.ExitCode, Is.EqualTo(130));
        Assert.That(IsCancelled(task["stopped"]));
        Assert.That(Entries(task, ".*"), Is.Empty, "nothing half-written, and no lock");

        Train([.. args, "--out", task["stopped"], "--resume"]);
        Assert.That(IsCancelled(task["stopped"]), Is.False);
        Assert.That(Weights(task["stopped"]), Is.EqualTo(Weights(task["whole"])));
    }

    [Test]
    public void A_run_whose_terminal_is_gone_is_saved()
    {
        if (!File.Exists("/usr/bin/script"))
        {
            Assert.Ignore("This machine has no 'script', which gives a command a terminal of its own.");
        }
        using var task = new TinyTask(inProcesses: true);
        using var terminal = LoraProgram.StartScript($"exec script -qec \"exec {Line(task)}\" /dev/null", task.Root);
        Assert.That(ReadUntil(terminal.StandardOutput, "step "), Is.True);
        LoraProgram.Signal(terminal, "KILL");           // of the terminal: the program itself gets SIGHUP of the system

        var patience = Stopwatch.StartNew();
        while (Entries(task, "tuned*").Length < 2 || Entries(task, ".*").Length > 0)
        {
            Assert.That(patience.Elapsed, Is.LessThan(TimeSpan.FromSeconds(30)), "no result, or no saved run");
            Thread.Sleep(20);
        }
        Assert.That(IsCancelled(task["tuned"]));
        Assert.That(File.Exists(task["tuned.checkpoint.safetensors"]));
    }

    [Test]
    public void What_nohup_started_goes_on()
    {
        using var task = new TinyTask(inProcesses: true);
        using var process = LoraProgram.StartScript($"trap '' HUP; exec {Line(task)}", task.Root);
        LoraProgram.WaitForLine(process, "step 1/");
        LoraProgram.Signal(process, "HUP");
        for (var epochs = 0; epochs < 3; epochs++)
        {
            LoraProgram.WaitForLine(process, "epoch ");
        }
        Assert.That(process.HasExited, Is.False);
        process.Kill();
    }

    private static void Train(string[] args)
    {
        var result = LoraProgram.Run(args);
        Assert.That(result.Code, Is.Zero, result.Errors);
    }

    private static string Line(TinyTask task) => $"{LoraProgram.Words} train --model '{task.Model}' "
        + $"--data '{task.Data}' --out '{task["tuned"]}' --epochs 1000000 --threads 1";

    private static string[] Entries(TinyTask task, string pattern) =>
        Directory.GetFileSystemEntries(task.Root, pattern);

    private static bool IsCancelled(string folder)
    {
        using var json = JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "training.json")));
        return json.RootElement.GetProperty("cancelled").GetBoolean();
    }

    private static byte[] Weights(string folder) =>
        File.ReadAllBytes(Path.Combine(folder, "adapter_model.safetensors"));

    private static bool ReadUntil(StreamReader reader, string text)
    {
        var last = "";
        while (reader.Read() is >= 0 and var letter)
        {
            last = (last + (char)letter)[^Math.Min(text.Length, last.Length + 1)..];
            if (last == text)
            {
                return true;
            }
        }
        return false;
    }
}
