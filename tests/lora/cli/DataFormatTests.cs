using System.Text.Json;
using LoraScratch.Cli;

namespace LoraScratch.Tests.Cli;

/// <summary>The options that say how a file of texts is written, in all commands.</summary>
public class DataFormatTests
{
    private static readonly string[] Format = ["--text-column", "--separator", "--quoting", "--no-header"];

    private TinyTask task = null!;

    [OneTimeSetUp]
    public void MakeFolder() => task = new TinyTask();

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [Test]
    public void Every_command_that_reads_a_file_of_texts_has_them() => Assert.Multiple(() =>
    {
        // replay reads a file as the training did
        var commands = CommandLine.Parse([]).RootCommandResult.Command.Subcommands
            .Where(command => command.Name != "replay" && (command.Name == "data"
                || command.Options.Any(option => option.Name is "--data" or "--input"))).ToList();
        Assert.That(commands.Select(command => command.Name), Is.SupersetOf(new[] { "train", "compare", "sweep",
            "evaluate", "predict", "tokenize", "vocabulary", "pretrain", "truncate", "compress", "quantize" }));
        foreach (var command in commands)
        {
            var names = command.Options.Select(option => option.Name).ToList();
            Assert.That(names, Is.SupersetOf(Format), command.Name);
            Assert.That(names.Contains("--empty"), Is.Not.EqualTo(names.Contains("--input")), command.Name);
            Assert.That(names.Contains("--label-column"),
                Is.EqualTo(command.Name is not ("predict" or "tokenize" or "vocabulary" or "pretrain")), command.Name);
        }
        foreach (var name in (string[])[.. Format, "--label-column", "--empty", "--max-length"])
        {
            // what pretrain cuts texts into is another length
            var told = commands.Where(command => (command.Name, name) != ("pretrain", "--max-length"))
                .SelectMany(command => command.Options).Where(option => option.Name == name)
                .Select(option => option.Description).ToList();
            Assert.That(told, Has.Count.GreaterThan(6));
            Assert.That(told, Is.All.EqualTo(told[0]), name);
        }
    });

    [TestCase("questions.csv", "question,topic\n", ",", "--text-column", "question", "--label-column", "topic")]
    [TestCase("questions.csv", "question;topic\n", ";", "--text-column", "question", "--label-column", "topic")]
    [TestCase("questions.csv", "", "|", "--no-header", "--separator", "pipe")]
    [TestCase("questions.tsv", "", "\t", "--no-header", "--quoting", "none", "--text-column", "1",
        "--label-column", "2")]
    public void The_file_that_a_model_was_trained_on_is_predicted_with_the_same_options(
        string name, string header, string separator, params string[] options)
    {
        var rows = TinyTask.Reviews(40, 2).Split('\n', StringSplitOptions.RemoveEmptyEntries)[1..];
        var data = task.Write(name, header + string.Join('\n', rows).Replace(",", separator));
        var folder = task["adapter-of-questions"];
        LoraProgram.Succeed(["train", "--model", task.Model, "--data", data, "--max-steps", "1", "--out", folder,
            "--overwrite", .. options]);
        LoraProgram.Succeed(["evaluate", "--model", task.Model, "--adapter", folder, "--data", data, .. options]);
        string[] ofTexts = options is [.. var others, "--label-column", _] ? others : options;
        Assert.That(LoraProgram.Succeed(["predict", "--model", task.Model, "--adapter", folder, "--input", data,
            "--json", .. ofTexts]).Lines, Has.Length.EqualTo(40));
        Assert.That(LoraProgram.Succeed(["tokenize", "--input", data, "--json", .. ofTexts]).Lines,
            Has.Length.EqualTo(40));
        Assert.That(LoraProgram.Succeed(["vocabulary", "--data", data, "--out", task["some.txt"], "--overwrite",
            "--size", "60", .. ofTexts]).Output, Does.Contain("some.txt"));
    }

    [TestCase(";", ';')]
    [TestCase("tab", '\t')]
    [TestCase("comma", ',')]
    public void A_separator_is_a_character_or_a_word_for_it(string given, char separator)
    {
        var data = task.Write("separated.csv", $"text{separator}label\nthe film{separator}0\n");
        Assert.That(LoraProgram.Succeed("tokenize", "--input", data, "--separator", given).Output,
            Does.StartWith("[CLS] the film [SEP]"));
    }

