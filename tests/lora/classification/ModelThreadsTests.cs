using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Training;
using LoraScratch.Tests.Lora;

namespace LoraScratch.Tests.Threads;

/// <summary>
/// Many threads on one model: any number may ask it, and what cannot go together is refused.
/// </summary>
public class ModelThreadsTests
{
    private static readonly string[] Texts =
        [.. Enumerable.Range(0, 12)
            .Select(i => string.Join(' ',
                Enumerable.Range(0, 1 + i % 7).Select(j => $"w{(char)('a' + (5 * i + 3 * j) % 24)}")))];

    private static readonly TrainingOptions Options =
        new() { Lora = new LoRASettings(2, 4), Epochs = 1, BatchSize = 4, LearningRate = 0.01f };

    [Test]
    public void Every_caller_of_one_classifier_gets_the_sequential_answers([Values(2, 8, 64)] int callers)
    {
        using var backend = new CpuBackend(threads: 2);
        var classifier = TinyDistilBert.Classifier(backend: backend);
        TrainingSetup.Prepare(classifier, Options);
        var expected = Texts.Select(text => Answer(classifier, text)).ToArray();
        var wrong = 0;
        Callers.Run(callers, caller =>
        {
            for (var i = 0; i < 512 / callers; i++)
            {
                var text = (caller + i) % Texts.Length;
                if (!Answer(classifier, Texts[text]).AsSpan().SequenceEqual(expected[text]))
                {
                    Interlocked.Increment(ref wrong);
                }
            }
        });
        Assert.That(wrong, Is.Zero, "of 512 answers");
    }

    [Test]
    public void A_model_that_is_switched_to_training_still_answers_every_caller_without_dropout()
    {
        var classifier = TinyDistilBert.Classifier(dropout: 0.5f);
        var expected = Texts.Select(text => Answer(classifier, text)).ToArray();
        classifier.Model.Train();
        Callers.Run(4, _ =>
        {
            for (var i = 0; i < 50; i++)
            {
                Assert.That(Answer(classifier, Texts[i % Texts.Length]), Is.EqualTo(expected[i % Texts.Length]));
            }
        });
        Assert.That(classifier.Model.IsTraining);
    }

    [Test]
    public void Models_trained_at_once_on_one_device_get_the_weights_that_each_gets_alone()
    {
        using var backend = new CpuBackend(threads: 2);
        var alone = Enumerable.Range(0, 4).Select(Weights).ToArray();
        var together = new float[alone.Length][];
        Callers.Run(alone.Length, caller => together[caller] = Weights(caller));
        Assert.That(together, Is.EqualTo(alone));

        float[] Weights(int seed)
        {
            var classifier = TinyDistilBert.Classifier((ulong)seed, backend: backend);
            var options = Options with { Seed = (ulong)seed, Epochs = 2 };
            FineTuning.Start(classifier, TinyDistilBert.Sentences(24, (ulong)seed), null, options).Run();
            return [.. classifier.Model.Parameters().SelectMany(parameter => parameter.ToArray())];
        }
    }

    [Test]
    public void Memory_that_many_threads_hold_and_let_go_of_stays_until_its_owner_lets_go()
    {
        using var backend = new CpuBackend(threads: 1);
        // its memory is taken by whoever is first
        var weight = Parameter.Filled("weight", 0.25f, new Shape(8), backend);
        Callers.Run(8, _ =>
        {
            for (var i = 0; i < 20_000; i++)
            {
                weight.Detach().Dispose();                                          // as a graph holds a frozen weight
            }
        });
        Assert.That(weight.ToArray(), Is.All.EqualTo(0.25f));
        weight.Dispose();
        Assert.That(backend.Memory.InUse, Is.Zero);
    }

