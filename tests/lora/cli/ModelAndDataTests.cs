using System.Text.Json;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// Which classes a run has, which head, and that the same seed gives the same files.
/// </summary>
public class ModelAndDataTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void MakeFolder() => task = new TinyTask();

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [Test]
    public void The_same_seed_gives_the_same_bytes_for_any_number_of_threads()
    {
        byte[] Adapter(string name, string seed, string threads)
        {
            LoraProgram.Succeed("train", "--model", task.Model, "--data", task.Data, "--out", task[name], "--max-steps",
                "6", "--dropout", "0.1", "--seed", seed, "--threads", threads);
            return File.ReadAllBytes(Path.Combine(task[name], "adapter_model.safetensors"));
        }
        var first = Adapter("first", "5", "1");
        Assert.That(Adapter("second", "5", "1"), Is.EqualTo(first));
        Assert.That(Adapter("third", "5", "2"), Is.EqualTo(first));
        Assert.That(Adapter("fourth", "6", "1"), Is.Not.EqualTo(first));
    }

    [TestCase("neg", "pos")]
    [TestCase("0", "1")]
    public void Labels_may_be_the_names_or_the_indices_of_the_configs_classes(string negative, string positive)
    {
        var data = task.Write($"{negative}.csv", TinyTask.Reviews(40, 2, negative, positive));
        var config = task.Write("named.json", TinyTask.Config(24, ", \"label2id\": {\"pos\": 1, \"neg\": 0}"));
        var folder = task[$"of-{negative}"];
        LoraProgram.Succeed("train", "--config", config, "--vocab", task["vocab.txt"], "--data", data, "--method",
            "full", "--max-steps", "1", "--out", folder);
        Assert.That(EncoderConfig.Load(folder).Labels, Is.EqualTo(new[] { "neg", "pos" }));
        var evaluation = JsonDocument.Parse(
            LoraProgram.Succeed("evaluate", "--model", folder, "--data", data, "--json").Output).RootElement;
        Assert.That(evaluation.GetProperty("confusion").EnumerateArray()
            .Select(row => row.EnumerateArray().Sum(count => count.GetInt32())), Is.EqualTo(new[] { 20, 20 }));
    }

    [Test]
    public void A_config_that_only_counts_classes_takes_the_names_of_the_data()
    {
        var config = task.Write("counted.json", TinyTask.Config(24, ", \"num_labels\": 2"));
        LoraProgram.Succeed("train", "--config", config, "--vocab", task["vocab.txt"], "--data", task.Data, "--method",
            "full", "--max-steps", "1", "--out", task["counted"]);
        Assert.That(EncoderConfig.Load(task["counted"]).Labels, Is.EqualTo(new[] { "neg", "pos" }));
        var three = task.Write("three.json", TinyTask.Config(24, ", \"num_labels\": 3"));
        var numbered = task.Write("numbered.csv", TinyTask.Reviews(40, 2, "0", "1"));
        LoraProgram.Succeed("train", "--config", three, "--vocab", task["vocab.txt"], "--data", numbered, "--method",
            "full", "--max-steps", "1", "--out", task["three"]);
        Assert.That(EncoderConfig.Load(task["three"]).Labels, Is.EqualTo(new[] { "0", "1", "2" }));
    }

    [Test]
    public void An_adapter_brings_head_and_classes_to_a_base_without_them()
    {
        var headless = Headless("headless");
        LoraProgram.Succeed("train", "--model", headless, "--data", task.Data, "--out", task["with-head"],
            "--max-steps", "2");
        Assert.That(Label("--model", headless, "--adapter", task["with-head"]), Is.AnyOf("neg", "pos"));
        LoraProgram.Succeed("train", "--model", headless, "--data",
            task.Write("indices.csv", TinyTask.Reviews(20, 3, "0", "1")), "--init-adapter", task["with-head"],
                "--max-steps", "2", "--out", task["further"]);
        Assert.That(Label("--model", headless, "--adapter", task["further"]), Is.AnyOf("neg", "pos"),
            "going on keeps the adapter's names");
        // where transformers' AutoConfig finds the names
        File.Delete(Path.Combine(task["with-head"], "training.json"));
        Assert.That(EncoderConfig.Load(task["with-head"]).Labels, Is.EqualTo(new[] { "neg", "pos" }));
        Assert.That(Label("--model", headless, "--adapter", task["with-head"]), Is.AnyOf("neg", "pos"));
        // As PEFT writes it: nothing says the names.
        File.Delete(Path.Combine(task["with-head"], "config.json"));
        Assert.That(Label("--model", headless, "--adapter", task["with-head"]), Is.AnyOf("LABEL_0", "LABEL_1"));
        LoraProgram.Succeed("merge", "--model", headless, "--adapter", task["with-head"], "--out", task["whole"]);
        Assert.That(Label("--model", task["whole"]), Is.AnyOf("LABEL_0", "LABEL_1"));
    }

    [Test]
    public void A_head_that_nobody_trained_is_refused()
    {
        var headless = Headless("bare");
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task.Data, "--out", task["no-head"],
            "--train-head", "false", "--max-steps", "1");
        Refuse($"{headless}: it has no trained classification head, so its answers would be random. Train an adapter "
            + "with one, and name it with --adapter.", "predict", "--model", headless, "--text", "film");
        Refuse("neither has the adapter", "predict", "--model", headless, "--adapter", task["no-head"], "--text",
            "film");
        Refuse("neither has the adapter", "merge", "--model", headless, "--adapter", task["no-head"], "--out",
            task["random"]);
        Refuse("--targets has head, but the model's checkpoint has no classification head", "train", "--model",
            headless, "--data", task.Data, "--targets", "query,head", "--out", task["random"]);
        Assert.That(Directory.Exists(task["random"]), Is.False);
    }

    [TestCase("none", 0)]
    [TestCase("lora_only", 4)]
    [TestCase("all", 2 * 8 + 1 + 2)]
    public void Biases_of_the_base_are_trained_where_asked_for(string bias, int expected)
    {
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task.Data, "--out", task[bias], "--max-steps",
            "2", "--bias", bias, "--train-head", "false");
        Assert.That(JsonDocument.Parse(File.ReadAllText(Path.Combine(task[bias], "adapter_config.json"))).RootElement
            .GetProperty("bias").GetString(), Is.EqualTo(bias));
        Assert.That(JsonDocument.Parse(File.ReadAllText(Path.Combine(task[bias], "training.json"))).RootElement
            .GetProperty("options").GetProperty("bias").GetString(), Is.EqualTo(bias));
        // Of each of two blocks q, k, v, out, lin1, lin2 and two norms; the norm of the embeddings; the head's two.
        Assert.That(LoraProgram.Succeed("inspect", task[bias]).Output,
            Does.Contain($"4 adapted layers, {expected} other tensors"));
        var (adapted, plain) = (LoraProgram.Succeed("predict", "--model", task.Model, "--adapter", task[bias], "--text",
            "the film", "--json"), LoraProgram.Succeed("predict", "--model", task.Model, "--text", "the film",
                "--json"));
        Assert.That(adapted.Logits, Is.Not.EqualTo(plain.Logits));
        LoraProgram.Succeed("merge", "--model", task.Model, "--adapter", task[bias], "--out", task[$"{bias}-merged"]);
        Assert.That(LoraProgram.Succeed("predict", "--model", task[$"{bias}-merged"], "--text", "the film",
            "--json").Logits, Is.EqualTo(adapted.Logits).Within(1e-4));
    }

    [Test]
    public void A_run_of_one_step_trains()
    {
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task.Data, "--out", task["one"], "--max-steps",
            "1");
        var step = JsonDocument.Parse(File.ReadAllLines(Path.Combine(task["one"], "metrics.jsonl"))
            .Single()).RootElement;
        Assert.That(step.GetProperty("learning_rate").GetSingle(), Is.EqualTo(5e-4f));
    }

    [Test]
    public void Devices_are_listed_with_the_reason_where_one_cannot_be_used() =>
        Assert.That(LoraProgram.Succeed("devices").Output,
            Does.Match(
                @"^cpu +usable +CPU, .* threads?\n(cuda(:\d+)? +(not )?usable +\w.*\n( {22}.*\n)*)+"
                + @"(opencl(:\d+)? +(not )?usable +\w.*\n( {22}.*\n)*)+"
                + @"(mpi +(not )?usable +\w.*\n( {22}.*\n)*)+$"));

    private string Label(params string[] model) =>
        JsonDocument.Parse(LoraProgram.Succeed(
            ["predict", .. model, "--text", "the film was superb", "--json"]).Output).RootElement.GetProperty("label")
                .GetString()!;

    /// <summary>
    /// The tiny model's encoder alone, with the names that its tensors have in an encoder's
    /// checkpoint.
    /// </summary>
    private string Headless(string name)
    {
        HeadlessModel.Write(task, task[name]);
        return task[name];
    }

    private static void Refuse(string message, params string[] args)
    {
        var result = LoraProgram.Call(args);
        Assert.That(result.Code, Is.EqualTo(1), result.Output);
        Assert.That(result.Errors, Does.Contain(message));
    }
}
