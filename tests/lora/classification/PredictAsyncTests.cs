using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora.Classification;
using LoraScratch.Tests.Lora;

namespace LoraScratch.Tests.Classification;

/// <summary>Callers that do not block, and whose texts are computed together.</summary>
public sealed class PredictAsyncTests
{
    private static readonly TimeSpan Long = TimeSpan.FromMinutes(1);

    // of equal length, so that any of them can be in one batch
    private static readonly string[] Texts =
        [.. Enumerable.Range(0, 100).Select(i => $"w{(char)('a' + i % 24)} w{(char)('a' + i / 24)}")];

    private CpuBackend backend = null!;
    private TextClassifier classifier = null!;

    [SetUp]
    public void Load()
    {
        backend = new CpuBackend(threads: 2);
        classifier = TinyDistilBert.Classifier(backend: backend);
    }

    [TearDown]
    public void Unload()
    {
        classifier.Dispose();
        backend.Dispose();
    }

    [Test]
    public async Task What_is_asked_while_the_device_is_busy_is_one_batch([Values(1, 32, 100)] int callers)
    {
        var expected = Texts.Select(text => classifier.Predict(text).Logits).ToArray();
        var sizes = new List<int>();
        Watch(rows => sizes.Add(rows / 4));                             // [CLS], two words, [SEP]
        Task<Prediction>[] answers;
        using (new BusyDevice(backend))
        {
            answers = [.. Texts.Take(callers).Select(text => classifier.PredictAsync(text))];
        }
        var logits = (await Task.WhenAll(answers).WaitAsync(Long)).Select(answer => answer.Logits).ToArray();
        Assert.That(logits, Is.EqualTo(expected.Take(callers)));
        Assert.That(sizes.Sum(), Is.EqualTo(callers));
        Assert.That(sizes, Has.Count.EqualTo((callers + 31) / 32), string.Join(", ", sizes));
    }

    [Test]
    public async Task A_caller_that_is_cancelled_leaves_and_the_others_stay()
    {
        var computed = 0;
        Watch(rows => computed += rows / 4);
        using var stop = new CancellationTokenSource();
        Task<Prediction> left, stayed;
        using (new BusyDevice(backend))
        {
            left = classifier.PredictAsync(Texts[0], stop.Token);
            stayed = classifier.PredictAsync(Texts[1]);
            await stop.CancelAsync();
            await Assert.ThrowsAsync<TaskCanceledException>(() => left.WaitAsync(Long), "while the device is busy");
        }
        await stayed.WaitAsync(Long);
        Assert.That(computed, Is.EqualTo(1), "texts");
        await Assert.ThrowsAsync<TaskCanceledException>(() =>
            classifier.PredictAsync(Texts[0], stop.Token).WaitAsync(Long));
    }

    [Test]
    public async Task An_exception_reaches_the_caller_alone_whose_text_has_it()
    {
        var table = classifier.Model.Encoder.WordTable;
        var values = table.ToArray();
        values.AsSpan(5 * 12, 12).Fill(float.NaN);                      // of the word wa
        table.Set(values);
        Task<Prediction>[] answers;
        using (new BusyDevice(backend))
        {
            answers = [.. new[] { "wb wb", "wa wb", "wc wb" }.Select(text => classifier.PredictAsync(text))];
        }
        await Assert.ThrowsAsync<InputException>(() => answers[1].WaitAsync(Long));
        Assert.That((await answers[0].WaitAsync(Long)).Logits, Is.EqualTo(classifier.Predict("wb wb").Logits));
        Assert.That((await answers[2].WaitAsync(Long)).Logits, Is.EqualTo(classifier.Predict("wc wb").Logits));
    }

