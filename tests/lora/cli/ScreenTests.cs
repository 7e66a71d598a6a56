using LoraScratch.Cli;
using LoraScratch.Cli.Tables;
using LoraScratch.Lora;
using Spectre.Console;
using Columns = LoraScratch.Cli.Columns;

namespace LoraScratch.Tests.Cli;

/// <summary>
/// What is printed fits a screen of 80 columns. Left to the terminal to wrap are sentences (notes,
/// errors, what was done), paths and commands to copy: these must stay in one piece.
/// </summary>
public class ScreenTests
{
    [TestCase("abc", 3)]
    [TestCase("日本語", 6)]
    [TestCase("e\u0301", 1, Description = "an accent of its own")]
    [TestCase("👍", 2)]
    public void Letters_take_the_columns_that_a_terminal_gives_them(string text, int columns)
    {
        Assert.That(Columns.Of(text), Is.EqualTo(columns));
        Assert.That(Columns.Of(Columns.Left(text, 8)), Is.EqualTo(8));
        Assert.That(Columns.Of(Columns.Right(text + text + text + text, 5)), Is.EqualTo(5), "shortened with …");
    }

    [Test]
    public void A_confusion_matrix_of_long_names_has_numbers_above_it()
    {
        string[] labels = ["Technical issues with the mobile application", "Billing",
            "請求書についての質問です", "Login",
            "Returns", "Shipping"];
        var lines = Confusion(labels, (i, j) => i == j ? 12_345 : i + j);
        Assert.That(lines[0], Does.Match(@"^true \\ predicted +1 +2 +3 +4 +5 +6$"));
        Assert.That(lines[1], Does.Match(@"^1 Technical issues.*… +12,345 +1 +2 +3 +4 +5$"));
        Assert.That(lines.Skip(1).Select(Columns.Of), Is.All.EqualTo(Columns.Of(lines[0])),
            "columns stand under each other");
        Assert.That(lines.Max(Columns.Of), Is.LessThanOrEqualTo(80));
    }

    [Test]
    public void Of_many_classes_the_most_frequent_confusions_are_listed()
    {
        var lines = Confusion([.. Enumerable.Range(0, 77).Select(i => $"a class with quite a long name, number {i}")],
            (i, j) => i == j ? 40 : i == 3 && j == 5 ? 9 : j == i + 1 ? 1 : 0);
        Assert.That(lines.Max(Columns.Of), Is.LessThanOrEqualTo(80));
        Assert.That(lines[0], Does.StartWith("77 classes: too many"));
        Assert.That(lines[2], Does.EndWith("  9"));
        Assert.That(lines[^1], Is.EqualTo("and 57 other pairs with 57 examples"),
            "76 pairs of neighbours, and 3 for 5, less 20");
    }

    [Test]
    public void A_small_confusion_matrix_has_the_names_on_both_sides() => Assert.That(Confusion(["neg", "pos"],
        (i, j) => i == j ? 30 : 2), Is.EqualTo(new[]
        {
            "true \\ predicted         neg       pos",
            "neg                       30         2",
            "pos                        2        30",
        }));

    [TestCase(4)]
    [TestCase(24)]
    public void Numbers_of_layers_stand_under_the_path_that_they_have_in_common(int layers)
    {
        var output = new StringWriter();
        LayerTable.Print(output, ["W", "rank", "|W|", "|ΔW|", "error", "error/|ΔW|", "energy kept"],
            [.. Enumerable.Range(0, layers).Select(i => ($"roberta.encoder.layer.{i}.attention.output.dense",
                (IReadOnlyList<string>)["[4096, 1024]", "256", "1234.5", "12.345", "0.12345", "0.123456", "100.00 %"])),
                ("classifier", ["[2, 768]", "2", "1", "1", "0", "0.000000", "100.00 %"])], ("together", ["", "", "",
                    "1", "1", "1", "1 %"]));
        var lines = output.ToString().TrimEnd('\n').Split('\n');
        Assert.That(lines.Max(Columns.Of), Is.LessThanOrEqualTo(80));
        Assert.That(lines[1], Is.EqualTo($"roberta.encoder.layer.{{0-{layers - 1}}}.attention.output.dense"));
        Assert.That(lines, Has.Length.EqualTo(layers + 4), "header, path, a row each, the classifier, the sum");
    }

