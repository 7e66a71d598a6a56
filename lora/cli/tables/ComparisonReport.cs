using System.Globalization;
using System.Text;
using LoraScratch.Cli.Charts;
using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Experiments;
using LoraScratch.Lora.Training;
using Spectre.Console;

namespace LoraScratch.Cli.Tables;

/// <summary>
/// The outcome of a comparison: the table on the screen, and beside it results.json, results.csv
/// and curves.svg.
/// </summary>
internal sealed class ComparisonReport(ComparisonPlan plan, IReadOnlyList<ComparedMethod> methods)
{
    public const string JsonName = "results.json", CsvName = "results.csv", CurvesName = "curves.svg";

    private readonly Outcome[] outcomes =
        [.. methods.Select(method => new Outcome(method, MethodNames.Of(method.Method, plan.Base.Targets!)))];

    /// <summary>Writes the files and shows the table.</summary>
    public void Write(ExperimentFolder folder, IAnsiConsole console)
    {
        LossCurve[] curves =
            [.. outcomes.Select(outcome => outcome.Method.Runs[0].Curve with { Name = outcome.Name })];
        folder.Write(JsonName, new
        {
            seeds = plan.Seeds,
            learning_rates = plan.LearningRates,
            methods = outcomes.Select(ToJson)
        });
        folder.Write(CsvName, Csv());
        folder.Write(CurvesName, LossPicture.Draw($"Training, seed {plan.Base.Seed}", curves));

        console.WriteLine();
        (string, Func<Outcome, string>)[] bytes = plan.QuantizationAfter is null
            ? [] : [("bytes in training", outcome => Text.Bytes(outcome.First.TrainingBytes)),
                ("deployed", outcome => Text.Bytes(outcome.First.DeployedBytes))];
        console.Write(MethodTable.Create(plan.Seeds > 1
            ? $"{plan.Seeds} seeds: mean ± standard deviation" : $"Seed {plan.Base.Seed}", outcomes,
            [("tokens/s", outcome => Text.Count((long)outcome.TokensPerSecond)),
                ("learning rate", outcome => Rate(outcome.Method.LearningRate)),
                    ("LoRA trains", outcome => Ratio(outcome)), .. bytes]));
        console.WriteLine();
        if (LoRA is { TestQuantized.Count: > 0 } lora)
        {
            console.Profile.Out.Writer.WriteLine($"{lora.Name}, merged and then quantised "
                + $"({plan.QuantizationAfter}): test {Spread.Percent(lora.TestQuantized)}");
            console.WriteLine();
        }
        TerminalChart.Write(console, curves);
        console.WriteLine();
        console.Profile.Out.Writer.WriteLine($"In {folder.Path}: {JsonName}, {CsvName}, {CurvesName}; every run in "
            + $"{Path.GetFileName(folder.Runs)}.");
    }

    private Outcome? LoRA => outcomes.FirstOrDefault(outcome => outcome.Method.Method == TrainingMethod.LoRA);

    /// <summary>
    /// LoRA's parameters against those of a method; empty for LoRA itself, and without it.
    /// </summary>
    private string Ratio(Outcome outcome) =>
        LoRA is { } lora && outcome != lora
        ? MethodTable.Ratio(lora.TrainableParameters, outcome.TrainableParameters) : "";

    private object ToJson(Outcome outcome) => new
    {
        method = TrainingOptions.NameOf(outcome.Method.Method),
        name = outcome.Name,
        trainable_parameters = outcome.TrainableParameters,
        lora_trains = Ratio(outcome),
        learning_rate = outcome.Method.LearningRate,
        learning_rates_tried = outcome.Method.Tried
        .Select(tried => new { learning_rate = tried.LearningRate, validation = tried.Validation }),
        train = Summary(outcome.Train),
        validation = Summary(outcome.Validation),
        test = Summary(outcome.Test),
        test_quantized = outcome.TestQuantized.Count > 0 ? Summary(outcome.TestQuantized) : null,
        seconds = Summary(outcome.Seconds),
        tokens_per_second = outcome.TokensPerSecond,
        training_bytes = outcome.First.TrainingBytes,
        deployed_bytes = outcome.First.DeployedBytes,
        runs = outcome.Method.Runs.Select(run => run.Name),
    };

    private static object Summary(IReadOnlyList<double> values)
    {
        var (mean, deviation) = Spread.Of(values);
        return new { mean, deviation, by_seed = values };
    }

    private string Csv()
    {
        var csv = new StringBuilder("method,trainable_parameters,lora_trains,learning_rate,seeds,train,train_deviation,"
            + "validation,validation_deviation,test,test_deviation,test_quantized,test_quantized_deviation,seconds,"
            + "tokens_per_second,training_bytes,deployed_bytes\n");
        foreach (var outcome in outcomes)
        {
            var (train, validation, test) =
                (Spread.Of(outcome.Train), Spread.Of(outcome.Validation), Spread.Of(outcome.Test));
            (double Mean, double Deviation)? quantized = outcome.TestQuantized.Count > 0
                ? Spread.Of(outcome.TestQuantized) : null;
            csv.Append(CultureInfo.InvariantCulture,
                $"{TrainingOptions.NameOf(outcome.Method.Method)},{outcome.TrainableParameters},{Ratio(outcome)},"
                    + $"{Rate(outcome.Method.LearningRate)},{plan.Seeds},")
                .Append(CultureInfo.InvariantCulture,
                    $"{train.Mean},{train.Deviation},{validation.Mean},{validation.Deviation},{test.Mean},"
                        + $"{test.Deviation},{quantized?.Mean},{quantized?.Deviation},"
                        + $"{Spread.Of(outcome.Seconds).Mean:F1},{outcome.TokensPerSecond:F0},"
                        + $"{outcome.First.TrainingBytes},{outcome.First.DeployedBytes}\n");
        }
        return csv.ToString();
    }

    private static string Rate(float rate) => rate.ToString("0.###e0", CultureInfo.InvariantCulture);

    private sealed record Outcome(ComparedMethod Method, string Name) : IMethodOutcome
    {
        public long TrainableParameters => Method.TrainableParameters;

        public IReadOnlyList<double> Train => [.. Method.Runs.Select(run => run.Train!.Value)];

        public IReadOnlyList<double> Validation => [.. Method.Runs.Select(run => run.Validation)];

        public IReadOnlyList<double> Test => [.. Method.Runs.Select(run => run.Test!.Value)];

        public IReadOnlyList<double> Seconds => [.. Method.Runs.Select(run => run.Seconds)];

        public RunRecord First => Method.Runs[0];

        public double TokensPerSecond => Method.Runs.Average(run => run.TokensPerSecond);

        /// <summary>
        /// Of LoRA beside QA-LoRA: accuracies on the test examples when the merged weights are
        /// quantised.
        /// </summary>
        public IReadOnlyList<double> TestQuantized =>
            [.. Method.Runs.Select(run => run.TestQuantized).OfType<double>()];
    }
}