    /// <summary>As memory that suffices for a text and not for a batch.</summary>
    [Test]
    public async Task A_batch_that_fails_is_computed_text_by_text()
    {
        Watch(rows => _ = rows > 4 ? throw new OutOfMemoryException() : 0);
        Task<Prediction>[] answers;
        using (new BusyDevice(backend))
        {
            answers = [.. Texts.Take(5).Select(text => classifier.PredictAsync(text))];
        }
        Assert.That(await Task.WhenAll(answers).WaitAsync(Long), Has.Length.EqualTo(5));
        Watch(_ => throw new OutOfMemoryException());
        await Assert.ThrowsAsync<OutOfMemoryException>(() => classifier.PredictAsync(Texts[0]).WaitAsync(Long));
    }

    [Test]
    public async Task So_many_may_wait_and_who_comes_later_waits_for_a_place()
    {
        const int Late = 30;
        Task<Prediction>[] answers;
        using (new BusyDevice(backend))
        {
            answers = [.. Enumerable.Range(0, PredictionQueue.Capacity + Late)
                .Select(i => classifier.PredictAsync(Texts[i % Texts.Length]))];
            Assert.That(classifier.Waiting, Is.EqualTo(PredictionQueue.Capacity));
        }
        var expected = Texts.Select(text => classifier.Predict(text).Logits).ToArray();
        var logits = (await Task.WhenAll(answers).WaitAsync(Long)).Select(answer => answer.Logits).ToArray();
        Assert.That(logits.Where((row, i) => !row.SequenceEqual(expected[i % Texts.Length])), Is.Empty);
        Assert.That(classifier.Waiting, Is.Zero);
    }

    [Test]
    public async Task Callers_of_all_kinds_get_the_answers_that_they_get_alone([Values(8, 64)] int callers)
    {
        string[] texts = [.. Texts, .. Texts.Select(text => $"{text} {text} {text} {text} {text} {text} w")];
        var expected = texts.Select(text => classifier.Predict(text).Logits).ToArray();
        var wrong = 0;
        await Task.WhenAll(Enumerable.Range(0, callers).Select(caller => Task.Run(async () =>
        {
            for (var i = 0; i < 512 / callers; i++)
            {
                var index = (31 * caller + i) % texts.Length;
                var logits = caller % 3 == 0 ? classifier.Predict(texts[index]).Logits
                    : (await classifier.PredictAsync(texts[index])).Logits;
                if (!logits.SequenceEqual(expected[index]))
                {
                    Interlocked.Increment(ref wrong);
                }
            }
        }))).WaitAsync(Long);
        Assert.That(wrong, Is.Zero, "of 512 answers");
    }

    [Test]
    public async Task A_stream_is_answered_in_order_as_it_comes()
    {
        var expected = Texts.Select(text => classifier.Predict(text).Logits).ToArray();
        var given = 0;
        var answers = classifier.PredictAsync(Slowly()).GetAsyncEnumerator();
        Assert.That(await answers.MoveNextAsync().AsTask().WaitAsync(Long));
        Assert.That(given, Is.EqualTo(1), "the first answer does not wait for a second text");
        more.SetResult();
        List<IReadOnlyList<float>> logits = [answers.Current.Logits];
        while (await answers.MoveNextAsync().AsTask().WaitAsync(Long))
        {
            logits.Add(answers.Current.Logits);
        }
        Assert.That(logits, Is.EqualTo(expected));
        logits.Clear();
        await foreach (var answer in classifier.PredictAsync(Texts))
        {
            logits.Add(answer.Logits);
        }
        Assert.That(logits, Is.EqualTo(expected), "of a list");

        async IAsyncEnumerable<string> Slowly()
        {
            foreach (var text in Texts)
            {
                given++;
                yield return text;
                await more.Task;
            }
        }
    }

    private readonly TaskCompletionSource more = new();

