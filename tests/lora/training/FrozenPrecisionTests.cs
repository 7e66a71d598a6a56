using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;
using LoraScratch.Tests.Text;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// The output of frozen layers in half precision: half of the bytes, errors within bounds, and a
/// run of its own. That a run does not depend on where the output lies is tested with
/// <see cref="FrozenLayersTests"/>.
/// </summary>
[Parallelizable]
internal sealed class FrozenPrecisionTests
{
    private static readonly TrainingOptions Options =
        new() { Layers = ["1"], FrozenDropout = false, BatchSize = 6, Epochs = 3, LearningRate = 0.02f };

    [TestCase(DType.F16)]
    [TestCase(DType.BF16)]
    public void Rows_take_half_of_the_bytes_in_memory_and_in_the_file(DType type)
    {
        using var store = new RowStore(memoryBytes: 20, fileBytes: 8, type);
        float[][] rows = [[1 / 3f, -2.7182817f, 0], [1e-6f, 1, 2, 3, 4, 5], [-0f, 6e4f, float.NaN], [13, 14]];
        Assert.That(rows.Select((values, i) => store.Add(i, values)), Is.EqualTo(new[] { true, true, true, false }));
        Assert.That((store.MemoryBytes, store.FileBytes), Is.EqualTo((18L, 6L)));
        for (var i = 0; i < 3; i++)
        {
            var read = new float[rows[i].Length];
            Assert.That(store.TryRead(i, read));
            Assert.That(read, Is.EqualTo(rows[i].Select(value =>
                type == DType.F16 ? (float)(Half)value : (float)(BFloat16)value)), $"row {i}");
            var rounded = (float[])rows[i].Clone();
            RowStore.Round(rounded, type);
            Assert.That(rounded, Is.EqualTo(read), "as values are that no store keeps");
        }
    }

    [Test]
    public void A_value_that_half_precision_does_not_reach_is_refused_by_name()
    {
        using var store = new RowStore(100, 0, DType.F16);
        Assert.That(() => store.Add(0, [1, -70_000]), Throws.TypeOf<InputException>().With.Message.Contains("-70000")
            .And.Message.Contains("F16").And.Message.Contains("option 'FrozenPrecision' float32"));
        Assert.That(store.MemoryBytes, Is.Zero);
        var classifier = TinyDistilBert.Classifier();
        var norm = classifier.Model.NamedModules<LayerNorm>()
            .First(entry => entry.Path.EndsWith("layer.0.output_layer_norm", StringComparison.Ordinal)).Module;
        norm.Bias.Set([.. Enumerable.Repeat(1e5f, norm.Bias.Shape.Count)]);
        Assert.That(() => Start(classifier, Options with { FrozenPrecision = FrozenPrecision.Float16 }).Run(),
            Throws.TypeOf<InputException>().With.Message.Contains("option 'FrozenPrecision' float32"));
    }

    [Test]
    public void What_is_foretold_to_be_kept_is_half()
    {
        var half = Start(TinyDistilBert.Classifier(), Options with { FrozenPrecision = FrozenPrecision.Float16 });
        Assert.That(half.FrozenBytes, Is.EqualTo(Start(TinyDistilBert.Classifier(), Options).FrozenBytes / 2));
        using var kept = (KeptOutputs)half.Training.Task.Keep(half.Data.Train.Examples, null,
            half.Data.Validation!.Examples, default)!;
        Assert.That(kept.Store.MemoryBytes, Is.EqualTo(half.FrozenBytes));
    }

    [Test]
    public void A_run_goes_on_with_the_precision_that_it_began_with()
    {
        using var folder = new TemporaryFolder();
        var half = Options with { FrozenPrecision = FrozenPrecision.Float16 };
        Resume(half, half);
        foreach (var (first, second) in new[] { (Options, half), (half, Options) })
        {
            Assert.That(() => Resume(first, second), Throws.TypeOf<InputException>().With.Message.Contains(
                $"option 'frozen-precision' was {first.FrozenPrecision} and is {second.FrozenPrecision} now")
                .IgnoreCase);
        }

        void Resume(TrainingOptions first, TrainingOptions second)
        {
            var path = folder.File($"{Guid.NewGuid():N}");
            using var stop = new CancellationTokenSource();
            var begun = Start(TinyDistilBert.Classifier(), first);
            begun.Training.StepDone += step => { if (step.Step == 3) { stop.Cancel(); } };
            begun.Training.Run(stop.Token, new CheckpointOptions(path));
            var resumed = Start(TinyDistilBert.Classifier(), second).Training
                .Run(default, new CheckpointOptions(path, Resume: true));
            var whole = Start(TinyDistilBert.Classifier(), second).Run();
            Assert.That(resumed.Metrics.Select(step => step.Loss), Is.EqualTo(whole.Metrics.Select(step => step.Loss)));
        }
    }

