using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;
using LoraScratch.Lora.Training;

namespace LoraScratch.Tests.Lora;

public class PretrainingTests
{
    private static readonly WordPieceTokenizer Tokenizer = WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary);

    private static readonly TrainingOptions Options =
        new()
        {
            Method = TrainingMethod.Full,
            Epochs = 3,
            BatchSize = 4,
            Accumulate = 2,
            LearningRate = 5e-3f,
            MaxLength = 12,
            Seed = 5
        };

    private static readonly PretrainingData Data =
        new(TinyDistilBert.Sentences(26, 1), TinyDistilBert.Sentences(12, 2), 26, 12);

    [Test]
    public void A_saved_model_is_gone_on_with_bit_for_bit()
    {
        using var folder = new TemporaryFolder();
        var model = new EncoderForMaskedLM(TinyDistilBert.Config, seed: 3);
        ModelFolder.SaveInto(folder.Root, model, Tokenizer);
        var loaded = ModelFolder.LoadMaskedLM(folder.Root, seed: 4);
        Assert.That(loaded.Notices(), Is.Empty);
        foreach (var (ours, theirs) in loaded.Model.NamedParameters().Zip(model.NamedParameters()))
        {
            Assert.That(ours.Parameter.ToArray(), Is.EqualTo(theirs.Parameter.ToArray()), ours.Path);
        }
    }

    [Test]
    public void The_gradients_are_numeric_ones_also_where_the_word_table_is_read_twice()
    {
        var model = Model(dropout: 0);
        using var tokens = PackedTokens.From(TinyDistilBert.Texts);
        using var places = new SequenceRows([1, 3, 6, 9, 16], tokens.Offsets);
        // The upstream reaches the table from both sides: rows 7, 11 … are looked up, and every row is compared with.
        var checkedOnes = model.NamedParameters()
            .Where(entry => entry.Path.Contains("word_embeddings")
                || entry.Path.StartsWith("vocab_", StringComparison.Ordinal))
                .Select(entry => (entry.Path, (Tensor)entry.Parameter)).ToList();
        Assert.That(checkedOnes.Select(entry => entry.Path), Is.EqualTo(new[]
        {
            "distilbert.embeddings.word_embeddings.weight", "vocab_transform.weight", "vocab_transform.bias",
            "vocab_layer_norm.weight", "vocab_layer_norm.bias", "vocab_projector.bias",
        }));
        var report = GradientCheck.Run(() => model.Forward(tokens, places), checkedOnes);
        Assert.That(report.Passed, report.ToString());
    }

    [Test]
    public void The_word_tables_gradient_is_the_sum_of_its_two_shares()
    {
        var model = Model(dropout: 0);
        var table = model.NamedParameters()
            .First(entry => entry.Path.EndsWith("word_embeddings.weight", StringComparison.Ordinal)).Parameter;
        using var tokens = PackedTokens.From([[2, 7, 29, 11, 3]]);
        using var places = new SequenceRows([2], tokens.Offsets);
        using var labels = new Indices([9]);
        model.Forward(tokens, places).CrossEntropy(labels).Backward();
        var gradient = table.Gradient!.ToArray().Chunk(12).Select(row => row.Sum(Math.Abs)).ToArray();
        Assert.That(gradient, Has.All.GreaterThan(0), "every word is compared with");
        // A word that is not in the text has d = softmax · h: in proportion for any two of them. One that is looked up
        // has another share.
        var rows = table.Gradient!.ToArray().Chunk(12).ToArray();
        Assert.That(Cosine(rows[13], rows[14]), Is.EqualTo(1).Within(1e-5));
        Assert.That(Math.Abs(Cosine(rows[13], rows[7])), Is.LessThan(0.99));

        static double Cosine(float[] x, float[] y) =>
            x.Zip(y, (a, b) => (double)a * b).Sum() / Math.Sqrt(x.Sum(a => (double)a * a) * y.Sum(b => (double)b * b));
    }

    [Test]
    public void It_learns_to_look_at_the_other_words()
    {
        // Every sentence repeats one of 25 words: who looks at the others knows it, who does not has a loss of ln 25 =
        // 3.2.
        var random = new RandomStream(1);
        EncodedExample[] sentences =
            [.. Enumerable.Range(0, 500)
                .Select(_ => new EncodedExample([2, .. Enumerable.Repeat(5 + random.NextBelow(25), 6), 3],
                    TextExample.NoLabel))];
        var data = new PretrainingData(sentences[..400], sentences[400..], 400, 100);
        var pretraining = Pretraining.Start(Model(), new TokenMasking(Tokenizer), data,
            Options with { Epochs = 8, BatchSize = 32, Accumulate = 1, LearningRate = 1e-2f });
        var before = pretraining.Evaluate(data.Validation);
        var result = pretraining.Training.Run();
        Assert.That(before.Loss, Is.GreaterThan(3));
        Assert.That(result.Validations[^1].Validation!.Loss, Is.LessThan(1.5));
        Assert.That(pretraining.Evaluate(data.Validation) with { Seconds = 0 },
            Is.EqualTo(result.Best! with { Seconds = 0 }), "the same masks each time, and the best state is kept");
    }

    [Test]
    public void Batches_that_are_added_up_weigh_by_their_masked_tokens()
    {
        var losses = new List<float>();
        foreach (var (size, accumulate) in ((int, int)[])[(26, 1), (5, 6)])
        {
            losses.Add(Pretraining.Start(Model(dropout: 0), new TokenMasking(Tokenizer), Data,
                Options with { BatchSize = size, Accumulate = accumulate, MaxSteps = 1 })
                .Training.Run().Metrics[0].Loss);
        }
        Assert.That(losses[1], Is.EqualTo(losses[0]).Within(1e-5));
    }

    [Test]
    public void Stopped_after_any_step_it_ends_with_the_same_bits()
    {
        using var folder = new TemporaryFolder();
        var whole = Run();
        for (var step = 1; step <= whole.Result.Steps; step++)
        {
            Assert.That(Run(new CheckpointOptions(folder.File("run")), step).Result.Steps, Is.EqualTo(step));
            var resumed = Run(new CheckpointOptions(folder.File("run"), Resume: true));
            Assert.That(resumed.Bits, Is.EqualTo(whole.Bits), $"stopped after step {step}");
            Assert.That(resumed.Result.Metrics.Select(metrics => metrics.Loss),
                Is.EqualTo(whole.Result.Metrics.Select(metrics => metrics.Loss)));
            File.Delete(folder.File("run"));
        }
        Run(new CheckpointOptions(folder.File("run")), 2);
        Assert.That(() => Run(new CheckpointOptions(folder.File("run"), Resume: true), wholeWords: true),
            Throws.TypeOf<InputException>().With.Message.Contains("option 'whole-words' was false and is true now"));
    }

    [Test]
    public void An_estimate_changes_nothing()
    {
        var (first, second) = (Model(), Model());
        var (plain, estimated) =
            (Pretraining.Start(first, new TokenMasking(Tokenizer), Data, Options),
                Pretraining.Start(second, new TokenMasking(Tokenizer), Data, Options));
        var estimate = estimated.Training.Estimate();
        Assert.That(estimate.Steps, Is.EqualTo(12));
        Assert.That(estimate.Seconds, Is.EqualTo(3 * Data.Tokens / estimate.TokensPerSecond).Within(0.1).Percent);
        plain.Training.Run();
        estimated.Training.Run();
        Assert.That(Bits(second), Is.EqualTo(Bits(first)));
    }

    [Test]
    public void Texts_are_cut_between_words_and_nothing_is_lost()
    {
        var tokenizer = WordPieceTokenizer.FromVocabulary(
            ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##c"]);
        var random = new RandomStream(1);
        for (var round = 0; round < 100; round++)
        {
            var text = string.Join(' ',
                Enumerable.Range(0, 1 + random.NextBelow(40))
                    .Select(_ => "ab"[random.NextBelow(2)] + new string('c', random.NextBelow(4))));
            var ids = tokenizer.EncodeIds(text, int.MaxValue);
            const int positions = 20;
            var cut = PretrainingData.Cut(ids, tokenizer, 8, positions);
            int[][] pieces = [.. cut.Select(piece => piece.TokenIds)];
            Assert.That(pieces, Has.All.Length.LessThanOrEqualTo(8).And.All.Length.GreaterThan(2));
            Assert.That(pieces.SelectMany(piece => piece[1..^1]), Is.EqualTo(ids[1..^1]));
            Assert.That(pieces.Any(piece => tokenizer.Continues(piece[1])), Is.False);
            var before = 0;
            foreach (var piece in cut)
            {
                var batch = PackedBatch.Of([piece]);
                Assert.That(batch.Positions[0], Is.Zero, "[CLS]");
                Assert.That(batch.Positions[1..],
                    Is.EqualTo(Enumerable.Range(before % (positions - 7) + 1, piece.TokenIds.Length - 1)),
                        "places in the text, which begin anew before they end");
                Assert.That(batch.Positions, Has.All.LessThan(positions));
                before += piece.TokenIds.Length - 2;
            }
        }
        Assert.That(PretrainingData.Cut(tokenizer.EncodeIds("accccccccc b", int.MaxValue), tokenizer, 8, 20)
            .Select(piece => piece.TokenIds.Length), Is.EqualTo(new[] { 8, 7 }), "a word longer than a piece");
    }

    [Test]
    public void Texts_are_laid_aside_whole_and_pieces_that_nobody_can_mask_left_out()
    {
        string[] texts = [.. Enumerable.Range(0, 40)
            .Select(i => string.Join(' ', Enumerable.Repeat($"w{(char)('a' + i % 25)}", 5 + i))), "unknown words only"];
        var data = PretrainingData.Prepare(texts, Tokenizer, new TokenMasking(Tokenizer), 24,
            Options with { Validation = 0.25 });
        Assert.That((data.TrainTexts, data.ValidationTexts), Is.EqualTo((31, 10)));
        Assert.That(data.Train.Concat(data.Validation).Sum(piece => piece.TokenIds.Length - 2),
            Is.EqualTo(Enumerable.Range(0, 40).Sum(i => 5 + i)));
        Assert.That(PretrainingData.Prepare(texts, Tokenizer, new TokenMasking(Tokenizer), 24,
            Options with { Validation = 0.25, Limit = 3 }).TrainTexts, Is.EqualTo(3));
        Assert.That(() => PretrainingData.Prepare(texts, Tokenizer, new TokenMasking(Tokenizer), 24,
            Options with { Validation = 0.001 }),
                Throws.TypeOf<InputException>().With.Message.Contains("Option 'validation' 0.001"));
    }

    private static EncoderForMaskedLM Model(float dropout = 0.1f) =>
        new(TinyDistilBert.Config with { Dropout = dropout, AttentionDropout = dropout, InitializerRange = 0.2f },
            seed: 3);

    private static (TrainingResult Result, int[] Bits) Run(CheckpointOptions? checkpoint = null,
        int stopAfter = int.MaxValue, bool wholeWords = false)
    {
        using var cancellation = new CancellationTokenSource();
        var model = Model();
        var pretraining = Pretraining.Start(model, new TokenMasking(Tokenizer, wholeWords), Data, Options);
        pretraining.Training.StepDone += step =>
        {
            if (step.Step == stopAfter)
            {
                cancellation.Cancel();
            }
        };
        return (pretraining.Training.Run(cancellation.Token, checkpoint), Bits(model));
    }

    private static int[] Bits(Module model) =>
        [.. model.Parameters().SelectMany(parameter => parameter.ToArray()).Select(BitConverter.SingleToInt32Bits)];
}