    [Test]
    public void A_model_that_another_thread_trains_does_not_predict()
    {
        var classifier = TinyDistilBert.Classifier();
        var tuning = FineTuning.Start(classifier, TinyDistilBert.Sentences(12, 1), null, Options);
        Exception? elsewhere = null, again = null, merge = null;
        float[]? here = null;
        tuning.Training.StepDone += step =>
        {
            if (step.Step == 2)
            {
                elsewhere = OnAnotherThread(() => Answer(classifier, Texts[0]));
                again = OnAnotherThread(() => tuning.Training.Estimate());
                merge = Assert.Catch(tuning.Adapter!.Merge);
                here = Answer(classifier, Texts[0]);            // the thread that trains may look how far it has come
            }
        };
        tuning.Run();
        RequireRefusal(elsewhere, "Prediction", "training");
        RequireRefusal(again, "Training", "training");
        RequireRefusal(merge, "Merging an adapter", "training");
        Assert.That(here, Is.Not.Null);
        Assert.That(() => Answer(classifier, Texts[0]), Throws.Nothing, "the training has ended");
    }

    [Test]
    public void An_adapter_is_neither_switched_nor_merged_while_the_model_predicts()
    {
        var classifier = TinyDistilBert.Classifier();
        var set = new AdapterSet();
        FineTuning? tuning = null;
        var first = set.Add("first", () =>
        {
            tuning = FineTuning.Start(classifier, TinyDistilBert.Sentences(4, 1), null, Options);
            return tuning.Adapter!;
        });
        set.Add("second", () => TrainingSetup.Prepare(classifier, Options)!);
        set.Activate("first");
        var before = Answer(classifier, Texts[0]);
        using (var predictions = classifier.Predict(Texts, batchSize: 2).GetEnumerator())
        {
            predictions.MoveNext();
            foreach (var (change, name) in new (Action, string)[]
            {
                (() => set.Activate("second"), "Detaching an adapter"),
                (set.Disable, "Detaching an adapter"),
                (first.Merge, "Merging an adapter"),
                (first.MergeAndDetach, "Merging an adapter"),
                (first.Layers[0].Layer.Merge, "Merging an adapter"),
                (() => tuning!.Run(), "Training"),
            })
            {
                RequireRefusal(Assert.Catch(() => change()), name, "prediction");
                RequireRefusal(OnAnotherThread(change), name, "prediction");
            }
            Assert.That((set.Active, first.IsMerged, first.IsAttached), Is.EqualTo(("first", false, true)),
                "a refused change has changed nothing");
        }
        Assert.That(Answer(classifier, Texts[0]), Is.EqualTo(before));
        first.Merge();
        set.Activate("second");
    }

    [Test]
    public void Models_with_heads_of_their_own_on_one_encoder_are_used_as_one()
    {
        var classifier = TinyDistilBert.Classifier();
        var other = classifier.Model.WithHead(["a", "b", "c"]);
        using var predictions = classifier.Predict(Texts, batchSize: 1).GetEnumerator();
        predictions.MoveNext();
        Assert.That(() => LoRAAdapter.Attach(other, Options.Lora, ["q_lin"], new RandomStream(1)),
            Throws.InvalidOperationException);
    }

    [Test]
    public void A_device_that_is_disposed_between_two_batches_ends_the_prediction()
    {
        var backend = new CpuBackend(threads: 1);
        var classifier = TinyDistilBert.Classifier(backend: backend);
        using var predictions = classifier.Predict(Texts, batchSize: 1).GetEnumerator();
        predictions.MoveNext();
        backend.Dispose();
        Assert.That(() => predictions.MoveNext(), Throws.InstanceOf<InvalidOperationException>());
    }

    private static float[] Answer(TextClassifier classifier, string text) =>
        classifier.Predict([text]).Single().Logits.ToArray();

    private static Exception? OnAnotherThread(Action action)
    {
        Exception? thrown = null;
        var thread = new Thread(() =>
        {
            try
            {
                action();
            }
            catch (Exception e)
            {
                thrown = e;
            }
        });
        thread.Start();
        thread.Join();
        return thrown;
    }

    private static void RequireRefusal(Exception? thrown, string activity, string other)
    {
        Assert.That(thrown, Is.TypeOf<InvalidOperationException>());
        Assert.That(thrown!.Message, Does.StartWith($"{activity} is not possible while {other} is under way"));
    }
}
