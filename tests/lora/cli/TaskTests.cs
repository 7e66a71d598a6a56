using System.Text.Json;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Tests.Cli;

/// <summary>Tasks beside one class for one text: pairs of texts, any number of classes.</summary>
public sealed class TaskTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void TrainBoth()
    {
        task = new TinyTask();
        var reviews = TinyTask.Reviews(60, seed: 4).Split('\n', StringSplitOptions.RemoveEmptyEntries)[1..];
        task.Write("pairs.csv", "question,answer,label\n" + string.Concat(reviews.Select(row =>
            $"the film was,{row}\n")));
        task.Write("tags.csv", "text,label\n" + string.Concat(reviews.Select((row, i) =>
            $"{row.Split(',')[0]},{(i % 3 == 0 ? "" : i % 3 == 1 ? "mood" : "mood|plot")}\n")));
        task.Write("flags.csv", "text,mood,plot\n" + string.Concat(reviews.Select((row, i) =>
            $"{row.Split(',')[0]},{(i % 3 == 0 ? 0 : 1)},{(i % 3 == 2 ? 1 : 0)}\n")));
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task["pairs.csv"], "--text-column", "question",
            "--text-pair-column", "answer", "--max-steps", "8", "--out", task["paired"]);
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task["tags.csv"], "--multi-label", "--new-head",
            "--max-steps", "8", "--out", task["tagged"]);
    }

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [Test]
    public void A_model_of_pairs_predicts_and_evaluates_the_file_that_it_was_trained_on()
    {
        string[] columns = ["--text-column", "question", "--text-pair-column", "answer"];
        string[] model = ["--model", task.Model, "--adapter", task["paired"]];
        var answers = LoraProgram.Succeed(["predict", .. model, "--input", task["pairs.csv"], "--json", .. columns]);
        Assert.That(answers.Lines, Has.Length.EqualTo(60));
        LoraProgram.Succeed(["evaluate", .. model, "--data", task["pairs.csv"], .. columns]);
        var alone = Logits("predict", [.. model, "--text", "the film was", "--text-pair", "superb lovely", "--json"]);
        var swapped = Logits("predict", [.. model, "--text", "superb lovely", "--text-pair", "the film was",
            "--json"]);
        Assert.That(alone, Is.Not.EqualTo(swapped), "the second text is read");
        LoraProgram.Succeed(["merge", .. model, "--out", task["paired-model"]]);
        Assert.That(Logits("predict", ["--model", task["paired-model"], "--text", "the film was", "--text-pair",
            "superb lovely", "--json"]), Is.EqualTo(alone).Within(1e-4));
        LoraProgram.Succeed(["quantize", "--model", task["paired-model"], "--bits", "4", "--group-size", "16",
            "--method", "gptq", "--calibration", task["pairs.csv"], "--out", task["paired-int4"], .. columns]);
        LoraProgram.Succeed(["explain", .. model, "--data", task["pairs.csv"], "--limit", "2", .. columns]);
    }

    [TestCase("predict", "--text", "superb")]
    [TestCase("evaluate", "--data", "DATA")]
    [TestCase("explain", "--text", "superb")]
    public void A_model_of_pairs_refuses_single_texts(string command, string option, string value)
    {
        foreach (var model in (string[][])[["--model", task.Model, "--adapter", task["paired"]],
            ["--model", MergedPairs()]])
        {
            if (command == "explain" && model.Length == 2)
            {
                continue;
            }
            var refused = LoraProgram.Refuse([command, .. model, option, value == "DATA" ? task.Data : value]);
            Assert.That(refused.Errors,
                Does.Contain("was trained on pairs of texts").And.Contain("--text-pair-column"));
        }
    }

    [Test]
    public void Tokenize_shows_the_types_of_a_pair()
    {
        var line = LoraProgram.Succeed("tokenize", "--vocab", task["vocab.txt"], "--text", "the film", "--text-pair",
            "superb", "--json").Lines.Single();
        using var json = JsonDocument.Parse(line);
        Assert.That(json.RootElement.GetProperty("types").EnumerateArray().Select(type => type.GetInt32()),
            Is.EqualTo(new[] { 0, 0, 0, 0, 1, 1 }));
    }

    [Test]
    public void Any_number_of_classes_is_trained_evaluated_and_predicted()
    {
        string[] model = ["--model", task.Model, "--adapter", task["tagged"]];
        var figures = LoraProgram.Succeed(["evaluate", .. model, "--data", task["tags.csv"]]).Output;
        Assert.That(figures, Does.Contain("Hamming loss").And.Contain("mood").And.Contain("micro average")
            .And.Contain("macro average"));
        using var json = JsonDocument.Parse(LoraProgram.Succeed(["evaluate", .. model, "--data", task["tags.csv"],
            "--json"]).Output);
        Assert.That(json.RootElement.GetProperty("classes").GetProperty("mood").GetProperty("support").GetInt32(),
            Is.EqualTo(40));
        Assert.That(json.RootElement.TryGetProperty("confusion", out _), Is.False);
        var all = LoraProgram.Succeed(["predict", .. model, "--text", "superb", "--threshold", "0"]).Output;
        Assert.That(all, Does.Contain("mood  ").And.Contain(", plot  "));
        Assert.That(LoraProgram.Succeed(["predict", .. model, "--text", "superb", "--threshold", "1"]).Output.Trim(),
            Is.EqualTo("(none)"));
        var answer = LoraProgram.Succeed(["predict", .. model, "--text", "superb", "--threshold", "0", "--json"]);
        Assert.That(answer.Output, Does.Contain("\"labels\":[\"mood\",\"plot\"]").And.Not.Contain("label_id"));
        Assert.That(EncoderConfig.Load(task["tagged"]).IsMultiLabel, "for transformers, beside the adapter");
    }

    [Test]
    public void A_column_for_each_class_is_the_same_data()
    {
        LoraProgram.Succeed("train", "--model", task.Model, "--data", task["flags.csv"], "--label-columns", "mood,plot",
            "--new-head", "--max-steps", "8", "--out", task["flagged"]);
        Assert.That(File.ReadAllBytes(Path.Combine(task["flagged"], "adapter_model.safetensors")),
            Is.EqualTo(File.ReadAllBytes(Path.Combine(task["tagged"], "adapter_model.safetensors"))));
    }

    [Test]
    public void A_merged_and_quantised_model_keeps_its_kind_of_task()
    {
        string[] model = ["--model", task.Model, "--adapter", task["tagged"]];
        LoraProgram.Succeed(["merge", .. model, "--out", task["tag-model"]]);
        LoraProgram.Succeed("quantize", "--model", task["tag-model"], "--bits", "4", "--group-size", "16", "--out",
            task["tag-int4"]);
        foreach (var folder in new[] { task["tag-model"], task["tag-int4"] })
        {
            Assert.That(LoraProgram.Succeed("predict", "--model", folder, "--text", "superb", "--threshold", "0",
                "--json").Output, Does.Contain("\"labels\":[\"mood\",\"plot\"]"));
        }
        LoraProgram.Succeed("train", "--model", task["tag-model"], "--data", task["tags.csv"], "--multi-label",
            "--method", "full", "--max-steps", "1", "--out", task["tag-further"]);
        LoraProgram.Succeed("train", "--model", task.Model, "--init-adapter", task["tagged"], "--data",
            task["tags.csv"], "--multi-label", "--max-steps", "1", "--out", task["tagged-further"]);
        LoraProgram.Succeed("explain", "--model", task.Model, "--adapter", task["tagged"], "--text", "superb");
        LoraProgram.Succeed("compare", "--model", task.Model, "--data", task["tags.csv"], "--multi-label",
            "--new-head", "--methods", "lora,last-layers", "--seeds", "1", "--max-steps", "2", "--out",
            task["compared"]);
    }

    [TestCase("train --model MODEL --data TAGS --multi-label --out OUT", "its head is for one class of several")]
    [TestCase("train --model TAGMODEL --data DATA --out OUT", "its head is for any number of classes (multi-label)")]
    [TestCase("train --model MODEL --data TAGS --out OUT", "'label' is empty")]
    [TestCase("evaluate --model MODEL --data FLAGS --label-columns mood,plot", "and the model's head is for one")]
    public void Data_of_another_kind_than_the_head_is_refused_with_the_remedy(string args, string message) =>
        task.RequireRefused(args, message, ("TAGS", () => task["tags.csv"]), ("FLAGS", () => task["flags.csv"]),
            ("TAGMODEL", () =>
            {
                if (!Directory.Exists(task["tag-model"]))
                {
                    LoraProgram.Succeed("merge", "--model", task.Model, "--adapter", task["tagged"], "--out",
                        task["tag-model"]);
                }
                return task["tag-model"];
            }
    ));

    [Test]
    public void Texts_that_were_cut_are_counted_in_every_command()
    {
        string[] model = ["--model", task.Model, "--adapter", task["tagged"]];
        string[] short4 = ["--max-length", "4"];
        string[] data = ["--data", task["tags.csv"]];
        LoraProgram.Succeed(["merge", .. model, "--out", task["whole"]]);
        string[] whole = ["--model", task["whole"]];
        string[] once = ["--multi-label", "--new-head", "--max-steps", "1"];
        string[][] commands =
        [
            ["train", "--model", task.Model, .. data, .. once, "--out", task["cut-1"], .. short4],
            ["evaluate", .. model, .. data, .. short4],
            ["predict", .. model, "--input", task["tags.csv"], .. short4],
            ["tokenize", "--vocab", task["vocab.txt"], "--input", task["tags.csv"], .. short4],
            ["explain", .. model, .. data, "--limit", "3", .. short4],
            ["explain", .. model, "--text", "the film was superb", .. short4],
            ["quantize", .. whole, "--bits", "4", "--group-size", "16", "--method", "gptq", "--calibration",
                task["tags.csv"], "--out", task["cut-2"], .. short4],
            ["compare", "--model", task.Model, .. data, .. once, "--methods", "lora,last-layers", "--seeds", "1",
                "--out", task["cut-3"], .. short4],
            ["sweep", "--model", task.Model, .. data, .. once, "--ranks", "2", "--out", task["cut-4"], .. short4],
            ["compress", .. whole, "--rank", "4", .. data, "--out", task["cut-5"], .. short4],
            ["truncate", .. model, "--rank", "2", .. data, "--out", task["cut-6"], .. short4],
        ];
        Assert.Multiple(() =>
        {
            foreach (var command in commands)
            {
                var result = LoraProgram.Run(command);
                Assert.That(result.Code, Is.Zero, $"{command[0]}: {result.Errors}");
                Assert.That(result.Errors + result.Output, Does.Match(@"\d+ .*cut|cut at"), command[0]);
            }
        });
    }

    private string MergedPairs()
    {
        if (!Directory.Exists(task["paired-merged"]))
        {
            LoraProgram.Succeed("merge", "--model", task.Model, "--adapter", task["paired"], "--out",
                task["paired-merged"]);
        }
        return task["paired-merged"];
    }

    private static double[] Logits(string command, string[] args)
    {
        using var json = JsonDocument.Parse(LoraProgram.Succeed([command, .. args]).Lines.Last());
        return [.. json.RootElement.GetProperty("logits").EnumerateArray().Select(logit => logit.GetDouble())];
    }
}
