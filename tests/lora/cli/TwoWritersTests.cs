using System.CommandLine;
using LoraScratch.Cli;
using LoraScratch.Engine.IO;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// Of two processes with one --out the second stops with a sentence, before it works in vain.
/// </summary>
[Category(Categories.Processes)]
public class TwoWritersTests
{
    // Of every command with --out a line that comes as far as to --out; of what it names RUN and TRAINED alone exist.
    private static readonly string[] Lines =
    [
        "demo --out OUT",
        "train --data none.csv --out OUT",
        "pretrain --data none.csv --out OUT",
        "replay TRAINED --out OUT",
        "compare --data none.csv --out OUT",
        "sweep --data none.csv --out OUT",
        "plot RUN --out OUT.svg",
        "report none --out OUT.html",
        "predict --input none.csv --out OUT.csv",
        "vocabulary --data none.csv --out OUT",
        "merge --adapter none --out OUT",
        "export --to onnx --out OUT",
        "extract --tuned none --rank 2 --out OUT",
        "truncate --adapter none --rank 2 --out OUT",
        "compress --rank 2 --out OUT",
        "quantize --out OUT",
        "adapter convert none --to peft --out OUT",
        "adapter convert none --to tutorial --out OUT",
    ];

    [TestCaseSource(nameof(Lines))]
    public void Every_command_asks_for_its_output_before_it_works(string line)
    {
        using var task = new TinyTask();
        // what plot and replay are given is looked at first, which takes no time
        task.Write("run/metrics.jsonl", "{\"step\": 1, \"loss\": 0.5}\n");
        var words = line.Replace("OUT", task["out"]).Replace("RUN", task["run"])
            .Replace("TRAINED", line.Contains("TRAINED") ? task.Adapter : "").Split(' ');
        using var taken = OutputLock.Take(words[^1]);
        var result = LoraProgram.Refuse(words);
        Assert.That(result.Errors, Is.EqualTo(Busy(words[^1], "this process")));
        Assert.That(result.Output, Is.Empty);
    }

    [Test]
    public void No_command_with_an_output_is_left_out_here()
    {
        var named = Lines.Select(line => CommandLine.Parse(line.Split(' ')).CommandResult.Command.Name).Distinct();
        var writing = Below(CommandLine.Parse([]).RootCommandResult.Command)
            .Where(command => command.Options.Any(option => option.Name == "--out")).Select(command => command.Name);
        Assert.That(named, Is.EquivalentTo(writing));
    }

    [Test]
    [Platform("Linux", Reason = "a test can send signals to another process on Linux only")]
    public void The_second_process_stops_and_a_killed_first_one_keeps_nobody_out()
    {
        using var task = new TinyTask();
        string[] args = ["train", "--model", task.Model, "--data", task.Data, "--threads", "1"];
        using var first = LoraProgram.Start(
            [.. args, "--epochs", "1000000", "--checkpoint-every", "5", "--seed", "1", "--out", "A"], task.Root);
        LoraProgram.WaitForLine(first, "saved after step ");
        File.CreateSymbolicLink(task["link"], task.Root);
        foreach (var path in (string[])[task["A"], task["A"] + "/", Path.Combine(task["link"], "A")])
        {
            foreach (var more in (string[][])[[], ["--resume"], ["--overwrite"]])
            {
                var second = LoraProgram.Refuse([.. args, "--seed", "2", "--out", path, .. more]);
                Assert.That(second.Errors, Is.EqualTo(Busy(path, $"another process (id {first.Id})")));
            }
        }
        Assert.That(first.HasExited, Is.False);

        first.Kill();
        first.WaitForExit();
        Assert.That(File.Exists(task[".A.lora.lock"]), "nobody was there to remove it");
        var third = LoraProgram.Refuse([.. args, "--out", task["A"]]);
        Assert.That(third.Errors, Does.Contain("a run is saved here that did not end"), "as ever after a kill");
        File.Delete(task["A.checkpoint.safetensors"]);
        LoraProgram.Succeed([.. args, "--max-steps", "1", "--out", task["A"]]);
        Assert.That(Directory.GetFileSystemEntries(task.Root, ".*"), Is.Empty);
    }

    [Test]
    public void Without_locks_the_user_is_told_and_the_work_is_done()
    {
        using var task = new TinyTask();
        var path = task["new.txt"];
        using var process = LoraProgram.Start(["vocabulary", "--data", task.Data, "--size", "40", "--out", path],
            environment: ("DOTNET_SYSTEM_IO_DISABLEFILELOCKING", "1"));
        var errors = process.StandardError.ReadToEndAsync();
        var result = LoraProgram.Finish(process, process.StandardOutput.ReadToEndAsync(), errors);
        Assert.That(result.Errors, Does.Contain($"note: {path}: there are no locks on files here"));
        Assert.That(result.Code, Is.Zero);
        Assert.That(File.Exists(path));
    }

    private static string Busy(string path, string who) =>
        $"error: {path}: {who} writes to it at this moment. Wait until that has ended, or choose another name.\n";

    private static IEnumerable<Command> Below(Command command) =>
        command.Subcommands.SelectMany(child => Below(child).Prepend(child));
}
