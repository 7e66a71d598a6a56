namespace LoraScratch.Tests.Cli;

public class PretrainCommandTests
{
    [Test]
    public void From_texts_to_an_adapted_model_in_three_commands()
    {
        using var task = new TinyTask();
        var vocabulary = LoraProgram.Call("vocabulary", "--data", task.Data, "--size", "60", "--held-out", "0.1",
            "--out", task["learned.txt"]);
        Assert.That(vocabulary.Code, Is.Zero, vocabulary.Errors);
        Assert.That(vocabulary.Output, Does.Contain("texts held out").And.Contain("0.0000 % of the tokens [UNK]"));
        var size = File.ReadAllLines(task["learned.txt"]).Length;
        Assert.That(size, Is.InRange(40, 60));
        task.Write("pretrain.json", TinyTask.Config(size));
        task.Write("test.jsonl", $$"""{"text": "{{File.ReadAllLines(task.Data)[1].Split(',')[0]}}"}""");

        var pretrain = LoraProgram.Call("pretrain", "--data", task.Data, "--exclude", task["test.jsonl"], "--config",
            task["pretrain.json"], "--vocab", task["learned.txt"], "--out", task["base"],
            "--epochs", "2", "--batch-size", "8", "--max-length", "16", "--validation", "0.2", "--dtype", "f16",
                "--threads", "1");
        Assert.That(pretrain.Code, Is.Zero, pretrain.Errors);
        Assert.That(pretrain.Errors, Does.Contain("(1 distinct) also in the excluded data"));
        Assert.That(pretrain.Errors,
            Does.Match("about .* for .* steps with .* tokens, at the .* tokens/s measured").And
                .Contain("validation loss"));
        Assert.That(pretrain.Output,
            Does.Contain("masked tokens guessed").And.Contain($"lora train --model {task["base"]}"));
        Assert.That(File.ReadAllText(Path.Combine(task["base"], "config.json")),
            Does.Contain("DistilBertForMaskedLM").And.Contain("float16").And.Not.Contain("id2label"));

        var more = LoraProgram.Call("pretrain", "--data", task.Data, "--model", task["base"], "--out", task["more"],
            "--max-steps", "1", "--lr", "1e-9", "--max-length", "16", "--validation", "0.2", "--batch-size", "8",
                "--threads", "1");
        Assert.That(more.Code, Is.Zero, more.Errors);
        Assert.That(more.Errors,
            Does.Contain("converted to F32 from").And.Not.Contain("ignored").And.Not.Contain("initialised"));

        var train = LoraProgram.Call("train", "--model", task["base"], "--data", task.Data, "--out", task["adapted"],
            "--epochs", "1", "--threads", "1");
        Assert.That(train.Code, Is.Zero, train.Errors);
        Assert.That(train.Errors,
            Does.Contain("ignored").And.Contain("vocab_projector.bias").And.Contain("converted to F32 from").And
                .Contain("randomly initialised from the seed"));
    }

    [Test]
    public void What_to_start_from_is_named_once()
    {
        using var task = new TinyTask();
        void Refuse(string expected, params string[] start)
        {
            var result = LoraProgram.Call(
                ["pretrain", "--data", task.Data, "--out", task["base"], "--max-length", "16", .. start]);
            Assert.That((result.Code, result.Errors.Contains(expected, StringComparison.Ordinal)),
                Is.EqualTo((1, true)), result.Errors);
        }
        Refuse("--config needs --vocab", "--config", task["config.json"]);
        Refuse("--vocab needs --config", "--model", task.Model, "--vocab", task["vocab.txt"]);
        Refuse("--model and --config are both given", "--model", task.Model, "--config", task["config.json"], "--vocab",
            task["vocab.txt"]);
        // A classifier has no head that guesses tokens: it is drawn, and the user is told so.
        var fromClassifier = LoraProgram.Call("pretrain", "--data", task.Data, "--model", task.Model, "--out",
            task["base"], "--max-length", "16", "--max-steps", "1", "--threads", "1");
        Assert.That(fromClassifier.Code, Is.Zero, fromClassifier.Errors);
        Assert.That(fromClassifier.Errors,
            Does.Contain("ignored, a masked language model has no use for them: classifier.bias").And
                .Contain("randomly initialised from the seed: vocab_transform.weight"));
    }

    [TestCase("--size", "7", "--size is 7")]
    [TestCase("--alphabet", "0", "--alphabet is 0")]
    [TestCase("--held-out", "0.9", "--held-out is 0.9")]
    [TestCase("--exclude", "nowhere.csv", "nowhere.csv: there is no such file")]
    [TestCase("--out", "no/such/folder/vocab.txt", "cannot be written")]
    public void A_vocabulary_is_not_made_of_nonsense(string option, string value, string expected)
    {
        using var task = new TinyTask();
        string[] rest = option == "--out" ? [] : ["--out", task["learned.txt"]];
        var result = LoraProgram.Call(["vocabulary", "--data", task.Data, option, value, .. rest]);
        Assert.That((result.Code, File.Exists(task["learned.txt"])), Is.EqualTo((1, false)), result.Output);
        Assert.That(result.Errors, Does.Contain(expected));
    }

    [TestCase("--max-length", "25", "max_position_embeddings")]
    [TestCase("--max-length", "2", "--max-length is 2")]
    [TestCase("--validation", "0.001", "--validation 0.001")]
    [TestCase("--lr", "0", "--lr is 0")]
    [TestCase("--dtype", "int8", "--dtype is 'int8'")]
    [TestCase("--resume", null, "there is no saved run")]
    public void Nonsense_is_refused_before_the_work(string option, string? value, string expected)
    {
        using var task = new TinyTask();
        string[] more = value is null ? [option] : [option, value];
        string[] length = option == "--max-length" ? [] : ["--max-length", "16"];
        var result = LoraProgram.Call(
            ["pretrain", "--data", task.Data, "--config", task["config.json"], "--vocab", task["vocab.txt"], "--out",
                task["base"], .. length, .. more]);
        Assert.That((result.Code, Directory.Exists(task["base"])), Is.EqualTo((1, false)), result.Output);
        Assert.That(result.Errors, Does.Contain(expected));
    }
}
