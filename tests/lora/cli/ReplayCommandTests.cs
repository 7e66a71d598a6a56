using System.Text.Json;
using System.Text.Json.Nodes;

namespace LoraScratch.Tests.Cli;

/// <summary>lora replay: a run again, from what its folder says.</summary>
public sealed class ReplayCommandTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void Train()
    {
        task = new TinyTask();
        _ = task.Model;
        Train("run");
    }

    [OneTimeTearDown]
    public void Remove() => task.Dispose();

    [Test]
    public void The_folder_says_from_what_and_where_the_run_was_made()
    {
        var run = Read("run")["provenance"]!;
        Assert.That((int)run["data"]!["to train on"]!["count"]!
            + (int)run["data"]!["laid aside for validation"]!["count"]!, Is.EqualTo(80));
        Assert.That((string)run["base"]!, Does.Match("^[0-9a-f]{64}$"));
        Assert.That((string)run["version"]!, Does.Match(@"^\d+\.\d+\.\d+$"));
        Assert.That((string)run["runtime"]!, Does.StartWith(".NET "));
        Assert.That((string)run["device"]!, Does.EndWith("1 thread"));
        Assert.That(run["command"]!.AsArray().Select(word => (string)word!), Is.EquivalentTo(new[] { "--data",
            task.Data, "--model", task.Model, "--rank", "3", "--dropout", "0.1", "--max-steps", "6" }),
            "what decides the result, and neither --out nor --threads");
        using var file = File.OpenRead(Path.Combine(task["run"], "adapter_model.safetensors"));
        Assert.That((string)run["result"]!["adapter_model.safetensors"]!,
            Is.EqualTo(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(file))));
    }

    [Test]
    public void Another_number_of_threads_gives_the_same_hash()
    {
        var result = LoraProgram.Succeed("replay", task["run"], "--threads", "2", "--out", task["again"]);
        Assert.That(result.Output, Does.Contain("as recorded:").And.Contain(Hash("run")).And.Not.Contain("differs"));
        Assert.That(result.Errors, Does.Contain("recorded on").And.Contain("1 thread; here computes"));
        Assert.That(Hash("again"), Is.EqualTo(Hash("run")));
        Assert.That(File.ReadAllBytes(Path.Combine(task["again"], "adapter_model.safetensors")),
            Is.EqualTo(File.ReadAllBytes(Path.Combine(task["run"], "adapter_model.safetensors"))));
        Assert.That(LoraProgram.Succeed("replay", task["again"], "--dry-run").Output, Does.Not.Contain("differs"),
            "what a replay keeps can be replayed");
    }

    [TestCase("full", "model.safetensors")]
    [TestCase("last-layers", "model.safetensors")]
    [TestCase("qa-lora --bits 4 --group-size 16 --quantization rtn", "model.safetensors")]
    public void Every_method_is_replayed(string method, string file)
    {
        var folder = $"run-{method.Split(' ')[0]}";
        LoraProgram.Succeed(["train", "--data", task.Data, "--model", task.Model, "--max-steps", "3", "--out",
            task[folder], "--method", .. method.Split(' ')]);
        Assert.That(LoraProgram.Succeed("replay", task[folder], "--threads", "1").Output,
            Does.Contain($"SHA-256 of {file}, as recorded").And.Contain(Hash(folder)));
    }

    [Test]
    public void Other_data_are_named()
    {
        var lines = File.ReadAllLines(task.Data);
        (lines[1], lines[2]) = (lines[2], lines[1]);
        var other = task.Write("other.csv", string.Join('\n', lines));
        Assert.That(Refused("--data", other), Does.Contain("the data differ (--data gave 72 examples to train on"));
        Assert.That(Refused("--data", task["nowhere.csv"]), Does.Contain("nowhere.csv"));
    }

    [Test]
    public void Another_base_is_named()
    {
        LoraProgram.Succeed("train", "--data", task.Data, "--model", task.Model, "--method", "full", "--max-steps",
            "1", "--out", task["other-model"]);
        Assert.That(Refused("--model", task["other-model"]), Does.Contain("the base differs").And
            .Not.Contain("the data"));
    }

    [Test]
    public void Other_options_are_named()
    {
        Change("run", "optioned", root => root["options"]!["rank"] = 5);
        Assert.That(LoraProgram.Refuse("replay", task["optioned"]).Errors,
            Does.Contain("the options differ (--rank was 5 and is 3 now)"));
    }

    [Test]
    public void Another_version_is_named_and_its_result_is_compared_all_the_same()
    {
        Change("run", "versioned", root => root["provenance"]!["version"] = "0.0.1");
        var same = LoraProgram.Succeed("replay", task["versioned"]);
        Assert.That(same.Output, Does.Match(@"version +0\.0\.1 on \.NET .* differs").And.Contain(Hash("run")));

        Change("versioned", "unlike", root =>
            root["provenance"]!["result"]!["adapter_model.safetensors"] = new string('0', 64));
        var unlike = LoraProgram.Refuse("replay", task["unlike"], "--out", task["never"]);
        Assert.That(unlike.Errors,
            Does.Contain("was 0000").And.Contain("the version differs (it was trained by 0.0.1"));
        Assert.That(Directory.Exists(task["never"]), Is.False);
    }

    /// <summary>Another order of additions, as another instruction set has it.</summary>
    [Test]
    [Category(Categories.Processes)]
    public void Another_arithmetic_is_named()
    {
        using var process = LoraProgram.Start(["replay", task["run"]], null, ("DOTNET_EnableHWIntrinsic", "0"));
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        process.StandardInput.Close();
        var result = LoraProgram.Finish(process, output, errors);
        Assert.That(result.Output, Does.Match(@"arithmetic +CPU, .* differs"));
        Assert.That(result.Errors, Does.Contain("which rounds in another order"));
        Assert.That(result.Code == 0 ? result.Output : result.Errors, result.Code == 0
            ? Does.Contain("as recorded") : Does.Contain("for the arithmetic differs"));
    }

    [Test]
    public void A_file_that_was_changed_since_is_told_and_the_run_gives_it_back()
    {
        Change("run", "changed", _ => { });
        var file = Path.Combine(task["changed"], "adapter_model.safetensors");
        File.WriteAllBytes(file, [.. File.ReadAllBytes(file), 0]);
        var result = LoraProgram.Succeed("replay", task["changed"], "--out", task["mended"]);
        Assert.That(result.Errors, Does.Contain("is no longer the file that the run wrote"));
        Assert.That(Hash("mended"), Is.EqualTo(Hash("run")));
    }

    [Test]
    public void What_cannot_be_made_again_is_refused_in_a_sentence()
    {
        void Refuses(Action<JsonObject> change, string message)
        {
            Change("run", "broken", change);
            var result = LoraProgram.Refuse("replay", task["broken"], "--out", task["never"]);
            Assert.That(result.Errors, Does.StartWith("error: ").And.Contain(message));
            Assert.That(result.Errors.TrimEnd().Split('\n'), Has.Length.EqualTo(1));
            Assert.That(result.Output, Is.Empty);
            Assert.That(Directory.Exists(task["never"]), Is.False);
        }
        Refuses(root => root.Remove("provenance"), "has no \"provenance\": an older version");
        Refuses(root => root["provenance"]!["format"] = 2, "has format 2, and this version knows 1");
        Refuses(root => root["provenance"]!.AsObject().Remove("base"), "\"provenance\" is damaged");
        Refuses(root => root["provenance"]!["data"] = "none", "\"provenance\" is damaged");
        Refuses(root => root["provenance"]!["command"] = null, "no command line");
        Refuses(root => root["provenance"]!["command"] = new JsonArray("--rnk", "3"), "its command does not begin");
        Refuses(root => root["cancelled"] = true, "stopped before its end");
        Refuses(root => root["task"] = "masked language model", "only fine-tunings");
        Refuses(root => root.Remove("options"), "is damaged");
        task.Write("training.json", "{");
        Assert.That(LoraProgram.Refuse("replay", task.Root).Errors, Does.Contain("not valid JSON"));
        Assert.That(LoraProgram.Refuse("replay", task["nowhere"]).Errors, Does.Contain("there is no such file"));
        Assert.That(LoraProgram.Refuse("replay", task["run"], "--dry-run", "--out", task["never"]).Errors,
            Does.Contain("--dry-run trains nothing"));
    }

    private void Train(string name) => LoraProgram.Succeed("train", "--data", task.Data, "--model", task.Model,
        "--rank", "3", "--dropout", "0.1", "--max-steps", "6", "--threads", "1", "--out", task[name]);

    private string Refused(params string[] args)
    {
        var result = LoraProgram.Refuse(["replay", task["run"], .. args]);
        Assert.That(result.Output, Is.Empty);
        return result.Errors;
    }

    private JsonObject Read(string name) =>
        JsonNode.Parse(File.ReadAllText(Path.Combine(task[name], "training.json")))!.AsObject();

    private string Hash(string name) => (string)Read(name)["provenance"]!["result"]!.AsObject().Single().Value!;

    /// <summary>A copy of a folder with another training.json.</summary>
    private void Change(string name, string to, Action<JsonObject> change)
    {
        TemporaryFolder.Copy(task[name], task[to]);
        var root = Read(name);
        change(root);
        File.WriteAllText(Path.Combine(task[to], "training.json"), root.ToJsonString(new JsonSerializerOptions
        {
            WriteIndented = true,
        }));
    }
}
