using LoraScratch.Lora.Adapters;

namespace LoraScratch.Tests.Cli;

/// <summary>lora adapter check and lora adapter convert, as a user runs them.</summary>
public sealed class AdapterCommandTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void TrainModelAndAdapter()
    {
        task = new TinyTask();
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task.Data, "--out", task["tuned"], "--rank", "3",
            "--alpha", "7", "--max-steps", "8", "--lr", "1e-2");
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [Test]
    public void A_sound_adapter_passes_alone_and_with_its_model()
    {
        Assert.That(LoraProgram.Succeed("adapter", "check", task["tuned"]).Output,
            Does.Contain("note: scale of 4 layers: s = alpha-over-rank = 2.33333 with lora_alpha 7 and r 3; alpha "
                + "would be 7").And.EndWith("tuned: 0 errors, 0 warnings\n"));
        Assert.That(LoraProgram.Succeed("adapter", "check", task["tuned"], "--model", task.Model).Output,
            Does.Contain("4 hashes agree").And.EndWith("tuned: 0 errors, 0 warnings\n"));
    }

    [Test]
    public void A_bad_adapter_ends_with_exit_code_1_and_the_list_on_standard_output()
    {
        Directory.CreateDirectory(task["bad"]);
        File.Copy(Path.Combine(task["tuned"], PeftAdapter.WeightsName),
            Path.Combine(task["bad"], PeftAdapter.WeightsName));
        task.Write("bad/adapter_config.json",
            File.ReadAllText(Path.Combine(task["tuned"], PeftAdapter.ConfigName)).Replace("\"r\": 3", "\"r\": 0")
                .Replace("\"bias\": \"none\"", "\"bias\": \"some\""));
        var result = LoraProgram.Call("adapter", "check", task["bad"]);
        Assert.That((result.Code, result.Errors), Is.EqualTo((1, "")));
        Assert.That(result.Output,
            Does.Contain("error: adapter_config.json: r is 0").And
                .Contain("error: adapter_config.json: bias is \"some\"").And.Match(@"bad: \d+ errors, 0 warnings\n$"));
        Assert.That(LoraProgram.Call("adapter", "check", task["none"]).Code, Is.EqualTo(1));
        Assert.That(LoraProgram.Call("adapter", "check", task["bad"], "--model", task.Model).Code, Is.EqualTo(1));
        Assert.That(LoraProgram.Call("adapter").Errors, Does.StartWith("error: "));
    }

    [Test]
    public void Converted_there_and_back_it_predicts_the_same()
    {
        Assert.That(LoraProgram.Succeed("adapter", "convert", task["tuned"], "--to", "tutorial", "--out",
            task["t.safetensors"]).Output,
                Does.Contain("Converted 4 layers from peft to tutorial").And.Contain("alpha 2.3333333333333335"));
        LoraProgram.Succeed("adapter", "convert", task["t.safetensors"], "--to", "loralib", "--out",
            task["l.safetensors"]);
        Assert.That(LoraProgram.Succeed("adapter", "convert", task["l.safetensors"], "--to", "peft", "--out",
            task["again"]).Output, Does.Contain("lora_alpha 7, divided by r"));
        Assert.That(Logits("again"), Is.EqualTo(Logits("tuned")).Within(1e-6f));
        Assert.That(LoraProgram.Succeed("inspect", task["t.safetensors"]).Output,
            Does.Contain("q_lin.lora.A").And.Contain("metadata lora_alpha = 2.3333333333333335"));
    }

    private float[] Logits(string adapter) =>
        LoraProgram.Succeed("predict", "--model", task.Model, "--adapter", task[adapter], "--input", task.Data,
            "--json").Logits;
}