    [TestCase("--separator", "::", "--separator is '::'; expected one ASCII character")]
    [TestCase("--separator", "\"", "--separator is '\"'; expected one ASCII character")]
    [TestCase("--quoting", "minimal", "--quoting is 'minimal'; expected none or standard.")]
    public void What_is_no_format_is_refused(string option, string value, string expected) => Assert.That(
        LoraProgram.Refuse("tokenize", "--input", task.Data, option, value).Errors, Does.Contain(expected));

    [Test]
    public void What_is_decided_about_a_file_is_said_with_the_option_that_decides_otherwise()
    {
        var data = task.Write("stray.tsv", "text\tlabel\n\"the film\t0\nthe plot\"\t1\n");
        var result = LoraProgram.Succeed("tokenize", "--input", data);
        Assert.That(result.Lines, Has.Length.EqualTo(4));
        Assert.That(result.Errors, Does.StartWith($"note: {data}: quotes are read as characters: line 2 would become "
            + "one row with the lines to 3. If they are marks around fields: --quoting standard."));
        Assert.That(LoraProgram.Succeed("tokenize", "--input", data, "--quoting", "standard").Lines,
            Has.Length.EqualTo(2));
    }

    [Test]
    public void Texts_without_words_are_answered_and_not_trained_on()
    {
        var data = task.Write("gaps.csv", TinyTask.Reviews(40, 2) + ",neg\nthe film,pos\n  ,pos\n");
        var ids = LoraProgram.Succeed("tokenize", "--vocab", task["vocab.txt"], "--input", data, "--json").Lines
            .Select(line => JsonDocument.Parse(line).RootElement.GetProperty("ids").GetArrayLength()).ToArray();
        Assert.That(ids[40..], Is.EqualTo(new[] { 2, 4, 2 }), "[CLS] and [SEP]");
        Assert.That(LoraProgram.Succeed("predict", "--model", task.Model, "--input", data).Lines,
            Has.Length.EqualTo(43));
        Assert.That(LoraProgram.Succeed("predict", "--model", task.Model, "--text", "").Lines, Has.Length.EqualTo(1));
        foreach (var command in (string[])["train", "compare --rank 4", "evaluate", "pretrain --max-length 8"])
        {
            string[] words = [.. command.Split(' '), "--model", task.Model, "--data", data];
            string[] output = command == "evaluate" ? [] : ["--out", task[$"gaps-{words[0]}"]];
            Assert.That(LoraProgram.Refuse([.. words, .. output]).Errors, Does.Contain(
                $"{data}, line 42: 'text' is empty; line 44: 'text' is blank. Complete or remove these 2 rows; "
                + "--empty skip leaves them out."));
            if (command is "train" or "evaluate")
            {
                var skipped = LoraProgram.Succeed([.. words, .. output, "--empty", "skip"]);
                Assert.That(skipped.Errors, Does.Contain($"{data}: 2 rows without a text left out: line 42, line 44")
                    .And.Contain("41 examples (neg 20, pos 21)"));
            }
        }
    }

    [Test]
    public void Texts_that_are_cut_are_counted_in_every_command()
    {
        string[] model = ["--model", task.Model, "--data", task.Data, "--max-length", "5"];
        Assert.That(LoraProgram.Succeed(["train", .. model, "--validation", "0.25", "--max-steps", "1", "--out",
            task["cut"]]).Errors, Does.Contain(", 60 texts cut) to train, 20 to validate, 20 texts cut; "));
        const string AllCut = "80 of 80 texts cut at 5 tokens\n";
        Assert.That(LoraProgram.Succeed(["evaluate", .. model]).Errors, Does.Contain(AllCut));
        var evaluation = LoraProgram.Succeed(["evaluate", .. model, "--json"]).Output;
        Assert.That(JsonDocument.Parse(evaluation).RootElement.GetProperty("truncated").GetInt32(), Is.EqualTo(80));
        Assert.That(LoraProgram.Succeed(["quantize", .. model, "--calibration", task.Data, "--group-size", "16",
            "--out", task["cut-int4"]]).Errors, Does.Contain(AllCut).And.Match(@" tokens, \d+ texts cut\n"));
        Assert.That(LoraProgram.Succeed(["sweep", .. model, "--ranks", "2", "--alphas", "2", "--max-steps", "1",
            "--out", task["cut-sweep"]]).Errors, Does.Match(
                @"tokens, \d+ texts cut\) to train, \d+ to validate, \d+ texts cut, \d+ to test, \d+ texts cut;"));
        var prediction = LoraProgram.Succeed("predict", "--model", task.Model, "--input", task.Data, "--max-length",
            "5", "--json");
        Assert.That(prediction.Errors, Does.Contain(AllCut));
        Assert.That(prediction.Lines, Has.All.Contains("\"truncated\":true"));
        Assert.That(LoraProgram.Succeed("predict", "--model", task.Model, "--input", task.Data, "--json").Lines,
            Has.All.Contains("\"truncated\":false"));
        Assert.That(LoraProgram.Succeed("tokenize", "--input", task.Data, "--vocab", task["vocab.txt"], "--max-length",
            "5").Errors, Is.EqualTo(AllCut));
    }