    [Test]
    public void A_run_that_was_saved_before_there_was_a_choice_had_float32()
    {
        Identity(FrozenPrecision.Float32).RequireSame(Before(Identity(FrozenPrecision.Float32)), "old");
        var half = Identity(FrozenPrecision.Float16);
        Assert.That(() => half.RequireSame(Before(half), "old"),
            Throws.TypeOf<InputException>().With.Message
                .Contains("option 'frozen-precision' was float32 and is float16 now"));

        static RunIdentity Before(RunIdentity identity) => identity with
        {
            Options = identity.Options.Where(option => option.Key != "frozen-precision").ToDictionary(),
        };

        static RunIdentity Identity(FrozenPrecision precision)
        {
            var task = Start(TinyDistilBert.Classifier(), Options with { FrozenPrecision = precision }).Training.Task;
            return RunIdentity.Of(task.Model, task.Backend, task.OptionsByName());
        }
    }

    /// <summary>
    /// Rounding is off by 2⁻¹¹ of a value at most, of bfloat16 by 2⁻⁸; half of that on average,
    /// with both signs.
    /// </summary>
    [Test]
    public void Logits_and_gradients_are_those_of_float32_within_bounds()
    {
        var half = Errors(TinyDistilBert.Classifier(), TinyDistilBert.Sentences(24, seed: 5), 1, DType.F16);
        Assert.That(half.Logits, Is.LessThan(1e-3).And.GreaterThan(1e-6), "or nothing was rounded");
        Assert.That(half.Gradients, Is.LessThan(2e-3));
        var brain = Errors(TinyDistilBert.Classifier(), TinyDistilBert.Sentences(24, seed: 5), 1, DType.BF16);
        Assert.That(brain.Logits, Is.LessThan(1e-2).And.GreaterThan(2 * half.Logits));
        Assert.That(brain.Gradients, Is.LessThan(2e-2).And.GreaterThan(2 * half.Gradients));
    }

    [Test]
    public void So_are_those_of_a_published_encoder()
    {
        var folder = Path.GetDirectoryName(RealData.Path("minilm/model.safetensors"))!;
        string[] texts =
        [
            "One of the best films I have seen in years; the actors are wonderful throughout.",
            "A dull and predictable story. I left before the end, and so did half of the audience.",
            "It begins slowly, but whoever stays will be rewarded by the last twenty minutes of it.",
            "Neither funny nor sad: two hours of nothing.",
        ];
        foreach (var blocks in new[] { 4, 6 })
        {
            foreach (var (type, most) in new[] { (DType.F16, 5e-4), (DType.BF16, 5e-3) })
            {
                var classifier = TextClassifier.Load(folder, ["bad", "good"], seed: 1);
                EncodedExample[] examples =
                    [.. texts.Select((text, i) => new EncodedExample(classifier.Encode(text), i % 2))];
                var errors = Errors(classifier, examples, blocks, type);
                TestContext.Out.WriteLine($"{blocks} frozen layers in {type}: logits {errors.Logits:G3}, "
                    + $"gradients {errors.Gradients:G3}");
                Assert.That(errors.Logits, Is.LessThan(most));
                Assert.That(errors.Gradients, Is.LessThan(most));
            }
        }
    }

    /// <summary>
    /// How far logits and gradients are from those of a float32 store: |a − b|/|b|, the gradients
    /// of all parameters above the frozen layers as one vector.
    /// </summary>
    private static (double Logits, double Gradients) Errors(TextClassifier classifier, EncodedExample[] examples,
        int blocks, DType type)
    {
        var model = classifier.Model;
        model.Unfreeze();
        var (rounded, exact) = (Compute(type), Compute(DType.F32));
        return (Error(rounded.Logits, exact.Logits), Error(rounded.Gradients, exact.Gradients));

        (float[] Logits, float[] Gradients) Compute(DType type)
        {
            using var scope = new TensorScope();
            using var store = new RowStore(long.MaxValue, 0, type);
            int[] numbers = [.. Enumerable.Range(0, examples.Length)];
            var outputs = new FrozenOutputs(model, blocks, examples, store);
            outputs.Keep(numbers, default);
            using var tokens = new PackedTokens(PackedBatch.Of(examples));
            model.ZeroGradient();
            var logits = outputs.Logits(tokens, numbers);
            var values = logits.ToArray();
            logits.CrossEntropy(tokens.Labels).Backward();
            return (values, [.. model.Parameters().Where(parameter => parameter.Gradient is not null)
                .SelectMany(parameter => parameter.Gradient!.ToArray())]);
        }

        static double Error(float[] got, float[] expected) => Math.Sqrt(got.Zip(expected, (a, b) =>
            ((double)a - b) * ((double)a - b)).Sum() / expected.Sum(b => (double)b * b));
    }

    private static FineTuning Start(TextClassifier classifier, TrainingOptions options) => FineTuning.Start(classifier,
        TinyDistilBert.Sentences(24, seed: 5), TinyDistilBert.Sentences(9, seed: 6), options);
}
