namespace LoraScratch.Tests.Cli;

/// <summary>
/// lora train, pretrain, compare and sweep with --recompute: the files are those without it.
/// </summary>
public sealed class RecomputeCommandTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void Prepare() => task = new TinyTask();

    [OneTimeTearDown]
    public void Remove() => task.Dispose();

    [TestCase("lora", "adapter_model.safetensors", "--dropout", "0.2")]
    [TestCase("full", "model.safetensors")]
    public void A_training_leaves_the_same_weights(string method, string file, params string[] options)
    {
        var plain = Train($"{method}-plain");
        var recomputed = Train($"{method}-recomputed", "--recompute");
        Assert.That(Bytes(recomputed, file), Is.EqualTo(Bytes(plain, file)));
        Assert.That(Losses(recomputed), Is.EqualTo(Losses(plain)));
        Assert.That(Options(plain), Does.Contain("\"recompute\": false"));
        Assert.That(Options(recomputed), Does.Contain("\"recompute\": true"));

        string Train(string name, params string[] more)
        {
            LoraProgram.Succeed(["train", "--model", task.Model, "--data", task.Data, "--out", task[name], "--epochs",
                "1", "--method", method, .. options, .. more]);
            return task[name];
        }
    }

    [Test]
    public void So_does_a_pretraining()
    {
        var (plain, recomputed) = (Pretrain("base"), Pretrain("base-recomputed", "--recompute", "true"));
        Assert.That(Bytes(recomputed, "model.safetensors"), Is.EqualTo(Bytes(plain, "model.safetensors")));
        Assert.That(Options(recomputed), Does.Contain("\"recompute\": true"));

        string Pretrain(string name, params string[] more)
        {
            LoraProgram.Succeed(["pretrain", "--data", task.Data, "--config", task["config.json"], "--vocab",
                task["vocab.txt"], "--out", task[name], "--max-steps", "3", "--max-length", "16", .. more]);
            return task[name];
        }
    }

    [TestCase("compare", "--methods", "lora,full", "--lr", "1e-3")]
    [TestCase("sweep", "--ranks", "2", "--alphas", "4", "--vary", "key")]
    public void An_experiment_that_began_with_it_goes_on_without_it(string command, params string[] options)
    {
        string[] all = [command, "--model", task.Model, "--data", task.Data, "--out", task[command], "--epochs", "1",
            .. options];
        LoraProgram.Succeed([.. all, "--recompute"]);
        LoraProgram.Succeed([.. all, "--resume"]);
        Assert.That(LoraProgram.Refuse([.. all, "--resume", "--clip", "2"]).Errors, Does.Contain("clip"));
    }

    [Test]
    public void Where_no_layer_is_trained_it_is_refused()
    {
        task.RequireRefused("train --model MODEL --data DATA --out OUT --method last-layers --recompute",
            "--recompute belongs to --method lora and qa-lora and full and has no effect with last-layers");
        task.RequireRefused("train --model MODEL --data DATA --out OUT --recompute=perhaps", "perhaps");
    }

    private static byte[] Bytes(string folder, string file) => File.ReadAllBytes(Path.Combine(folder, file));

    private static string Options(string folder) => File.ReadAllText(Path.Combine(folder, "training.json"));

    private static IEnumerable<string> Losses(string folder) =>
        File.ReadLines(Path.Combine(folder, "metrics.jsonl")).Select(line => line[..line.IndexOf("\"tokens\"")]);
}
