using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// The last block computes the rows that are read, and a run does not notice. Products of fewer
/// rows sum in another order (a product of few rows has a kernel of its own), so that "the same"
/// is to rounding here.
/// </summary>
public class LastBlockTests
{
    private const double Rounding = 1e-6;

    private static readonly string[] AllLinear = ["query", "key", "value", "projection", "mlp"];

    private static IEnumerable<TestCaseData> Trainings()
    {
        yield return Case("LoRA on query and value", new() { Lora = Rank(0.2f) });
        yield return Case("LoRA on every linear layer", new() { Lora = Rank(0.2f), Targets = AllLinear });
        yield return Case("LoRA with every bias", new() { Lora = Rank(0) with { Bias = LoRABias.All } });
        yield return Case("QA-LoRA", new()
        {
            Method = TrainingMethod.QALoRA,
            Lora = Rank(0.2f),
            Targets = AllLinear,
            Quantization = new() { Format = new(4, 16) },
        });
        yield return Case("full fine-tuning", new() { Method = TrainingMethod.Full });
        yield return Case("the head alone", new() { Method = TrainingMethod.LastLayers });

        static LoRASettings Rank(float dropout) => new(2, 4, Dropout: dropout);
        static TestCaseData Case(string name, TrainingOptions options) =>
            // SGD: AdamW would make steps of full size of the rounding in gradients that are 0 (the biases of keys)
            new TestCaseData(options with
            {
                BatchSize = 5,
                MaxSteps = 6,
                Validation = 0,
                Optimizer = OptimizerKind.Sgd,
                LearningRate = 0.3f,
            }).SetArgDisplayNames(name);
    }

    [TestCaseSource(nameof(Trainings))]
    public void A_run_has_the_losses_and_weights_of_one_that_computes_every_token(TrainingOptions options)
    {
        var (losses, weights) = Train(options, everyToken: false);
        var (allLosses, allWeights) = Train(options, everyToken: true);
        Assert.That(losses, Is.EqualTo(allLosses).Within(Rounding));
        Assert.That(losses.Distinct().Count(), Is.EqualTo(losses.Count), "the steps move the loss");
        foreach (var (path, values) in weights)
        {
            Assert.That(values, Is.EqualTo(allWeights[path]).Within(Rounding), path);
        }
    }

    [TestCase(true)]
    [TestCase(false)]
    public void Every_gradient_is_the_same_with_and_without_dropout(bool train)
    {
        var (few, all) = (Gradients(train, everyToken: false), Gradients(train, everyToken: true));
        Assert.That(few.Keys, Is.EqualTo(all.Keys));
        foreach (var (path, gradient) in few)
        {
            var largest = Math.Max(all[path].Max(Math.Abs), 0.01f);
            Assert.That(gradient, Is.EqualTo(all[path]).Within(3 * Rounding * largest), path);
        }
    }

    [Test]
    public void Masked_tokens_are_guessed_alike([Values] bool train)
    {
        var (loss, gradients) = Guess(train, everyToken: false);
        var (allLoss, allGradients) = Guess(train, everyToken: true);
        Assert.That(loss, Is.EqualTo(allLoss).Within(Rounding));
        foreach (var (path, gradient) in gradients)
        {
            var largest = Math.Max(allGradients[path].Max(Math.Abs), 0.01f);
            Assert.That(gradient, Is.EqualTo(allGradients[path]).Within(3 * Rounding * largest), path);
        }
    }

    [Test]
    public void Predictions_are_the_same()
    {
        using var tokens = PackedTokens.From(TinyDistilBert.Texts);
        var model = TinyDistilBert.Create();
        var few = model.Forward(tokens).ToArray();
        model.ComputesEveryToken = true;
        Assert.That(few, Is.EqualTo(model.Forward(tokens).ToArray()).Within(Rounding));
    }

    [Test]
    public void Only_keys_and_values_of_the_last_block_see_every_token()
    {
        var model = TinyDistilBert.Create();
        using var tokens = PackedTokens.From(TinyDistilBert.Texts);
        var rows = RowsOf(model, () => model.Forward(tokens));
        const string Last = "distilbert.transformer.layer.1.";
        Assert.That(rows.Where(entry => entry.Value == tokens.Texts).Select(entry => entry.Key), Is.EquivalentTo(new[]
        {
            Last + "attention.q_lin", Last + "attention.out_lin", Last + "ffn.lin1", Last + "ffn.lin2",
            "pre_classifier", "classifier",
        }));
        Assert.That(rows.Where(entry => entry.Value != tokens.Texts).Select(entry => entry.Value),
            Has.All.EqualTo(tokens.Tokens).And.Exactly(8).Items);
    }

