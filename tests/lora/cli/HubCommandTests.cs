using System.Diagnostics;
using System.Text.Json.Nodes;
using LoraScratch.Cli;
using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Hub;
using LoraScratch.Tests.Hub;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// Models and adapters by their names on the hub, in every command that takes one.
/// </summary>
[NonParallelizable]
public sealed class HubCommandTests
{
    private const string Text = "superb film";

    private readonly TinyTask task = new();
    private HubEnvironment world = null!;
    private string before = "";

    [SetUp]
    public void PutModelOnHub()
    {
        before = Environment.CurrentDirectory;
        Environment.CurrentDirectory = task.Root;
        _ = task.Model;
        world = new HubEnvironment();
        world.Hub.Add("org/tiny", task.Model);
    }

    [TearDown]
    public void GoBack()
    {
        world.Dispose();
        Environment.CurrentDirectory = before;
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [Test]
    public void A_model_is_downloaded_once_and_then_taken_from_the_cache()
    {
        var expected = LoraProgram.Succeed("predict", "--model", task.Model, "--text", Text, "--json").Output;
        var first = LoraProgram.Succeed("predict", "--model", "org/tiny", "--text", Text, "--json");
        Assert.That(first.Output, Is.EqualTo(expected));
        Assert.That(first.Errors, Does.Match("org/tiny: downloaded .* KiB, commit [0-9a-f]{12}, in ").And
            .Contain(Path.Combine(world.Cache, "models--org--tiny", "snapshots")).And.Not.Contain("hf_secret"));
        world.Hub.Requests.Clear();
        var second = LoraProgram.Succeed("predict", "--model", "org/tiny", "--text", Text, "--json");
        Assert.That(second.Output, Is.EqualTo(expected));
        Assert.That(second.Errors, Does.Match("^org/tiny: from the cache, commit [0-9a-f]{12}, in "));
        Assert.That(world.Hub.Requests, Is.Empty);
    }

    [Test]
    public void An_adapter_names_its_base_and_revision_on_the_hub_and_is_used_without_a_model()
    {
        world.Hub.Add("org/tiny", task.Model, "v1.0");
        LoraProgram.Succeed("train", "--model", "org/tiny@v1.0", "--data", task.Data, "--max-steps", "3", "--out",
            task["on-hub"], "--overwrite");
        var config = JsonNode.Parse(File.ReadAllText(task["on-hub/adapter_config.json"]))!;
        Assert.That(((string?)config["base_model_name_or_path"], (string?)config["revision"]),
            Is.EqualTo(("org/tiny", "v1.0")));
        var expected = LoraProgram.Succeed("predict", "--model", task.Model, "--adapter", task["on-hub"], "--text",
            Text).Output;
        var alone = LoraProgram.Succeed("predict", "--adapter", task["on-hub"], "--text", Text);
        Assert.That(alone.Output, Is.EqualTo(expected));
        Assert.That(alone.Errors, Does.Contain("on-hub: an adapter on org/tiny@v1.0"));

        world.Hub.Add("me/adapter", task["on-hub"]);
        Directory.Delete(world.Cache, recursive: true);
        var both = LoraProgram.Succeed("predict", "--adapter", "me/adapter", "--text", Text);
        Assert.That(both.Output, Is.EqualTo(expected));
        Assert.That(both.Errors, Does.Contain("me/adapter: downloaded").And.Contain("org/tiny@v1.0: downloaded"));

        foreach (var line in (string[])["evaluate --adapter me/adapter --data DATA", "inspect me/adapter",
            "inspect org/tiny --adapter mine=me/adapter", "inspect --adapter me/adapter", "adapter check me/adapter",
            "adapter check me/adapter --model org/tiny", "truncate --adapter me/adapter --data DATA",
            "merge --adapter me/adapter --out OUT/merged", "explain --adapter me/adapter --text film",
            "adapter convert me/adapter --to tutorial --out OUT/tutorial.safetensors",
            "train --init-adapter me/adapter --data DATA --max-steps 1 --out OUT/more",
            "tokenize --vocab org/tiny --text film", "data DATA --model org/tiny",
            "extract --base org/tiny --tuned org/tiny@v1.0 --rank 2 --out OUT/extracted",
            "quantize --model org/tiny --dynamic --out OUT/int8", "compress --model org/tiny",
            "predict --adapter a=me/adapter --adapter b=me/adapter --text film"])
        {
            Directory.CreateDirectory(task["out"]);
            var result = LoraProgram.Call([.. line.Replace("DATA", task.Data).Replace("OUT", task["out"]).Split(' ')]);
            // nothing was tuned: extract has nothing to take, and says so behind what is tested here
            Assert.That(result.Code, Is.Zero.Or.EqualTo(line.StartsWith("extract", StringComparison.Ordinal) ? 1 : 0),
                $"{line}\n{result.Errors}");
            Assert.That(result.Errors, Does.Contain(": from the cache, commit "), line);
        }
    }

    [Test]
    public void Adapters_on_different_models_are_not_put_on_one()
    {
        foreach (var name in (string[])["a", "b"])
        {
            task.Write($"{name}/adapter_config.json", $$"""
                {"peft_type": "LORA", "base_model_name_or_path": "org/{{name}}", "target_modules": ["q_lin"]}
                """);
        }
        var result = LoraProgram.Refuse("predict", "--adapter", task["a"], "--adapter", task["b"], "--text", Text);
        Assert.That(result.Errors, Does.Contain("on org/a").And.Contain("on org/b").And.Contain("--model"));
        Assert.That(world.Hub.Requests, Is.Empty);
    }

    [Test]
    public void A_path_that_is_there_comes_first_and_it_is_said_where_both_are()
    {
        LoraProgram.Succeed("pull", "org/tiny");
        Directory.CreateDirectory("org");
        try
        {
            Directory.CreateSymbolicLink("org/tiny", task.Model);
            var result = LoraProgram.Succeed("predict", "--model", "org/tiny", "--text", Text);
            Assert.That(result.Errors, Does.StartWith("note: org/tiny: is a folder here, and is taken."));
        }
        finally
        {
            Directory.Delete("org", recursive: true);
        }
    }

    [Test]
    public void A_missing_path_is_not_looked_for_on_the_hub()
    {
        foreach (var args in (string[][])[["predict", "--model", "none", "--text", Text],
            ["predict", "--model", "./org/tiny", "--text", Text], ["inspect", "models/none.safetensors"],
            ["tokenize", "--vocab", "models/vocab.txt", "--text", Text],
            ["predict", "--adapter", "a/b/c", "--text", Text]])
        {
            Assert.That(LoraProgram.Refuse(args).Errors, Does.Contain("there is no"), string.Join(' ', args));
        }
        Assert.That(world.Hub.Requests, Is.Empty);
        Assert.That(LoraProgram.Refuse("predict", "--model", "runs/none", "--text", Text).Errors,
            Does.Contain("runs/none: there is no such folder").And.Contain("has no such model"));
    }

    [Test]
    public void Pull_says_where_it_is_and_cache_lists_and_removes_it()
    {
        var pulled = LoraProgram.Succeed("pull", "org/tiny");
        var folder = Directory.GetDirectories(Path.Combine(world.Cache, "models--org--tiny", "snapshots")).Single();
        Assert.That(pulled.Lines[^1], Is.EqualTo(folder));
        Assert.That(pulled.Output, Does.Match(@"model\.safetensors +[0-9.]+ KiB\n").And
            .Match(@"together +[0-9.]+ KiB\n"));
        Assert.That(LoraProgram.Succeed("pull", "org/tiny").Errors, Does.StartWith("org/tiny: from the cache"));

        var listed = LoraProgram.Succeed("cache");
        Assert.That(listed.Lines[0], Does.Match($"^org/tiny +[0-9.]+ KiB  read {DateTime.Now:yyyy-}"));
        Assert.That(listed.Lines[1], Does.Match("^  [0-9a-f]{12}  main +[0-9.]+ KiB$"));
        Assert.That(listed.Lines[2], Does.Match("^1 model, [0-9.]+ KiB, in ").And.EndWith(world.Cache));
        Assert.That(listed.Lines.Take(2).Select(line => Columns.Of(line)), Is.All.LessThanOrEqualTo(80));

        Assert.That(LoraProgram.Refuse("cache", "remove", "org/other").Errors, Does.Contain("does not have it"));
        Assert.That(LoraProgram.Refuse("cache", "remove", "../x").Errors, Does.Contain("is no name on the hub"));
        Assert.That(LoraProgram.Refuse("pull", "../x").Errors, Does.Contain("is no name on the hub"));
        Assert.That(LoraProgram.Succeed("cache", "remove", "org/tiny").Output,
            Does.Match("^Removed org/tiny: [0-9.]+ KiB are free again.\n"));
        Assert.That(LoraProgram.Succeed("cache").Output, Is.EqualTo($"No models in {world.Cache}.\n"));
    }

    [Test]
    public void Offline_it_is_said_how_to_pull()
    {
        world.Set("HF_HUB_OFFLINE", "1");
        foreach (var args in (string[][])[["predict", "--model", "org/tiny", "--text", Text], ["pull", "org/tiny"]])
        {
            Assert.That(LoraProgram.Refuse(args).Errors, Does.Contain("HF_HUB_OFFLINE").And.Contain(
                "'lora pull org/tiny' downloads it").And.Not.Contain("HubModel"));
        }
        Assert.That(world.Hub.Requests, Is.Empty);
    }

    [Test]
    public async Task A_program_gets_the_folder_and_loads_it_by_name_from_then_on()
    {
        Assert.That(() => TextClassifier.Load("org/tiny"), Throws.InstanceOf<InputException>().With.Message.Contains(
            "HubModel.Get(\"org/tiny\")"));
        var told = new Told();
        var folder = await HubModel.Get("org/tiny", progress: told);
        Assert.That(told.Last.Bytes, Is.EqualTo(told.Last.TotalBytes).And.GreaterThan(0));
        using (var classifier = TextClassifier.Load(folder))
        using (var byName = TextClassifier.Load("org/tiny@main"))
        {
            Assert.That(byName.Predict(Text).Logits, Is.EqualTo(classifier.Predict(Text).Logits));
        }
        Assert.That(await HubModel.Get("org/tiny", "main"), Is.EqualTo(folder));
        Assert.That(() => HubModel.Get("no name"),
            Throws.InstanceOf<InputException>().With.Message.Contains("ORG/NAME"));
    }

    [Test]
    [Category(Categories.Processes)]
    public void Two_processes_download_a_file_once()
    {
        using var gate = new ManualResetEventSlim();
        world.Hub.Instead = request => request.Path.StartsWith("/blobs/", StringComparison.Ordinal)
            ? world.Hub.AnswerOfCdn(request) with { Gate = gate } : null;
        using var first = LoraProgram.Start(["pull", "org/tiny"]);
        using var second = LoraProgram.Start(["pull", "org/tiny"]);
        var outputs = new[] { first, second }.Select(process => (process, process.StandardOutput.ReadToEndAsync(),
            process.StandardError.ReadToEndAsync())).ToArray();
        WaitUntil(() => world.Hub.Requests.Count(request => request is { Method: "HEAD" }
            && request.Path.EndsWith("model.safetensors", StringComparison.Ordinal)) == 2);
        gate.Set();
        var results = outputs.Select(entry => LoraProgram.Finish(entry.process, entry.Item2, entry.Item3)).ToArray();
        Assert.That(results.Select(result => result.Code), Is.All.Zero,
            string.Join('\n', results.Select(result => result.Errors)));
        Assert.That(world.Hub.CdnRequests, Has.Count.EqualTo(1));
    }

    [Test]
    [Category(Categories.Processes)]
    [Platform("Linux", Reason = "a test can send the signal of Ctrl-C to another process on Linux only")]
    public void Interrupted_it_keeps_what_is_there_and_goes_on_from_there()
    {
        using var gate = new ManualResetEventSlim();
        world.Hub.Instead = request => request.Path.StartsWith("/blobs/", StringComparison.Ordinal)
            ? world.Hub.AnswerOfCdn(request) with { Gate = gate } : null;
        using var process = LoraProgram.Start(["predict", "--model", "org/tiny", "--text", Text]);
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        var blobs = Path.Combine(world.Cache, "models--org--tiny", "blobs");
        WaitUntil(() => Directory.Exists(blobs) && world.Hub.CdnRequests.Count == 1 && Directory.GetFiles(blobs,
            "*.incomplete").Any(path => new FileInfo(path).Length > 0 && path.Length > blobs.Length + 60));
        LoraProgram.Signal(process, "INT");
        var stopped = LoraProgram.Finish(process, output, errors);
        gate.Set();
        Assert.That((stopped.Code, stopped.Output), Is.EqualTo((130, "")), stopped.Errors);
        Assert.That(stopped.Errors, Does.Contain("what has been downloaded so far is kept").And.Not.Contain("   at "));

        world.Hub.Instead = _ => null;
        world.Hub.CdnRequests.Clear();
        LoraProgram.Succeed("predict", "--model", "org/tiny", "--text", Text);
        Assert.That(world.Hub.CdnRequests.Single()["Range"], Does.Match("^bytes=[0-9]+-$"));
    }

    [Test]
    [Category(Categories.Processes)]
    public void On_a_full_disk_it_is_said_and_no_revision_leads_to_half_a_model()
    {
        var (disk, lora) = (Directory.CreateDirectory(task["disk"]).FullName,
            $"'{ChildProcess.Host}' '{AssemblyFile.Of(typeof(CommandLine))}' pull org/tiny");
        string[] Arguments(string script) => ["--map-root-user", "--mount", "sh", "-c",
            $"mount -t tmpfs -o size=64k tmpfs '{disk}' && {{ {script}; }}"];
        if (!OperatingSystem.IsLinux() || Run(Arguments("true")).Code != 0)
        {
            Assert.Ignore("This machine lets no process mount a file system of its own (unshare).");
        }
        var result = Run(Arguments($"head -c 44k /dev/zero > '{disk}/filler'; HF_HOME='{disk}' {lora} >&2; "
            + $"echo code $?; ls '{disk}/hub/models--org--tiny'"));
        Assert.That(result.Output, Does.StartWith("code 1\n").And.Not.Contain("refs"), result.Errors);
        Assert.That(result.Errors, Does.Contain("the Hugging Face cache cannot be written").And.Contain("HF_HUB_CACHE")
            .And.Not.Contain("   at "));
    }

    private static ProgramResult Run(string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("unshare", arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        })!;
        return LoraProgram.Finish(process, process.StandardOutput.ReadToEndAsync(),
            process.StandardError.ReadToEndAsync());
    }

    private static void WaitUntil(Func<bool> holds) =>
        Assert.That(SpinWait.SpinUntil(() => { Thread.Sleep(20); return holds(); }, TimeSpan.FromSeconds(30)), Is.True);

    private sealed class Told : IProgress<HubProgress>
    {
        public HubProgress Last { get; private set; }

        public void Report(HubProgress value) => Last = value;
    }
}
