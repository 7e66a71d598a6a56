using System.Diagnostics;
using System.Text.Json;

namespace LoraScratch.Tests.Cli;

/// <summary>lora predict --input -: every line is answered at once; and Ctrl-C.</summary>
public sealed class PredictLinesTests
{
    private TinyTask task = null!;

    [OneTimeSetUp]
    public void MakeTask() => task = new TinyTask();

    [OneTimeTearDown]
    public void DeleteFolder() => task.Dispose();

    [Test]
    public void A_line_is_answered_before_the_next_is_written()
    {
        string[] texts = ["the film was superb", "", "  ", "a boring plot", "{"];
        using var process = LoraProgram.Start(["predict", "--model", task.Model, "--input", "-", "--json"]);
        var errors = process.StandardError.ReadToEndAsync();
        foreach (var text in texts)
        {
            process.StandardInput.WriteLine(text);
            process.StandardInput.Flush();
            var line = process.StandardOutput.ReadLineAsync();
            Assert.That(line.Wait(TimeSpan.FromMinutes(1)), $"no answer to '{text}' while the input is open");
            Assert.That(Probabilities(line.Result!), Is.EqualTo(Probabilities(LoraProgram.Succeed("predict",
                "--model", task.Model, "--text", text, "--json").Output)));
        }
        process.StandardInput.Close();
        var ended = LoraProgram.Finish(process, process.StandardOutput.ReadToEndAsync(), errors);
        Assert.That(ended, Is.EqualTo(new ProgramResult(0, "", "")));

        static string Probabilities(string json) =>
            JsonDocument.Parse(json).RootElement.GetProperty("probabilities").GetRawText();
    }

    [Test]
    public void Lines_and_JSON_lines_are_told_apart_by_the_first_and_no_row_is_lost()
    {
        var json = LoraProgram.Run(["predict", "--model", task.Model, "--input", "-"],
            "\n{\"text\": \"superb\"}\n\n{\"text\": \"\"}\n{\"text\": 5}\n");
        Assert.That((json.Code, json.Lines.Length), Is.EqualTo((1, 4)), json.Errors);
        Assert.That(json.Errors, Does.Contain("standard input, line 5: 'text' should be a string"));
        Assert.That(json.Lines[2], Is.EqualTo(json.Lines[0]).And.EqualTo(json.Lines[3]), "the empty text, each time");
        var lines = LoraProgram.Run(["predict", "--model", task.Model, "--input", "-", "--input-format", "lines"],
            "{\"text\": \"superb\"}\r\nsuperb");
        Assert.That((lines.Code, lines.Lines.Length), Is.EqualTo((0, 2)), lines.Errors);
        Assert.That(LoraProgram.Refuse("predict", "--model", task.Model, "--text", "film", "--input-format",
            "jsonl").Errors, Does.Contain("it is for --input -"));
    }

    [Test]
    [Platform("Linux", Reason = "a test can send the signal of Ctrl-C to another process on Linux only")]
    public void Ctrl_C_leaves_no_half_file_and_says_so()
    {
        task.Write("many.csv", "text\n" + string.Concat(Enumerable.Repeat("the film was superb and very lovely\n",
            100_000)));
        using var process = LoraProgram.Start(["predict", "--model", task.Model, "--input", "many.csv", "--out",
            "answers.csv", "--threads", "1"], task.Root);
        var (output, errors) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        var clock = Stopwatch.StartNew();
        while (!Directory.GetFiles(task.Root, ".answers.csv.*.tmp")
            .Any(half => new FileInfo(half) is { Exists: true, Length: > 0 }))
        {
            Assert.That(process.HasExited || clock.Elapsed > TimeSpan.FromMinutes(1), Is.False, "nothing is written");
            Thread.Sleep(5);
        }
        LoraProgram.Signal(process, "INT");
        var stopped = LoraProgram.Finish(process, output, errors);
        Assert.That((stopped.Code, stopped.Output), Is.EqualTo((130, "")));
        Assert.That(stopped.Errors, Does.EndWith("Stopped; nothing was written.\n"));
        Assert.That(Directory.GetFiles(task.Root, "*answers.csv*"), Is.Empty);
    }
}