    [Test]
    public void A_tokenizer_that_keeps_the_end_is_kept_with_the_model()
    {
        using var folder = new TemporaryFolder();
        foreach (var name in (string[])["config.json", "model.safetensors", "vocab.txt"])
        {
            File.Copy(Path.Combine(task.Model, name), Path.Combine(folder.Root, name));
        }
        folder.Write("tokenizer_config.json", """{"truncation_side": "left", "model_max_length": 5}""");
        LoraProgram.Succeed("train", "--model", folder.Root, "--data", task.Data, "--method", "last-layers",
            "--max-steps", "1", "--out", task["kept"]);
        foreach (var path in (string[])[folder.Root, task["kept"], Path.Combine(task["kept"], "tokenizer.json")])
        {
            Assert.That(LoraProgram.Succeed("tokenize", "--vocab", path, "--text", "the film was very boring").Output,
                Is.EqualTo("[CLS] was very boring [SEP]\n2 15 21 10 3\n(cut at 5 tokens)\n"), path);
        }
        Assert.That(LoraProgram.Succeed("predict", "--model", folder.Root, "--text", "the film was very boring",
            "--json").Logits, Is.EqualTo(LoraProgram.Succeed("predict", "--model", folder.Root, "--text",
                "was very boring", "--json").Logits));
    }

    [Test]
    public void A_model_without_a_head_takes_the_labels_of_the_data_unless_they_are_its_configs()
    {
        var headless = task["headless"];
        HeadlessModel.Write(task, headless);
        File.WriteAllText(Path.Combine(headless, "config.json"),
            TinyTask.Config(24, ", \"id2label\": {\"0\": \"bad\", \"1\": \"mixed\", \"2\": \"good\"}"));
        string Train(string name, string negative, string positive)
        {
            var data = task.Write($"{name}.csv", TinyTask.Reviews(40, 2, negative, positive));
            return LoraProgram.Succeed("train", "--model", headless, "--data", data, "--max-steps", "1", "--out",
                task[name]).Errors;
        }
        string[] Labels(string name) => [.. JsonDocument.Parse(File.ReadAllText(Path.Combine(task[name],
            "training.json"))).RootElement.GetProperty("labels").EnumerateArray().Select(label => label.GetString()!)];

        Assert.That(Train("names", "bad", "good"), Does.Not.Contain("labels of the data"));
        Assert.That(Labels("names"), Is.EqualTo(new[] { "bad", "mixed", "good" }));
        Train("numbers", "0.0", "2.0");
        Assert.That(Labels("numbers"), Is.EqualTo(new[] { "bad", "mixed", "good" }));
        Assert.That(Train("topics", "place", "opinion"),
            Does.Contain("names the classes bad, mixed, good, of which the data have none: the new head is for "));
        Assert.That(Labels("topics"), Is.EqualTo(new[] { "opinion", "place" }));
    }

    /// <summary>Files of labels as people bring them, on a model without a head.</summary>
    [TestCase("text,label\nthe film,0\nthe plot,0\n", "0")]
    [TestCase("text,label\nthe film,1\n", "1")]
    public void One_class_is_refused_by_the_name_of_its_file(string content, string label)
    {
        var headless = task["for-one-class"];
        if (!Directory.Exists(headless))
        {
            HeadlessModel.Write(task, headless);
        }
        Assert.That(LoraProgram.Refuse("train", "--model", headless, "--data", task.Write("one.csv", content),
            "--validation", "0", "--epochs", "1", "--out", task["none"]).Errors,
            Does.Contain($"one.csv: all labels of the column 'label' are '{label}'"));
    }
}
