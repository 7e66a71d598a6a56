using System.Text.Json;

namespace LoraScratch.Tests.Cli;

/// <summary>What 'lora evaluate' says about probabilities and thresholds.</summary>
public sealed class CalibrationCommandTests
{
    [Test]
    public void Evaluation_says_what_the_answers_of_predict_give_when_they_are_counted()
    {
        using var task = new TinyTask();
        var rows = File.ReadAllLines(task.Data)[1..].Select(row => row.Split(',')[1]);
        var answers = LoraProgram.Succeed("predict", "--model", task.Model, "--input", task.Data, "--json").Lines
            .Select(line => JsonDocument.Parse(line).RootElement)
            .Select(answer => (Label: answer.GetProperty("label").GetString(),
                Probability: answer.GetProperty("probabilities").EnumerateArray().Max(p => p.GetDouble())))
            .Zip(rows, (answer, label) => (answer.Probability, IsRight: answer.Label == label)).ToList();
        var error = answers.GroupBy(answer => Math.Ceiling(answer.Probability * 10)).Sum(bin => Math.Abs(
            bin.Sum(answer => answer.Probability) - bin.Count(answer => answer.IsRight))) / answers.Count;

        var picture = task["calibration.svg"];
        string[] evaluate = ["evaluate", "--model", task.Model, "--data", task.Data];
        using var json = JsonDocument.Parse(
            LoraProgram.Succeed([.. evaluate, "--json", "--reliability", picture]).Output);
        var found = json.RootElement.GetProperty("calibration");
        Assert.That(found.GetProperty("expected_error").GetDouble(), Is.EqualTo(error).Within(1e-9));
        foreach (var cost in found.GetProperty("thresholds").EnumerateArray())
        {
            var threshold = cost.GetProperty("threshold").GetDouble();
            var given = answers.Where(answer => answer.Probability >= threshold).ToList();
            Assert.That(cost.GetProperty("answered").GetInt32(), Is.EqualTo(given.Count));
            if (given.Count > 0)
            {
                Assert.That(cost.GetProperty("accuracy").GetDouble(),
                    Is.EqualTo(given.Average(answer => answer.IsRight ? 1 : 0)).Within(1e-12));
            }
        }
        Assert.That(File.ReadAllText(picture), Does.StartWith("<svg").And.Contain("this model, ECE ")
            .And.Contain(" answers of ").And.EndWith("</svg>\n"));
        Assert.That(LoraProgram.Refuse([.. evaluate, "--reliability", picture]).Errors, Does.Contain("exists already"));
        Assert.That(LoraProgram.Refuse([.. evaluate, "--reliability", task["a.png"]]).Errors,
            Does.Contain("a file that ends with .svg"));

        var shown = LoraProgram.Succeed([.. evaluate, "--reliability", picture, "--overwrite"]).Output;
        Assert.That(shown, Does.Contain("\nexpected calibration error ").And.Contain("\nthreshold ")
            .And.Match(@"\n0\.95 +\d+ +\d+\.\d\d % +\d+\.\d\d %\n|\n0\.95 +0 +0\.00 % +-\n"));
        Assert.That(shown.Split('\n'), Has.All.Length.LessThanOrEqualTo(80));
    }
}
