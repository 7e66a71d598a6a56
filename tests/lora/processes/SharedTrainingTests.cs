using LoraScratch.Engine;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Processes;
using LoraScratch.Lora.Training;

namespace LoraScratch.Tests.Lora.Processes;

/// <summary>
/// Several processes, here threads, train to the bits of one; and what one of them has otherwise is
/// refused.
/// </summary>
internal sealed class SharedTrainingTests
{
    private static IEnumerable<string> Names => SharedRuns.Kinds.Keys;

    [TestCaseSource(nameof(Names))]
    public void Any_number_of_processes_ends_with_the_same_bits(string name)
    {
        var alone = SharedRuns.Run(name, ProcessGroup.Alone);
        for (var processes = 2; processes <= 4; processes++)
        {
            Assert.That(ThreadGroup.Run(processes, group => SharedRuns.Run(name, group)), Has.All.EqualTo(alone),
                $"{processes} processes");
        }
        Assert.That(SharedRuns.Run(name, ProcessGroup.Alone, SharedRuns.Kinds[name] with { Seed = 6 }),
            Is.Not.EqualTo(alone), "or the hash shows nothing");
    }

    [Test]
    public void Micro_batches_have_the_gradients_of_the_batch()
    {
        var steps = new List<float[]>();
        foreach (int? size in (int?[])[null, 1, 2, 8])
        {
            var classifier = TinyDistilBert.Classifier(dropout: 0);
            var options = SharedRuns.Options with
            {
                Lora = new LoRASettings(4, 6),
                MicroBatch = size,
                BalancedClasses = true,
                MaxSteps = 1,
                Warmup = 0,
                Optimizer = OptimizerKind.Sgd,
            };
            var result = FineTuning.Start(classifier, TinyDistilBert.Sentences(27, 1), null, options).Training.Run();
            steps.Add([result.Metrics[0].Loss, result.Metrics[0].GradientNorm,
                .. classifier.Model.TrainableParameters().SelectMany(parameter => parameter.ToArray())]);
        }
        Assert.That(steps[0][1], Is.GreaterThan(0.01), "there is a gradient");
        foreach (var step in steps[1..])
        {
            Assert.That(step, Is.EqualTo(steps[0]).Within(1e-6));
        }
    }

    [TestCase(1, 3)]
    [TestCase(3, 2)]
    [TestCase(4, 1)]
    public void A_run_goes_on_with_another_number_of_processes(int before, int after)
    {
        using var folder = new TemporaryFolder();
        var checkpoint = new CheckpointOptions(folder.File("run"));
        var whole = SharedRuns.Run("lora", ProcessGroup.Alone);
        ThreadGroup.Run(before, group => SharedRuns.Run("lora", group, checkpoint: checkpoint, stopAfter: 3));
        Assert.That(ThreadGroup.Run(after, group => SharedRuns.Run("lora", group,
            checkpoint: checkpoint with { Resume = true })), Has.All.EqualTo(whole));
    }

    [Test]
    public void Another_size_of_micro_batches_is_another_run()
    {
        using var folder = new TemporaryFolder();
        var checkpoint = new CheckpointOptions(folder.File("run"));
        SharedRuns.Run("lora", ProcessGroup.Alone, checkpoint: checkpoint, stopAfter: 3);
        Assert.That(() => SharedRuns.Run("lora", ProcessGroup.Alone, SharedRuns.Options with { MicroBatch = 4 },
            checkpoint with { Resume = true }), Throws.TypeOf<InputException>().With.Message.Contains(
                "option 'micro-batch' was 2 and is 4 now"));
    }