    [Test]
    public async Task A_stream_is_taken_a_little_ahead_and_left_when_nobody_wants_it()
    {
        var (given, ended) = (0, false);
        await foreach (var _ in classifier.PredictAsync(Endless()))
        {
            if (given > 3)
            {
                break;
            }
        }
        Assert.That(ended, "the source is told");
        Assert.That(given, Is.LessThan(200));
        using var stop = new CancellationTokenSource();
        await Assert.ThrowsAsync<TaskCanceledException>(async () =>
        {
            await foreach (var _ in classifier.PredictAsync(Endless()).WithCancellation(stop.Token))
            {
                await stop.CancelAsync();
            }
        });
        var answered = 0;
        await Assert.ThrowsAsync<IOException>(async () =>
        {
            await foreach (var _ in classifier.PredictAsync(Broken()))
            {
                answered++;
            }
        });
        Assert.That(answered, Is.EqualTo(2), "what came before the source broke");

        async IAsyncEnumerable<string> Endless()
        {
            try
            {
                while (true)
                {
                    given++;
                    yield return Texts[given % Texts.Length];
                    await Task.Yield();
                }
            }
            finally
            {
                ended = true;
            }
        }

        static IEnumerable<string> Broken()
        {
            yield return Texts[0];
            yield return Texts[1];
            throw new IOException();
        }
    }

    [Test]
    public async Task Dispose_ends_the_waiting_of_everybody()
    {
        Task<Prediction>[] waiting;
        Task disposing;
        using (new BusyDevice(backend))
        {
            waiting = [.. Enumerable.Range(0, PredictionQueue.Capacity + 1)
                .Select(i => classifier.PredictAsync(Texts[i % 9]))];
            disposing = Task.Run(classifier.Dispose);
            foreach (var one in waiting)
            {
                await Assert.ThrowsAsync<ObjectDisposedException>(() => one.WaitAsync(Long));
            }
        }
        await disposing.WaitAsync(Long);
        Assert.That(() => classifier.Predict("wa"), Throws.TypeOf<ObjectDisposedException>());
        Assert.That(() => classifier.Predict(["wa"]), Throws.TypeOf<ObjectDisposedException>());
        await Assert.ThrowsAsync<ObjectDisposedException>(() => classifier.PredictAsync("wa"));
        Assert.That(backend.Memory.InUse, Is.Zero, "its memory is back");
        Assert.That(classifier.Dispose, Throws.Nothing, "twice");
    }

    [Test]
    public void A_list_that_is_being_answered_ends_where_the_classifier_is_disposed()
    {
        using var answers = classifier.Predict(Texts, batchSize: 2).GetEnumerator();
        answers.MoveNext();
        answers.MoveNext();
        classifier.Dispose();
        Assert.That(() => answers.MoveNext(), Throws.TypeOf<ObjectDisposedException>());
    }

    [Test]
    public void A_device_may_be_disposed_before_its_classifier()
    {
        var own = new CpuBackend(threads: 1);
        var second = TinyDistilBert.Classifier(backend: own);
        second.Predict("wa");
        own.Dispose();
        Assert.That(second.Dispose, Throws.Nothing);
    }

    /// <summary>Sees how many rows each pass through the first layer has.</summary>
    private void Watch(Action<int> see)
    {
        var (_, place) = classifier.Model.NamedSubmodules().First(entry =>
            entry.Path.EndsWith("layer.0.attention.k_lin", StringComparison.Ordinal));
        place.Replace(new Watching((Layer)place.Current, see));
    }

    private sealed class Watching(Layer layer, Action<int> see) : Layer
    {
        public override Tensor Forward(Tensor x)
        {
            see(x.Shape.Rows);
            return layer.Forward(x);
        }
    }

    /// <summary>A device on which another thread computes until it is disposed.</summary>
    private sealed class BusyDevice : IDisposable
    {
        private readonly ManualResetEventSlim begun = new(), ended = new();
        private readonly Thread thread;

        public BusyDevice(CpuBackend backend)
        {
            thread = new Thread(() =>
            {
                using var turn = backend.TakeTurn();
                begun.Set();
                ended.Wait();
            });
            thread.Start();
            begun.Wait();
        }

        public void Dispose()
        {
            ended.Set();
            thread.Join();
        }
    }
}