    [Test]
    public void A_step_multiplies_for_the_rows_that_are_read_only()
    {
        long Flops(bool everyToken)
        {
            var model = TinyDistilBert.Create();
            TinyDistilBert.Adapt(model);
            model.ComputesEveryToken = everyToken;
            using var tokens = PackedTokens.From(TinyDistilBert.Texts);
            using var labels = new Indices(TinyDistilBert.Labels);
            return Explain.Run(() => model.Forward(tokens).CrossEntropy(labels), []).Operations
                .Where(operation => operation.Name is nameof(Ops.Linear) or nameof(Ops.LinearPlusMatMul))
                .Sum(operation => operation.Flops);
        }

        const int Hidden = 12, Wide = 20;
        var (rows, read) = (TinyDistilBert.Texts.Sum(text => text.Length), TinyDistilBert.Texts.Length);
        Assert.That(Flops(everyToken: true) - Flops(everyToken: false),
            Is.EqualTo(2L * (rows - read) * (2 * Hidden * Hidden + 2 * Hidden * Wide)).Within(10).Percent);
    }

    /// <summary>
    /// Four vectors [CLS] say less of the inputs of a layer than all the tokens of the texts.
    /// </summary>
    [Test]
    public void Calibration_sees_every_token_of_the_last_block()
    {
        var classifier = TinyDistilBert.Classifier();
        var texts = TinyDistilBert.Sentences(4, seed: 2);
        var rows = RowsOf(classifier.Model, () => classifier.Run(texts));
        Assert.That(rows.Where(entry => entry.Key.Contains("layer.1")).Select(entry => entry.Value),
            Has.All.EqualTo(texts.Sum(text => text.TokenIds.Length)));
        Assert.That(classifier.Model.ComputesEveryToken, Is.False, "afterwards");
    }

    /// <summary>The rows that each linear layer of a model is given.</summary>
    private static Dictionary<string, int> RowsOf(Module model, Action run)
    {
        var rows = new Dictionary<string, int>();
        var places = model.NamedSubmodules().Where(entry => entry.Submodule.Current is Linear).ToList();
        foreach (var (path, submodule) in places)
        {
            submodule.Replace(new CountingLayer((Layer)submodule.Current, count => rows[path] = count));
        }
        run();
        return rows;
    }

    private static (List<float> Losses, Dictionary<string, float[]> Weights) Train(TrainingOptions options,
        bool everyToken)
    {
        var classifier = TinyDistilBert.ClassifierForGroups();
        classifier.Model.ComputesEveryToken = everyToken;
        var tuning = FineTuning.Start(classifier, TinyDistilBert.Sentences(24, seed: 5), null, options);
        classifier.Model.ComputesEveryToken = everyToken;               // a calibration ends with its own value
        var result = tuning.Run();
        return ([.. result.Metrics.Select(step => step.Loss)], classifier.Model.NamedParameters()
            .ToDictionary(entry => entry.Path, entry => entry.Parameter.ToArray()));
    }

    private static Dictionary<string, float[]> Gradients(bool train, bool everyToken)
    {
        var model = TinyDistilBert.Classifier(dropout: 0.3f).Model;
        model.ComputesEveryToken = everyToken;
        Prepare(model, train);
        using var tokens = PackedTokens.From(TinyDistilBert.Texts);
        using var labels = new Indices([0, 1, 1, 0]);
        model.Forward(tokens).CrossEntropy(labels).Backward();
        return GradientsOf(model);
    }

    private static (float Loss, Dictionary<string, float[]> Gradients) Guess(bool train, bool everyToken)
    {
        var model = new EncoderForMaskedLM(
            TinyDistilBert.Config with { Dropout = 0.3f, AttentionDropout = 0.3f, InitializerRange = 0.2f }, seed: 3)
        {
            ComputesEveryToken = everyToken,
        };
        Prepare(model, train);
        using var tokens = PackedTokens.From(TinyDistilBert.Texts);
        using var places = new SequenceRows([1, 3, 8, 9, 12, 17], tokens.Offsets);      // none of the second text
        using var labels = new Indices([4, 9, 7, 21, 5, 11]);
        var loss = model.Forward(tokens, places).CrossEntropy(labels);
        loss.Backward();
        return (loss.Item(), GradientsOf(model));
    }

    private static void Prepare(Module model, bool train)
    {
        if (train)
        {
            model.Train();
        }
        model.Unfreeze();
    }

    private static Dictionary<string, float[]> GradientsOf(Module model) =>
        model.NamedParameters().ToDictionary(entry => entry.Path, entry => entry.Parameter.Gradient!.ToArray());
}
