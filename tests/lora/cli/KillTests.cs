using System.Globalization;
using System.Security.Cryptography;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// A training process is killed again and again, wherever it happens to be; what it leaves at last
/// is what an undisturbed run leaves.
/// </summary>
[Parallelizable]
[Category(Categories.Processes)]
public class KillTests
{
    private static readonly string[] Hashed =
        ["adapter_model.safetensors", "adapter_config.json", "model.safetensors", "config.json"];

    [TestCase("lora", "--rank", "4", "--dropout", "0.1", "--accumulate", "2")]
    [TestCase("full", "--optimizer", "adam", "--validation", "0")]
    [TestCase("qa-lora", "--rank", "2", "--group-size", "16", "--quantization", "gptq")]
    public void Killed_at_several_places_it_leaves_the_same_files(string method, params string[] more)
    {
        using var task = new TinyTask(inProcesses: true);
        RequireSameAfterKills(task,
            ["train", "--model", task.Model, "--data", task.Data, "--method", method, "--lr", "2e-3", "--batch-size",
                "4", "--epochs", "18", "--threads", "1", .. more]);
    }

    [Test]
    public void Killed_while_pretraining_it_leaves_the_same_files()
    {
        using var task = new TinyTask(inProcesses: true);
        RequireSameAfterKills(task,
            ["pretrain", "--config", task["config.json"], "--vocab", task["vocab.txt"], "--data", task.Data, "--lr",
                "2e-3", "--batch-size", "4", "--epochs", "18", "--max-length", "8",
            "--validation", "0.1", "--whole-words", "--threads", "1"]);
    }

    private static void RequireSameAfterKills(TinyTask task, string[] args)
    {
        var whole = LoraProgram.Run([.. args, "--out", task["whole"]]);
        Assert.That(whole.Code, Is.Zero, whole.Errors);

        args = [.. args, "--out", task["killed"], "--checkpoint-every", "1"];
        // Where the kill comes: after the first state, soon after others, while one is written or between two.
        (int SavedStates, int Milliseconds)[] kills = [(1, 0), (3, 0), (8, 3), (5, 11), (12, 1), (2, 6)];
        foreach (var (count, milliseconds) in kills)
        {
            KillAfter(args, task.Root, count, milliseconds);
            Assert.That(File.Exists(task["killed.checkpoint.safetensors"]), "a state is there");
            Assert.That(Directory.Exists(task["killed"]), Is.False, "and no half result");
            args = [.. args.Where(word => word != "--resume"), "--resume"];
        }
        var resumed = LoraProgram.Run(args, folder: task.Root);
        Assert.That(resumed.Code, Is.Zero, resumed.Errors);
        Assert.That(Hashes(task["killed"]), Is.EqualTo(Hashes(task["whole"])).And.Not.Empty);
        Assert.That(Steps(task["killed"]), Is.EqualTo(Steps(task["whole"])), "every step once, in order");
        Assert.That(Directory.GetFileSystemEntries(task.Root, "*checkpoint*")
            .Concat(Directory.GetFileSystemEntries(task.Root, ".*")), Is.Empty,
            "the saved run is gone, and so is what kills left");
        Assert.That(LoraProgram.Run(args, folder: task.Root).Errors,
            Does.Contain("there is no saved run to resume"));
    }

    /// <summary>Waits until the run was saved so often, and a little longer.</summary>
    private static void KillAfter(string[] args, string folder, int savedStates, int milliseconds)
    {
        using var process = LoraProgram.Start(args, folder);
        var output = process.StandardOutput.ReadToEndAsync();
        var seen = new List<string>();
        while (savedStates > 0 && process.StandardError.ReadLine() is { } line)
        {
            seen.Add(line);
            savedStates -= line.StartsWith("saved after step ", StringComparison.Ordinal) ? 1 : 0;
        }
        Thread.Sleep(milliseconds);
        // what it says may be read late on a busy machine: its run has three times the steps that the kills take
        Assert.That(process.HasExited, Is.False, string.Join('\n', seen));
        process.Kill();                                         // SIGKILL: nothing of the program runs any more
        LoraProgram.Finish(process, output, process.StandardError.ReadToEndAsync());
    }

    private static string[] Hashes(string folder) =>
        [.. Hashed.Select(name => Path.Combine(folder, name)).Where(File.Exists)
            .Select(path =>
                $"{Path.GetFileName(path)} {Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes(path)))}")];

    private static string[] Steps(string folder) =>
        [.. File.ReadLines(Path.Combine(folder, "metrics.jsonl"))
            .Select(line => System.Text.Json.JsonDocument.Parse(line).RootElement)
            .Select(step => string.Create(CultureInfo.InvariantCulture,
                $"{step.GetProperty("step")} {step.GetProperty("loss")} {step.GetProperty("tokens")}"))];
}
