using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Classification;

/// <summary>
/// Texts that wait for the device, asked about by callers that do not block. When the device is
/// free, whatever waits then for the same adapter is one batch: nobody waits for others to come,
/// and the longer the device is busy the larger its next batch is. So many may wait; who comes
/// later waits for a place first.
/// </summary>
/// <param name="serve">
/// Answers what <see cref="Take"/> gives; false where there was nothing. Called on a thread of the
/// pool, by one at a time.
/// </param>
internal sealed class PredictionQueue(Func<bool> serve)
{
    /// <summary>Texts that may wait.</summary>
    public const int Capacity = 1024;

    private readonly Lock gate = new();
    private readonly LinkedList<WaitingText> waiting = [];
    private readonly SemaphoreSlim room = new(Capacity);
    private bool isServed, isClosed;

    /// <summary>Texts that wait now.</summary>
    public int Count
    {
        get
        {
            lock (gate)
            {
                return waiting.Count;
            }
        }
    }

    /// <summary>Waits for the answer about a text.</summary>
    /// <param name="head">Who is to answer.</param>
    /// <param name="text">The text.</param>
    /// <param name="cancellation">
    /// Ends the waiting at once, and takes the text out of the queue.
    /// </param>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The queue was closed.</exception>
    public async Task<Prediction> Ask(TextClassifier.Head head, EncodedText text, CancellationToken cancellation)
    {
        await room.WaitAsync(cancellation).ConfigureAwait(false);
        var entry = new WaitingText(head, text);
        lock (gate)
        {
            if (isClosed)
            {
                room.Release();
                throw Closed();
            }
            waiting.AddLast(entry.Place);
            if (!isServed)
            {
                isServed = true;
                ThreadPool.UnsafeQueueUserWorkItem(_ => ServeAll(), null);
            }
        }
        using var registration = cancellation.UnsafeRegister(_ => Leave(entry, cancellation), null);
        return await entry.Answer.Task.ConfigureAwait(false);
    }

    /// <summary>
    /// The texts of the next batch: the one that has waited longest, and those of all others that
    /// can be computed with it.
    /// </summary>
    /// <param name="maxTexts">At most so many.</param>
    /// <param name="maxTokens">
    /// At most so many of all texts together, but at least one text.
    /// </param>
    /// <returns>None where none waits.</returns>
    public IReadOnlyList<WaitingText> Take(int maxTexts, int maxTokens)
    {
        lock (gate)
        {
            var batch = new List<WaitingText>();
            var tokens = 0;
            for (var place = waiting.First; place is not null && batch.Count < maxTexts;)
            {
                var (entry, next) = (place.Value, place.Next);
                if (batch.Count == 0 || entry.BelongsTo(batch[0]) && tokens + entry.Text.Ids.Length <= maxTokens)
                {
                    batch.Add(entry);
                    tokens += entry.Text.Ids.Length;
                    waiting.Remove(place);
                    room.Release();
                }
                place = next;
            }
            return batch;
        }
    }

    /// <summary>Ends the waiting of everybody, also of those that come later.</summary>
    public void Close()
    {
        lock (gate)
        {
            isClosed = true;
            EndAll(Closed());
        }
    }

    private static ObjectDisposedException Closed() => new(nameof(TextClassifier));

    private void ServeAll()
    {
        while (true)
        {
            try
            {
                if (serve())
                {
                    continue;
                }
            }
            catch (Exception e)                                     // of the device: it concerns everybody
            {
                lock (gate)
                {
                    EndAll(e);
                }
            }
            lock (gate)
            {
                if (waiting.Count == 0)
                {
                    isServed = false;
                    return;
                }
            }
        }
    }

    private void EndAll(Exception exception)
    {
        while (waiting.First is { } place)
        {
            waiting.Remove(place);
            room.Release();
            place.Value.Answer.TrySetException(exception);
        }
    }

    private void Leave(WaitingText entry, CancellationToken cancellation)
    {
        lock (gate)
        {
            if (entry.Place.List is not null)
            {
                waiting.Remove(entry.Place);
                room.Release();
            }
        }
        entry.Answer.TrySetCanceled(cancellation);
    }
}

/// <summary>A text that waits for its answer.</summary>
internal sealed class WaitingText
{
    public WaitingText(TextClassifier.Head head, EncodedText text) =>
        (Head, Text, Place) = (head, text, new LinkedListNode<WaitingText>(this));

    /// <summary>Who is to answer.</summary>
    public TextClassifier.Head Head { get; }

    /// <summary>The text.</summary>
    public EncodedText Text { get; }

    /// <summary>The answer; whoever waits for it goes on upon a thread of his own.</summary>
    public TaskCompletionSource<Prediction> Answer { get; } =
        new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Gives the answer, or what is thrown instead of it.</summary>
    public void Reply(Func<Prediction> answer)
    {
        try
        {
            Answer.TrySetResult(answer());
        }
        catch (Exception e)
        {
            Answer.TrySetException(e);
        }
    }

    /// <summary>Where it stands in the queue.</summary>
    public LinkedListNode<WaitingText> Place { get; }

    /// <summary>Whether it can be in one batch with another text.</summary>
    public bool BelongsTo(WaitingText other) =>
        ReferenceEquals(Head, other.Head)
        && TextClassifier.IsShort(Text.Ids.Length) == TextClassifier.IsShort(other.Text.Ids.Length);
}
