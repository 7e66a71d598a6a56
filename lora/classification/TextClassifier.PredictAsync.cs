using System.Runtime.CompilerServices;
using System.Threading.Channels;
using LoraScratch.Engine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Classification;

/// <content>Callers that do not block: their texts are computed together.</content>
public sealed partial class TextClassifier
{
    // one batch is computed, another waits
    private const int TextsAhead = 2 * TextsOfBatch;

    /// <summary>
    /// Predicts the class of a text or a pair of texts without blocking a thread. What is asked by
    /// many callers while the device is busy is computed together as soon as it is free, with the
    /// answers that each gets alone; nobody waits for others to come.
    /// </summary>
    /// <param name="input">It, and who answers; a string is one.</param>
    /// <param name="cancellation">
    /// Ends the waiting at once; a text that waits in the queue leaves it.
    /// </param>
    /// <param name="maxLength">
    /// At most so many ids of both texts; the longer one is cut first.
    /// </param>
    /// <exception cref="InputException">
    /// There is no such adapter, or no trained head; the model has fewer positions, or was trained
    /// on pairs; or its logits are no numbers. Other callers are not concerned.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// Another thread trains the model or merges its adapter.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">The classifier was disposed.</exception>
    public async Task<Prediction> PredictAsync(TextInput input, CancellationToken cancellation = default,
        int? maxLength = null)
    {
        var (head, text) = Prepare(input, MaxTokens(maxLength));
        return await queue.Ask(head, text, cancellation).ConfigureAwait(false);
    }

    /// <summary>Texts that wait for the device.</summary>
    internal int Waiting => queue.Count;

    /// <summary>
    /// Answers a batch of the texts that wait when the device is free; false where none waits.
    /// </summary>
    private bool ServeWaiting() => callers.Run(() =>
    {
        using var turn = Model.Backend.TakeTurn();
        var batch = queue.Take(TextsOfBatch, TokensOfBatch);
        if (batch.Count > 0)
        {
            Answer(batch);
        }
        return batch.Count > 0;
    });

    private void Answer(IReadOnlyList<WaitingText> batch)
    {
        try
        {
            var head = batch[0].Head;
            using var use = Model.Use.Read("Prediction");
            var logits = Compute(head, [.. batch.Select(asked => new EncodedExample(asked.Text))], head.Model.Forward);
            foreach (var (asked, row) in batch.Zip(logits))
            {
                asked.Reply(() => ToPrediction(head, row, asked.Text.IsTruncated));
            }
        }
        catch (Exception e) when (batch.Count == 1)
        {
            batch[0].Reply(() => throw e);
        }
        catch (Exception)
        {
            foreach (var asked in batch)
            {
                Answer([asked]);                                    // the exception is for those that have it alone
            }
        }
    }

    /// <summary>Predicts the class of each text, in order, as they come.</summary>
    /// <param name="texts">Any number; some are taken ahead of the answers.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <param name="maxLength">As for a single one.</param>
    /// <inheritdoc cref="PredictAsync(TextInput, CancellationToken, int?)"/>
    public IAsyncEnumerable<Prediction> PredictAsync(IAsyncEnumerable<string> texts,
        CancellationToken cancellation = default, int? maxLength = null) =>
        PredictAsync(texts.Select(text => new TextInput(text)), cancellation, maxLength);

    /// <inheritdoc cref="PredictAsync(IAsyncEnumerable{string}, CancellationToken, int?)"/>
    public IAsyncEnumerable<Prediction> PredictAsync(IEnumerable<string> texts,
        CancellationToken cancellation = default, int? maxLength = null) =>
        PredictAsync(texts.ToAsyncEnumerable(), cancellation, maxLength);

    /// <summary>
    /// The same for texts and pairs of texts, each answered by the adapter that it names.
    /// </summary>
    /// <param name="inputs">Any number; some are taken ahead of the answers.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <param name="maxLength">As for a single one.</param>
    /// <inheritdoc cref="PredictAsync(TextInput, CancellationToken, int?)"/>
    public IAsyncEnumerable<Prediction> PredictAsync(IEnumerable<TextInput> inputs,
        CancellationToken cancellation = default, int? maxLength = null) =>
        PredictAsync(inputs.ToAsyncEnumerable(), cancellation, maxLength);

    /// <inheritdoc cref="PredictAsync(IEnumerable{TextInput}, CancellationToken, int?)"/>
    public async IAsyncEnumerable<Prediction> PredictAsync(IAsyncEnumerable<TextInput> inputs,
        [EnumeratorCancellation] CancellationToken cancellation = default, int? maxLength = null)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        var asked = Channel.CreateBounded<Task<Prediction>>(TextsAhead);
        var reading = AskAboutEach();
        try
        {
            await foreach (var answer in asked.Reader.ReadAllAsync(cancellation).ConfigureAwait(false))
            {
                yield return await answer.ConfigureAwait(false);
            }
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);             // where the answers are no longer wanted
            await reading.ConfigureAwait(false);
            while (asked.Reader.TryRead(out var unwanted))
            {
                await ((Task)unwanted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        async Task AskAboutEach()
        {
            try
            {
                await foreach (var input in inputs.WithCancellation(stop.Token).ConfigureAwait(false))
                {
                    await asked.Writer.WriteAsync(PredictAsync(input, stop.Token, maxLength), stop.Token)
                        .ConfigureAwait(false);
                }
                asked.Writer.Complete();
            }
            catch (Exception e)
            {
                asked.Writer.Complete(e);                               // after the answers to those before it
            }
        }
    }
}
