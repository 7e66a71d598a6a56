using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Compression;
using LoraScratch.Lora.Experiments;
using LoraScratch.Lora.Merging;
using LoraScratch.Lora.Reporting;
using LoraScratch.Lora.Training;

namespace LoraScratch.BrowserTests;

/// <summary>Reports and spectra with everything in them that there can be.</summary>
internal static class ReportPages
{
    /// <summary>In texts, labels and names.</summary>
    public const string Hostile = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&amp; <!--";

    private static readonly string Hash = new('a', 64);

    /// <summary>The pages, made when they are asked for.</summary>
    public static IReadOnlyDictionary<string, Func<string>> All { get; } = new Dictionary<string, Func<string>>
    {
        ["report"] = () => new ReportPage(Report).Build(),
        ["run"] = () => new ReportPage(new([Curve("my-adapter", 1)], [Run("my-adapter", 3)], [], [])).Build(),
        ["spectrum"] = () => Spectrum(weight: true).Build(),
        ["spectrum-alone"] = () => Spectrum(weight: false).Build(),
    };

    private static ReportData Report => new(
        [Curve("my-adapter", 1), Curve($"other {Hostile}", 2)],
        [Run("my-adapter", 2), Run($"other {Hostile}", 26)],
        [new ReportedExperiment("comparison", [Method("LoRA (embeddings, query, key, value, projection, mlp)"),
            Method("all layers")], [.. Enumerable.Range(1, 60).Select(Record)])],
        [("merged", Certificate(0.002, 0.01)), ("merged-bf16", Certificate(0.31, 0.526))]);

    private static LossCurve Curve(string name, int seed) =>
        new(name, [.. Enumerable.Range(1, 120).Select(i => 0.7f / (1 + i / 40f) + 0.05f * MathF.Sin(seed * i))])
        {
            Validations = [.. Enumerable.Range(1, 3).Select(i => new ValidationPoint(40 * i, 0.7 / i, 0.6 + 0.1 * i))],
        };

    private static ReportedRun Run(string name, int classes)
    {
        var folder = Directory.CreateTempSubdirectory("lorascratch-report-");
        try
        {
            File.WriteAllText(Path.Combine(folder.FullName, "training.json"), TrainingJson);
            return new(name, RunSummary.Read(folder.FullName), Curve(name, 1)) { Answers = Answers(classes) };
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static string TrainingJson => JsonSerializer.Serialize(new
    {
        base_model = "lorascratch-base",
        options = new { method = "lora", rank = 8, targets = new[] { "query", "value" }, seed = 1 },
        labels = new[] { "neg", "pos" },
        trainable_parameters = 55_874,
        steps = 120,
        kept_step = 120,
        cancelled = false,
        seconds = 63.2,
        predicted = new
        {
            step_seconds = 60.1,
            device_memory = new
            {
                weights = 12_000_000,
                gradients = 220_000,
                optimizer = 440_000,
                activations = 21_000_000,
                workspace = 3_000_000,
            },
        },
        measured = new { step_seconds = 62.9, device_memory = 36_500_000 },
        provenance = new
        {
            format = 1,
            version = "0.1.0",
            runtime = ".NET 10.0.0",
            device = "CPU, AVX-512, 2 threads",
            arithmetic = "CPU, AVX-512, last block for the rows that are read",
            @base = Hash,
            data = new Dictionary<string, object>
            {
                ["to train on"] = new { count = 900, hash = Hash },
                ["laid aside for validation"] = new { count = 100, hash = Hash },
            },
            command = new[] { "--data", "reviews.csv" },
            result = new Dictionary<string, string> { ["adapter_model.safetensors"] = Hash },
        },
    });

    private static ReportedAnswers Answers(int classes)
    {
        string[] labels = [.. Enumerable.Range(0, classes).Select(i => i == 0 ? $"neg {Hostile}" : $"class {i}")];
        var counts = new EvaluationCounts(classes, isMultiLabel: false);
        for (var i = 0; i < 40 * classes; i++)
        {
            var logits = new float[classes];
            logits[(i % 7 == 0 ? i + 1 : i) % classes] = 3;
            counts.Add(new([1, 2, 3], i % classes), logits);
        }
        return new("test.csv", labels, counts.Result(1_000, 1),
        [
            new("line 12", $"Not what I expected, but I like it. {Hostile}", labels[0], labels[1], 0.991),
            new("line 13", string.Concat(Enumerable.Repeat("unbroken", 60)), labels[1], labels[0], 0.87),
        ]);
    }

    private static ReportedMethod Method(string name) => new(name, 3_006_722, 1e-3, new(0.8984, 0.01),
        new(0.846, 0.006), new(0.8525, 0.016), new(31.2, 0.4));

    private static RunRecord Record(int i) => new($"lora-lr1e-3-seed{i}", 55_874, 120, 100, 0.7 + 0.001 * i, 0.5, 31.2,
        [0.5f], Test: i % 2 == 0 ? 0.71 : null);

    private static MergeCertificate Certificate(double change, double erased) => new(MergeCertificate.CurrentFormat,
        "BF16", [.. Enumerable.Range(0, 12).Select(i => new LayerCertificate(
            $"distilbert.transformer.layer.{i}.attention.q_lin", 0.5, 30, i == 3 ? erased : 0.004, 0.06))],
        "32 random texts", change);

    private static SpectrumPage Spectrum(bool weight)
    {
        var random = new RandomStream(5);
        DenseMatrix Matrix(int rows, int columns, float deviation) =>
            DenseMatrix.From(random.Normal(rows * columns, deviation), rows, columns);
        LayerSpectrum[] layers = [.. Enumerable.Range(0, 6).Select(i => LayerSpectrum.Of(new UpdateSpectrum(
            $"distilbert.transformer.layer.{i / 2}.attention.{(i % 2 == 0 ? "q_lin" : "v_lin")}", 8, 2,
            SingularValueDecomposition.OfProduct(2 * Matrix(48, 8, 0.2f), Matrix(8, 48, 0.2f))),
            weight ? Matrix(48, 48, 0.2f) : null, 10))];
        return new SpectrumPage("my-adapter", layers,
            RankPattern.ForEnergy([.. layers.Select(layer => layer.Update)], 0.95), 0.95);
    }
}
