using System.Diagnostics;
using System.Security.Cryptography;
using System.Text.Json;
using LoraScratch.Cli;
using LoraScratch.Lora.Processes;
using LoraScratch.Tests.Lora.Processes;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// mpirun starts the program several times: on each MPI library that this machine has, the bits are
/// those of one process, and what goes wrong ends all of them with a sentence.
/// </summary>
[Category(Categories.Processes)]
public sealed class MpiTests
{
    private static readonly (string Name, string Value)[] AsRoot =
        [("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")];

    private TinyTask task = null!;

    [OneTimeSetUp]
    public void TrainModel()
    {
        task = new TinyTask();
        _ = task.Model;
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [Test]
    public void Every_kind_of_training_has_the_bits_of_one_process([Values] MpiKind kind)
    {
        var mpirun = Find(kind);
        var alone = SharedRuns.Kinds.Keys.Select(name => (Name: name, Hash: SharedRuns.Run(name, ProcessGroup.Alone)))
            .ToArray();
        for (var processes = 2; processes <= 4; processes++)
        {
            var result = Run([.. mpirun, "-n", $"{processes}", ChildProcess.Host, AssemblyFile.Of(typeof(MpiTests)),
                "mpi"]);
            Assert.That(result.Code, Is.Zero, result.Errors);
            Assert.That(result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries),
                Is.EqualTo(alone.Select(run => $"{run.Name}: {run.Hash} by {processes}")), result.Errors);
        }
    }

    [Test]
    public void Two_processes_leave_the_files_of_one_and_say_what_they_exchanged([Values] MpiKind kind)
    {
        var mpirun = Find(kind);
        string[] args = ["train", "--model", task.Model, "--data", task.Data, "--epochs", "2", "--batch-size", "8",
            "--micro-batch", "2", "--dropout", "0.1"];
        var (one, two) = (task[$"one-{kind}"], task[$"two-{kind}"]);
        LoraProgram.Succeed([.. args, "--out", one, "--threads", "1"]);
        var result = Lora(mpirun, 2, [.. args, "--out", two]);
        Assert.That(result.Code, Is.Zero, result.Errors);
        Assert.That(Hash(two), Is.EqualTo(Hash(one)));
        Assert.That(result.Errors, Does.Contain("2 processes on 1 machine, connected by "
            + (kind == MpiKind.OpenMpi ? "Open MPI" : "MPICH")));
        Assert.That(result.Output, Does.Contain("Gradients: each process sent ").And.Contain(" a step, in "));
        Assert.That(Lines(result.Output, "Predict with it:"), Has.Length.EqualTo(1), "the first alone speaks");
    }

    [Test]
    public void A_process_that_is_killed_ends_all_and_the_run_goes_on_with_another_number([Values] MpiKind kind)
    {
        var mpirun = Find(kind);
        var (whole, killed) = (task[$"whole-{kind}"], task[$"killed-{kind}"]);
        string[] args = ["train", "--model", task.Model, "--data", task.Data, "--epochs", "12", "--batch-size", "8",
            "--micro-batch", "1"];
        LoraProgram.Succeed([.. args, "--out", whole, "--threads", "1"]);
        args = [.. args, "--out", killed, "--checkpoint-every", "1"];
        using (var process = Start(mpirun, 2, args))
        {
            var output = process.StandardOutput.ReadToEndAsync();
            WaitFor(process, "saved after step 5");
            using var second = Process.GetProcessById(Rank(1, killed));
            second.Kill();
            Assert.That(LoraProgram.Finish(process, output, process.StandardError.ReadToEndAsync()).Code, Is.Not.Zero);
        }
        Assert.That(Directory.Exists(killed), Is.False, "no half result");
        var resumed = kind == MpiKind.OpenMpi ? Lora(mpirun, 3, [.. args, "--resume"])
            : LoraProgram.Succeed([.. args, "--resume"]);
        Assert.That(resumed.Code, Is.Zero, resumed.Errors);
        Assert.That(Hash(killed), Is.EqualTo(Hash(whole)));
    }

    [Test]
    public void Ctrl_C_to_mpirun_saves_the_run_and_says_how_to_go_on([Values] MpiKind kind)
    {
        var mpirun = Find(kind);
        var stopped = task[$"stopped-{kind}"];
        // Open MPI waits so long before it asks the processes to end, and again before it kills them: by default a
        // second, which a busy machine may need to save. Meanwhile it reads none of their lines: the epochs are long,
        // so that these fill no pipe.
        using var process = Start(mpirun, 2, ["train", "--model", task.Model, "--data", task.Data, "--epochs", "2000",
            "--batch-size", "2", "--micro-batch", "1", "--out", stopped], ("OMPI_MCA_odls_base_sigkill_timeout", "3"));
        var output = process.StandardOutput.ReadToEndAsync();
        WaitFor(process, "epoch 2 ");
        LoraProgram.Signal(process, "INT");
        var result = LoraProgram.Finish(process, output, process.StandardError.ReadToEndAsync());
        // the exit code is mpirun's own: MPICH's is now 130, now 0
        Assert.That(File.Exists($"{stopped}.checkpoint.safetensors"), result.Errors);
        Assert.That(result.Output, Does.Contain("mpirun -n 2 lora train ").And.Contain(" --resume"));
    }

