using System.Text.Json;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// Several adapters on one model on the command line, and adapters on a model that they were not
/// trained on.
/// </summary>
public sealed class SeveralAdaptersTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void TrainTwoTasks()
    {
        task = new TinyTask();
        task.Write("topics.csv",
            TinyTask.Reviews(60, seed: 4, negative: "business", positive: "art")
                + "the plot was plot,story\nthe story was story,story\n");
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task.Data, "--out", task["mood"], "--max-steps",
            "3", "--rank", "2");
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task.Data, "--out", task["other"], "--max-steps",
            "8", "--rank", "3", "--lr", "1e-2", "--seed", "9");
        // An encoder without a head, and two tasks with different classes on it.
        HeadlessModel.Write(task, task["encoder"]);
        LoraProgram.Succeed("train", "--model", task["encoder"], "--data", task.Data, "--out", task["two"],
            "--max-steps", "2");
        LoraProgram.Succeed("train", "--model", task["encoder"], "--data", task["topics.csv"], "--out", task["three"],
            "--max-steps", "2", "--seed", "5");
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [TestCase("MODEL", "mood", "other")]
    [TestCase("encoder", "two", "three")]
    public void Predictions_of_several_adapters_are_those_of_each_alone(string model, string first, string second)
    {
        model = model == "MODEL" ? task.Model : task[model];
        var lines = LoraProgram.Succeed("predict", "--model", model, "--adapter", $"a={task[first]}", "--adapter",
            task[second], "--input", task.Data, "--json").Lines;
        var alone = new[] { first,
            second }.Select(adapter =>
                LoraProgram.Succeed("predict", "--model", model, "--adapter", task[adapter], "--input", task.Data,
                    "--json").Lines).ToArray();
        Assert.That(lines, Has.Length.EqualTo(160));
        for (var i = 0; i < 80; i++)
        {
            Assert.That(lines[2 * i], Is.EqualTo("{\"adapter\":\"a\"," + alone[0][i][1..]));
            Assert.That(lines[2 * i + 1], Is.EqualTo($"{{\"adapter\":\"{second}\"," + alone[1][i][1..]));
        }
        var chosen = LoraProgram.Succeed("predict", "--model", model, "--adapter", $"a={task[first]}", "--adapter",
            $"b={task[second]}", "--active", "b", "--text", "the film was superb").Output;
        Assert.That(chosen, Does.StartWith("b: "));
    }

    [Test]
    public void Base_means_the_model_without_any()
    {
        var alone = LoraProgram.Succeed("predict", "--model", task.Model, "--text", "the film was superb",
            "--json").Output;
        Assert.That(LoraProgram.Succeed("predict", "--model", task.Model, "--adapter", task["mood"], "--active", "base",
            "--text", "the film was superb", "--json").Output, Is.EqualTo(alone));
        Refuse("it has no trained classification head", "predict", "--model", task["encoder"], "--adapter", task["two"],
            "--active", "base", "--text", "film");
    }

    [Test]
    public void Evaluation_gives_an_object_for_each()
    {
        var lines = LoraProgram.Succeed("evaluate", "--model", task.Model, "--adapter", task["mood"], "--adapter",
            task["other"], "--data", task.Data, "--json").Lines;
        Assert.That(lines.Select(line => JsonDocument.Parse(line).RootElement.GetProperty("adapter").GetString()),
            Is.EqualTo(new[] { "mood", "other" }));
        Assert.That(LoraProgram.Succeed("evaluate", "--model", task.Model, "--adapter", task["mood"], "--adapter",
            task["other"], "--data", task.Data).Output,
                Does.Match("^mood:\naccuracy").And.Contain("\nother:\naccuracy"));
    }

    [Test]
    public void Inspect_shows_what_each_adapter_trains()
    {
        var shown = LoraProgram.Succeed("inspect", task["encoder"], "--adapter", task["two"], "--adapter",
            task["three"]).Output;
        Assert.That(shown, Does.Match(@"\* base +frozen\n").And
            .Match(@"  two +4 layers, rank 8, s = 2; 1,330 parameters, 1,330 of them trainable\n"));
        Assert.That(shown, Does.Contain("three: art, business, story\n").And
            .Contain("stays trainable: classifier, 51 parameters"));
    }

    [Test]
    public void Mistakes_in_names_are_refused()
    {
        Refuse("the name 'mood' is given twice", "predict", "--model", task.Model, "--adapter", task["mood"],
            "--adapter", $"mood={task["other"]}", "--text", "film");
        Refuse("the name 'base' means the model without any", "predict", "--model", task.Model, "--adapter",
            $"base={task["other"]}", "--text", "film");
        Refuse("--active is 'x'; the adapters are mood.", "predict", "--model", task.Model, "--adapter", task["mood"],
            "--active", "x", "--text", "film");
        Refuse("--active is 'x'; the adapters are none", "predict", "--model", task.Model, "--active", "x", "--text",
            "film");
        Refuse("expected a folder, or NAME=DIR", "predict", "--model", task.Model, "--adapter", "=x", "--text", "film");
    }

    [Test]
    public void An_adapter_on_another_model_is_refused_unless_asked_for()
    {
        LoraProgram.Succeed("train", "--config", task["config.json"], "--vocab", task["vocab.txt"], "--data", task.Data,
            "--method", "full", "--max-steps", "1", "--seed", "77", "--out", task["stranger"]);
        string[] trained = ["--model", task["stranger"], "--adapter", task["mood"]];
        Refuse("give --any-base", ["predict", .. trained, "--text", "film"]);
        Refuse("give --any-base", ["evaluate", .. trained, "--data", task.Data]);
        Refuse("give --any-base", ["merge", .. trained, "--out", task["merged"]]);
        Refuse("give --any-base", "train", "--model", task["stranger"], "--init-adapter", task["mood"],
            "--data", task.Data, "--out", task["further"]);
        Refuse("give --any-base", "inspect", task["stranger"], "--adapter", task["mood"]);
        Assert.That(Directory.Exists(task["merged"]) || Directory.Exists(task["further"]), Is.False);
        Assert.That(LoraProgram.Succeed(["merge", .. trained, "--out", task["merged"], "--any-base"]).Errors,
            Does.Contain("note: ").And.Contain("used all the same"));
        LoraProgram.Succeed("train", "--model", task["stranger"], "--init-adapter", task["mood"], "--data", task.Data,
            "--max-steps", "1", "--any-base", "--out", task["further"]);
        Assert.That(LoraProgram.Succeed("predict", "--model", task["stranger"], "--adapter", task["further"], "--text",
            "film").Errors, Is.Empty, "it belongs to the new base now");
    }

    private static void Refuse(string message, params string[] args)
    {
        var result = LoraProgram.Call(args);
        Assert.That((result.Code, result.Output), Is.EqualTo((1, "")));
        Assert.That(result.Errors, Does.Contain(message).And.Contain("error: "));
    }
}