    [TestCase("option 'lr' is 0.02 in process 0 and 0.01 in process 1")]
    [TestCase("the hash of the weights that it begins with is")]
    [TestCase("the hash of the examples to train on is")]
    public void Processes_that_have_something_else_do_not_train(string message)
    {
        var refusal = Assert.Throws<InputException>(() => ThreadGroup.Run(2, group =>
        {
            var isOther = group.Rank == 1;
            var classifier = TinyDistilBert.Classifier(isOther && message.Contains("weights") ? 4UL : 3UL);
            return FineTuning.Start(classifier,
                TinyDistilBert.Sentences(27, isOther && message.Contains("examples") ? 9UL : 1UL), null,
                SharedRuns.Options with { LearningRate = isOther && message.Contains("lr") ? 0.01f : 0.02f })
                .Training.Run(processes: group);
        }));
        Assert.That(refusal!.Message, Does.Contain(message).And.Contain("in process 1"));
    }

    [Test]
    public void A_size_that_does_not_divide_a_batch_is_refused() => Assert.That(
        () => (SharedRuns.Options with { MicroBatch = 3 }).Check(),
        Throws.TypeOf<InputException>().With.Message.Contains("Option 'MicroBatch' is 3 and option 'BatchSize' 8: a "
            + "batch is cut into equal micro-batches. Give one of 1, 2, 4, 8."));

    [TestCase(16, 2)]
    [TestCase(8, 1)]
    [TestCase(64, 8)]
    [TestCase(12, 1)]
    [TestCase(3, 1)]
    public void Several_processes_have_micro_batches_whatever_their_number(int batch, int expected)
    {
        var options = SharedRuns.Options with { BatchSize = batch, MicroBatch = null };
        Assert.That(options.For(processes: 2).MicroBatch, Is.EqualTo(expected));
        Assert.That(options.For(processes: 3).MicroBatch, Is.EqualTo(expected));
        Assert.That(options.For(processes: 1).MicroBatch, Is.Null, "the bits of before");
        Assert.That(() => options.For(processes: 100), Throws.TypeOf<InputException>().With.Message.Contains(
            "would have nothing to do"));
    }

    [Test]
    public void Evaluation_by_several_has_the_bits_of_one()
    {
        var texts = TinyDistilBert.Sentences(131, 4);
        var alone = TinyDistilBert.Classifier().Evaluate(texts, batchSize: 8);
        var shared = ThreadGroup.Run(3, group =>
            TinyDistilBert.Classifier().Evaluate(texts, batchSize: 8, processes: group));
        foreach (var result in shared)
        {
            Assert.That((result.Correct, result.Loss), Is.EqualTo((alone.Correct, alone.Loss)));
            Assert.That(result.Confusion, Is.EqualTo(alone.Confusion));
        }
    }

    [Test]
    public void Predictions_by_several_have_the_bits_of_one()
    {
        string[] texts = [.. Enumerable.Range(0, 150).Select(i => string.Join(' ',
            Enumerable.Range(0, 1 + i % 7).Select(word => $"w{(char)('a' + (i * 7 + word * 3) % 25)}")))];
        var inputs = texts.Select(text => (TextInput)text).ToArray();
        var alone = TinyDistilBert.Classifier().Predict(inputs, 4).ToArray();
        foreach (var shared in ThreadGroup.Run(3, group =>
            TinyDistilBert.Classifier().Predict(inputs, 2, null, group).ToArray()))
        {
            Assert.That(shared.Select(one => one.Logits), Is.EqualTo(alone.Select(one => one.Logits)));
            Assert.That(shared.Select(one => one.Label), Is.EqualTo(alone.Select(one => one.Label)));
        }
    }

    [Test]
    public void A_file_that_the_first_has_is_read_by_all()
    {
        using var folder = new TemporaryFolder();
        var path = folder.Write("here", "text");
        var read = ThreadGroup.Run(3, group =>
        {
            var (text, place) = ("", "");
            ProcessAgreement.WithFileOfFirst(group.IsFirst ? path : "nowhere", group, file =>
                (text, place) = (File.ReadAllText(file), file));
            return (text, place);
        });
        Assert.That(read.Select(entry => entry.text), Has.All.EqualTo("text"));
        Assert.That(read.Skip(1).Select(entry => File.Exists(entry.place)), Has.All.False, "the copies are gone");
    }
}
