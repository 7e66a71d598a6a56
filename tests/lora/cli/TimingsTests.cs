using System.Globalization;

namespace LoraScratch.Tests.Cli;

/// <summary>predict --timings.</summary>
public class TimingsTests
{
    [Test]
    public void Every_stage_has_its_time_and_standard_output_is_as_without()
    {
        using var task = new TinyTask();
        string[] command = ["predict", "--model", task.Model, "--adapter", task.Adapter, "--text", "superb"];
        var (without, with) = (LoraProgram.Call(command), LoraProgram.Call([.. command, "--timings"]));

        Assert.That(with.Output, Is.EqualTo(without.Output));
        Assert.That(without.Errors, Is.Empty);
        var times = with.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries).ToDictionary(
            line => line[..^3].TrimEnd().TrimEnd([.. "0123456789."]).TrimEnd(),
            line => double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2],
                CultureInfo.InvariantCulture));
        string[] stages = ["start the runtime, read the command line", "read tokenizer", "read weights", "read adapter",
            "predict", "everything else"];
        Assert.That(times.Keys, Is.SupersetOf(stages.Append("together")));
        Assert.That(stages.Sum(stage => times[stage]), Is.EqualTo(times["together"]).Within(0.5));
        Assert.That(stages.Select(stage => times[stage]), Is.All.GreaterThan(0));
    }
}