    [Test]
    public void Paths_are_folded_by_the_number_of_the_layer_alone()
    {
        string[] paths = ["embeddings", "layer.0.query", "layer.0.value", "layer.1.query", "layer.1.value",
            "layer.3.query", "layer.10.query", "head.4"];
        Assert.That(FoldedPaths.Fold(paths, path => path).Select(folded => folded.Path), Is.EqualTo(new[]
        {
            "embeddings", "layer.{0-1,3,10}.query", "layer.{0-1}.value", "head.4",
        }));
        Assert.That(FoldedPaths.Fold(paths, path => path, path => path.Contains(".1.")).Select(folded => folded.Path),
            Does.Contain("layer.{0,3,10}.query").And.Contain("layer.1.query"), "those that differ stand alone");
    }

    [Test]
    public void The_table_of_methods_is_broken_into_tables_and_no_number_is()
    {
        var output = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Ansi = AnsiSupport.No,
            Out = new
            AnsiConsoleOutput(output)
        });
        console.Profile.Width = 80;
        console.Write(MethodTable.Create("3 seeds: mean ± standard deviation",
            [new Outcome("LoRA (embeddings, query, key, value, projection, mlp)"), new Outcome("all layers")],
            ("tokens/s", _ => "123,456"), ("learning rate", _ => "5e-4"), ("LoRA trains", _ => "about as many"),
            ("bytes in training", _ => "123.4 MiB"), ("deployed", _ => "12.0 MiB")));
        var lines = output.ToString().Split('\n');
        Assert.That(lines.Max(line => Columns.Of(line.TrimEnd())), Is.LessThanOrEqualTo(80));
        var text = output.ToString().Replace('\u00a0', ' ');
        foreach (var whole in (string[])["88.00 ± 1.00 %", "66,955,010", "about as many", "123.4 MiB", "101.0 ± 1.0"])
        {
            Assert.That(text, Does.Contain(whole));
        }
    }

    [Test]
    public void What_the_commands_print_fits_the_screen()
    {
        using var task = new TinyTask();
        string[] withPaths = [task.Root, "lora predict", "metadata "];
        foreach (var args in (string[][])[["inspect", task.Model], ["inspect", task.Adapter],
            ["inspect", Path.Combine(task.Adapter, "adapter_model.safetensors")], ["inspect", task.Model, "--adapter",
                task.Adapter],
            ["inspect"], ["evaluate", "--model", task.Model, "--data", task.Data], ["devices"], ["data", task.Data],
            ["truncate", "--adapter", task.Adapter], ["compress", "--model", task.Model],
            ["compare", "--model", task.Model, "--data", task.Data, "--lr", "1e-3", "--max-steps", "2", "--seeds", "2",
                "--out", task["c"]],
            ["sweep", "--model", task.Model, "--data", task.Data, "--runs", "2", "--max-steps", "2", "--out",
                task["s"]]])
        {
            var result = LoraProgram.Succeed(args);
            Assert.That(result.Output.Split('\n').Where(line => Columns.Of(line) > 80
                && !withPaths.Any(path => line.Contains(path, StringComparison.Ordinal))), Is.Empty, string.Join(' ',
                    args));
            Assert.That(result.Output + result.Errors, Does.Not.Contain('\r').And.Not.Contain('\u001b'));
        }
        var plan = LoraProgram.Succeed("train", "--data", task.Data, "--max-steps", "1", "--max-length", "16", "--out",
            task["t"])
            .Errors.Split('\n').TakeWhile(line => !line.StartsWith("trainable:")).Skip(1).ToArray();
        Assert.That(plan, Has.Some.Matches(@"\.\{0-\d+\}\.attention\.").And.Some.StartsWith("    W ["));
        Assert.That(plan.Where(line => line.StartsWith(' ') && Columns.Of(line) > 80), Is.Empty);
    }

    [Test]
    [NonParallelizable]
    public void A_dumb_terminal_and_NO_COLOR_get_plain_lines()
    {
        var (term, colour) = (Environment.GetEnvironmentVariable("TERM"),
            Environment.GetEnvironmentVariable("NO_COLOR"));
        try
        {
            Set("xterm-256color", null);
            Assert.That((Terminal.IsPlain(true), Terminal.IsPlain(false)), Is.EqualTo((true, false)));
            Set("dumb", null);
            Assert.That(Terminal.IsPlain(false), Is.True);
            Set("xterm-256color", "1");
            Assert.That(Terminal.IsPlain(false), Is.True);
            Set("xterm-256color", "");
            Assert.That(Terminal.IsPlain(false), Is.False, "no-color.org: an empty value does not count");
        }
        finally
        {
            Set(term, colour);
        }

        static void Set(string? term, string? colour)
        {
            Environment.SetEnvironmentVariable("TERM", term);
            Environment.SetEnvironmentVariable("NO_COLOR", colour);
        }
    }

    [Test]
    public void A_progress_line_leaves_nothing_of_an_older_one_behind()
    {
        var output = new StringWriter();
        var columns = 60;
        var line = new ProgressLine(output, () => columns);
        line.Show("step 1/20 loss 1.2345 a very long estimate of the time left", 0.05);
        line.Show("step 2/20", 0.1);
        Assert.That(Rows(output), Is.EqualTo(new[] { $"step 2/20  {new string('━', 2)}{new string('┄', 18)}" }));
        line.WriteLine("epoch 1");
        Assert.That(Rows(output), Is.EqualTo(new[] { "epoch 1", "" }));
        line.Show("step 3/20", 0.15);
        columns = 20;
        line.Show("step 20/20 loss 0.0001 1,234 tokens/s", 1);
        Assert.That(Rows(output)[1], Is.EqualTo("step 20/20 loss 0.…"), "one row, its last column free");
        line.End();
        line.End();
        Assert.That(Rows(output), Has.Length.EqualTo(3));
    }

    [Test]
    public void A_terminal_gets_sentences_that_are_broken_between_words()
    {
        using var bytes = new MemoryStream();
        using (var writer = new TerminalWriter(bytes, () => 20))
        {
            writer.WriteLine("a sentence of more than twenty columns");
            writer.WriteLine("  lora predict --adapter my-adapter");
            writer.WriteLine("short");
            writer.WriteLine("step 1/20  loss 0.1234  and more");
        }
        Assert.That(System.Text.Encoding.UTF8.GetString(bytes.ToArray()).Split('\n'), Is.EqualTo(new[]
        {
            "a sentence of more", "than twenty columns", "  lora predict --adapter my-adapter", "short",
            "step 1/20  loss 0.1234  and more", "",
        }));
    }

    /// <summary>
    /// What a terminal shows: a carriage return goes back, and letters replace others.
    /// </summary>
    private static string[] Rows(StringWriter output) => [.. output.ToString().Split('\n').Select(row =>
    {
        var cells = new List<char>();
        var at = 0;
        foreach (var letter in row)
        {
            if (letter == '\r')
            {
                at = 0;
                continue;
            }
            if (at == cells.Count)
            {
                cells.Add(letter);
            }
            cells[at++] = letter;
        }
        return string.Concat(cells).TrimEnd();
    })];

    private static string[] Confusion(string[] labels, Func<int, int, int> count)
    {
        var output = new StringWriter();
        ConfusionTable.Print([.. labels.Select((_, i) => (IReadOnlyList<int>)[.. labels.Select((_, j) => count(i,
            j))])],
            labels, output);
        return output.ToString().TrimEnd('\n').Split('\n');
    }

    private sealed record Outcome(string Name) : IMethodOutcome
    {
        public long TrainableParameters => 66_955_010;

        public IReadOnlyList<double> Train => [0.87, 0.88, 0.89];

        public IReadOnlyList<double> Validation => Train;

        public IReadOnlyList<double> Test => Train;

        public IReadOnlyList<double> Seconds => [100, 101, 102];
    }
}