    [Test]
    public void Another_MPI_than_the_launchers_is_found_out([Values] MpiKind kind)
    {
        var mpirun = Find(kind);
        Find(kind == MpiKind.OpenMpi ? MpiKind.Mpich : MpiKind.OpenMpi);
        var other = kind == MpiKind.OpenMpi ? MpiAbi.Mpich : MpiAbi.OpenMpi;
        var result = Lora(mpirun, 2, ["train", "--model", task.Model, "--data", task.Data, "--out", task["other"]],
            (MpiLibrary.PathVariable, other.Libraries[0]));
        Assert.That(result.Code, Is.Not.Zero);
        Assert.That(result.Errors + result.Output, Does.Contain(" started 2 processes, and ").And.Contain(
            " knows of 1: it is another MPI than the launcher's."));
        Assert.That(Directory.Exists(task["other"]), Is.False);
    }

    [Test]
    public void Without_a_library_each_would_train_alone()
    {
        // as mpirun does, on a machine where the program finds no library
        using var process = LoraProgram.Start(["train", "--model", task.Model, "--data", task.Data, "--out",
            task["alone"]], null, ("PMI_RANK", "0"), ("PMI_SIZE", "2"),
            (MpiLibrary.PathVariable, "/nowhere/libmpi.so"));
        var result = LoraProgram.Finish(process, process.StandardOutput.ReadToEndAsync(),
            process.StandardError.ReadToEndAsync());
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Errors, Is.EqualTo("error: LORASCRATCH_MPI is '/nowhere/libmpi.so', and no MPI library can "
            + "be loaded from there. Name the library's file, such as /usr/lib/libmpi.so.40, or unset it.\n"));
    }

    [Test]
    public void Processes_with_other_data_do_not_begin()
    {
        var mpirun = Find(MpiKind.OpenMpi);
        var other = task.Write("other.csv", TinyTask.Reviews(80, seed: 2));
        string[] One(string data) => ["-n", "1", .. Program, "train", "--model", task.Model, "--data", data, "--out",
            task["apart"]];
        var result = Run([.. mpirun, .. One(task.Data), ":", .. One(other)]);
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(result.Errors, Does.Contain("error: The processes cannot train together: the hash of the examples "
            + "to train on is "));
        Assert.That(Directory.Exists(task["apart"]), Is.False);
    }

    [Test]
    public void A_command_for_one_process_says_so_once()
    {
        var result = Lora(Find(MpiKind.OpenMpi), 3, ["merge", "--adapter", "a", "--out", task["merged"]]);
        Assert.That(result.Code, Is.EqualTo(1));
        Assert.That(Lines(result.Errors, "'lora merge' runs in one process, and mpirun of Open MPI started 3."),
            Has.Length.EqualTo(1));
    }

    [Test]
    public void A_full_disk_of_the_first_process_ends_all()
    {
        var mpirun = Find(MpiKind.OpenMpi);
        Directory.CreateDirectory(task["disk"]);
        var script = $"mount -t tmpfs -o size=8k tmpfs '{task["disk"]}' && {string.Join(' ', mpirun)} -n 2 "
            + $"{string.Join(' ', Program)} train --model '{task.Model}' --data '{task.Data}' --checkpoint-every 1 "
            + $"--out '{task["disk"]}/new'";
        var probe = Run(["unshare", "--map-root-user", "--mount", "true"]);
        if (probe.Code != 0)
        {
            Assert.Ignore("This machine lets no process mount a file system of its own.");
        }
        var result = Run(["unshare", "--map-root-user", "--mount", "sh", "-c", script]);
        Assert.That(result.Code, Is.Not.Zero);
        Assert.That(result.Errors, Does.Contain("error: ").And.Contain("No space left on device"));
    }

    [Test]
    public void Experiments_share_their_runs_and_come_to_the_same()
    {
        var mpirun = Find(MpiKind.Mpich);
        string[] compare = ["compare", "--model", task.Model, "--data", task.Data, "--methods", "lora,last-layers",
            "--lr", "1e-3,2e-3", "--epochs", "1", "--seeds", "2", "--lr-seeds", "1"];
        string[] sweep = ["sweep", "--model", task.Model, "--data", task.Data, "--ranks", "1,2", "--alphas", "4",
            "--always", "query", "--vary", "mlp", "--epochs", "1"];
        foreach (var args in (string[][])[compare, sweep])
        {
            var (one, two) = (task[$"{args[0]}-one"], task[$"{args[0]}-two"]);
            LoraProgram.Succeed([.. args, "--out", one, "--threads", "1"]);
            var result = Lora(mpirun, 2, [.. args, "--out", two]);
            Assert.That(result.Code, Is.Zero, result.Errors);
            Assert.That(Records(two), Is.EqualTo(Records(one)).And.Not.Empty);
            Assert.That(Lines(result.Errors, "[process 1] run 1 of "), Has.Length.EqualTo(1));
        }
    }

    [Test]
    public void Evaluation_and_prediction_of_a_file_are_shared()
    {
        var mpirun = Find(MpiKind.Mpich);
        var one = LoraProgram.Succeed("evaluate", "--model", task.Model, "--data", task.Data);
        var two = Lora(mpirun, 2, ["evaluate", "--model", task.Model, "--data", task.Data]);
        Assert.That(Without(two.Output, "speed"), Is.EqualTo(Without(one.Output, "speed")), two.Errors);

        LoraProgram.Succeed("predict", "--model", task.Model, "--input", task.Data, "--out", task["p1.csv"]);
        var shared = Lora(mpirun, 2, ["predict", "--model", task.Model, "--input", task.Data, "--out", task["p2.csv"]]);
        Assert.That(shared.Code, Is.Zero, shared.Errors);
        Assert.That(File.ReadAllText(task["p2.csv"]), Is.EqualTo(File.ReadAllText(task["p1.csv"])));
        Assert.That(Lora(mpirun, 2, ["predict", "--model", task.Model, "--input", "-"]).Errors,
            Does.Contain("--input - is the input of one process"));
    }

    private static string[] Program => [ChildProcess.Host, AssemblyFile.Of(typeof(CommandLine))];

    /// <summary>mpirun of a library, or a test that is skipped.</summary>
    private static string[] Find(MpiKind kind)
    {
        var (name, word) = kind == MpiKind.OpenMpi ? ("mpirun.openmpi", "Open MPI") : ("mpirun.mpich", "HYDRA");
        foreach (var program in (string[])[name, "mpirun"])
        {
            try
            {
                if (ChildProcess.Run(program, "", out _, ["--version"]).Contains(word, StringComparison.Ordinal))
                {
                    return kind == MpiKind.OpenMpi ? [program, "--oversubscribe"] : [program];
                }
            }
            catch (System.ComponentModel.Win32Exception)
            {
            }
        }
        Assert.Ignore($"There is no mpirun of {kind} here (packages openmpi-bin and mpich of Debian).");
        return [];
    }

    private static ProgramResult Lora(string[] mpirun, int processes, string[] args,
        params (string Name, string Value)[] environment) =>
        Run([.. mpirun, "-n", $"{processes}", .. Program, .. args], environment);

    private static ProgramResult Run(string[] words, params (string Name, string Value)[] environment)
    {
        using var process = Start(words, environment);
        process.StandardInput.Close();
        return LoraProgram.Finish(process, process.StandardOutput.ReadToEndAsync(),
            process.StandardError.ReadToEndAsync());
    }

    private static Process Start(string[] mpirun, int processes, string[] args,
        params (string Name, string Value)[] environment) =>
        Start([.. mpirun, "-n", $"{processes}", .. Program, .. args], environment);

    private static Process Start(string[] words, (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo("env", ["--default-signal=INT,HUP", .. words])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in AsRoot.Concat(environment))
        {
            start.Environment[name] = value;
        }
        return Process.Start(start)!;
    }

    private static void WaitFor(Process process, string beginning) => LoraProgram.WaitForLine(process, beginning);

    /// <summary>The process of a rank that writes to a folder.</summary>
    private static int Rank(int rank, string folder) => Directory.GetDirectories("/proc")
        .Select(path => int.TryParse(Path.GetFileName(path), out var id) ? id : 0)
        .Single(id => id > 0 && Read($"/proc/{id}/cmdline").Contains(folder)
            && Read($"/proc/{id}/environ").Split('\0').Any(entry =>
                entry == $"OMPI_COMM_WORLD_RANK={rank}" || entry == $"PMI_RANK={rank}"));

    private static string Read(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }

    private static string Hash(string folder) => Convert.ToHexString(
        SHA256.HashData(File.ReadAllBytes(Path.Combine(folder, "adapter_model.safetensors"))));

    private static string[] Lines(string text, string part) =>
        [.. text.Split('\n').Where(line => line.Contains(part, StringComparison.Ordinal))];

    private static string Without(string text, string beginning) => string.Join('\n',
        text.Split('\n').Where(line => !line.StartsWith(beginning, StringComparison.Ordinal)));

    /// <summary>What every run came to, times apart.</summary>
    private static string[] Records(string folder) => [.. Directory.GetFiles(Path.Combine(folder, "runs"), "*.json")
        .Order().Select(path =>
        {
            using var record = JsonDocument.Parse(File.ReadAllBytes(path));
            var root = record.RootElement;
            return $"{Path.GetFileName(path)} {root.GetProperty("Validation")} {root.GetProperty("ValidationLoss")} "
                + $"{root.GetProperty("Losses")} {root.GetProperty("Test")}";
        })];
}

/// <summary>A family of MPI libraries.</summary>
public enum MpiKind
{
    /// <summary>Open MPI.</summary>
    OpenMpi,

    /// <summary>MPICH.</summary>
    Mpich,
}
