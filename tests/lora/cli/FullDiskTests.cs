using System.Diagnostics;
using LoraScratch.Cli;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// A disk that is really full and a file system that is really read-only, where the machine lets a
/// process mount its own.
/// </summary>
[Category(Categories.Processes)]
public sealed class FullDiskTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void TrainModelAndAdapter()
    {
        task = new TinyTask();
        _ = task.Adapter;
        Directory.CreateDirectory(task["disk"]);
        Directory.CreateDirectory(task["temporary"]);
        if (!OperatingSystem.IsLinux() || OnDisk("size=1m", "true").Code != 0)
        {
            Assert.Ignore(
                "This machine lets no process mount a file system of its own (unshare --map-root-user --mount).");
        }
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    private static IEnumerable<TestCaseData> Commands() =>
        new (string Line, string File)[]
        {
            ("merge --model MODEL --adapter ADAPTER --out DISK/new", "DISK/new"),
            ("merge --model MODEL --adapter ADAPTER --out DISK/old", "DISK/old"),
            ("train --model MODEL --data DATA --max-steps 1 --method full --out DISK/new", "DISK/new"),
            ("train --model MODEL --data DATA --max-steps 1 --out DISK/new", "DISK/new"),
            ("adapter convert ADAPTER --to peft --out DISK/new", "DISK/new"),
            ("adapter convert ADAPTER --to tutorial --out DISK/kept.safetensors --overwrite", "DISK/kept.safetensors"),
        }.Select(row => new TestCaseData(row.Line, row.File).SetArgDisplayNames(row.Line));

    [TestCaseSource(nameof(Commands))]
    public void On_a_full_disk_what_was_there_stays_and_nothing_half_is_left(string line, string file) =>
        RequireRefusal("size=64k",
            "mkdir DISK/old; printf old > DISK/kept.safetensors; head -c 1m /dev/zero > DISK/filler 2> /dev/null", line,
                file, "No space left on device");

    [TestCaseSource(nameof(Commands))]
    public void On_a_read_only_file_system_nothing_is_changed(string line, string file) =>
        RequireRefusal("size=1m", "mkdir DISK/old; printf old > DISK/kept.safetensors; mount -o remount,ro DISK", line,
            file, "Read-only file system");

    [Test]
    public void What_was_trained_is_saved_elsewhere_when_the_disk_turns_out_to_be_full()
    {
        RequireRefusal("size=64k",
            "mkdir DISK/old; printf old > DISK/kept.safetensors; head -c 1m /dev/zero > DISK/filler 2> /dev/null",
            "train --model MODEL --data DATA --max-steps 1 --seed 3 --out DISK/new", "DISK/new",
                $"The trained result is in {task["temporary"]}/lora-");
        var rescued = Directory.GetDirectories(task["temporary"]).OrderBy(Directory.GetCreationTimeUtc).Last();
        var prediction = LoraProgram.Call("predict", "--model", task.Model, "--adapter", rescued, "--text", "film");
        Assert.That(prediction.Code, Is.Zero, prediction.Errors);
    }

    /// <summary>
    /// Runs a command on a disk that was prepared so, and looks what is on it afterwards.
    /// </summary>
    private void RequireRefusal(string size, string prepare, string line, string file, string reason)
    {
        var lora =
            $"TMPDIR='{task["temporary"]}' '{ChildProcess.Host}' '{AssemblyFile.Of(typeof(CommandLine))}' {line}";
        var result = OnDisk(size,
            $"{prepare}; ls -AR DISK > BEFORE; {lora} >&2; echo code $?; ls -AR DISK > AFTER; cmp BEFORE AFTER && "
                + "cat DISK/kept.safetensors");
        Assert.That(result.Output, Is.EqualTo("code 1\nold"), result.Errors);
        var error = result.Errors.Split('\n').Single(text => text.StartsWith("error: ", StringComparison.Ordinal));
        Assert.That(error, Does.Contain(Places(file)).And.Contain(reason).And.Not.Contain(".tmp"));
        Assert.That(result.Errors, Does.Not.Contain("   at "));
    }

    private string Places(string text) =>
        text.Replace("MODEL", task.Model).Replace("ADAPTER", task.Adapter).Replace("DATA", task.Data)
        .Replace("DISK", task["disk"])
        .Replace("BEFORE", task["before"]).Replace("AFTER", task["after"]);

    private ProgramResult OnDisk(string options, string script)
    {
        var arguments = new[] { "--map-root-user", "--mount", "sh", "-c",
            Places($"mount -t tmpfs -o {options} tmpfs DISK && {{ {script}; }}") };
        using var process = Process.Start(
            new ProcessStartInfo("unshare", arguments)
            {
                RedirectStandardOutput = true,
                RedirectStandardError = true
            })!;
        return LoraProgram.Finish(process, process.StandardOutput.ReadToEndAsync(),
            process.StandardError.ReadToEndAsync());
    }
}
