using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// What the frozen layers of a classifier give for each of some examples. Nothing that is trained
/// changes it, so it is computed once, without dropout, and kept; what lies above begins with it.
/// As long as the frozen weights stay, which is a run of training. Not for several threads.
/// </summary>
internal sealed class FrozenOutputs
{
    private const int TokensOfBatch = 4096;

    private readonly EncoderForSequenceClassification model;
    private readonly int blocks;
    private readonly IReadOnlyList<EncodedExample> examples;
    private readonly RowStore store;
    private readonly int firstNumber;
    private float[] rows = [];                                      // of the last batch

    /// <summary>Nothing is computed yet.</summary>
    /// <param name="model">Its first layers are frozen.</param>
    /// <param name="blocks">How many; all of them: the vector of [CLS] is kept alone.</param>
    /// <param name="examples">Whose outputs.</param>
    /// <param name="store">
    /// Keeps them. All outputs are rounded to its type, also those that it has no room for.
    /// </param>
    /// <param name="firstNumber">The store's number for the first example.</param>
    public FrozenOutputs(EncoderForSequenceClassification model, int blocks, IReadOnlyList<EncodedExample> examples,
        RowStore store, int firstNumber = 0) =>
        (this.model, this.blocks, this.examples, this.store, this.firstNumber) =
            (model, blocks, examples, store, firstNumber);

    /// <summary>Whose outputs.</summary>
    public IReadOnlyList<EncodedExample> Examples => examples;

    /// <summary>Bytes of the outputs of some examples.</summary>
    /// <param name="config">Of the model.</param>
    /// <param name="blocks">Frozen layers.</param>
    /// <param name="type">What they are rounded to.</param>
    /// <param name="examples">The examples.</param>
    public static long Bytes(EncoderConfig config, int blocks, DType type, IReadOnlyList<EncodedExample> examples) =>
        RowStore.Bytes(examples.Sum(example => (long)RowsOf(config, blocks, example) * config.Hidden), type);

    /// <summary>
    /// The output of a batch, computed without dropout. What a text gets does not depend on the
    /// batch (<see cref="IndependentRows"/>).
    /// </summary>
    /// <param name="model">Its first layers are frozen.</param>
    /// <param name="blocks">How many.</param>
    /// <param name="type">What it is rounded to, as a store of it would.</param>
    /// <param name="batch">The batch.</param>
    /// <returns>[tokens, hidden], or [texts, hidden] of all layers.</returns>
    /// <exception cref="InputException">A value is beyond the largest of the type.</exception>
    public static Tensor Compute(EncoderForSequenceClassification model, int blocks, DType type, PackedBatch batch)
    {
        using var scope = new TensorScope();
        using var frozen = new NoGradient();
        using var evaluation = new EvaluationMode();
        using var independent = IndependentRows.As(IndependentRows.Many);
        using var tokens = new PackedTokens(batch, model.Backend);
        var output = model.ForwardFrozen(tokens, blocks);
        if (type != DType.F32)
        {
            var values = output.ToArray();
            RowStore.Round(values, type);
            output.Set(values);
        }
        return scope.Return(output);
    }

    /// <summary>
    /// Computes outputs and keeps them as far as there is room. Batches are formed in the order
    /// given, whatever the run's own are: the same bits in every run, and in one that is resumed.
    /// </summary>
    /// <param name="numbers">Of which examples, each once.</param>
    /// <param name="cancellation">Ends the work between two batches.</param>
    /// <param name="progress">
    /// Called after every batch with the number of examples done; may be null.
    /// </param>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public void Keep(IEnumerable<int> numbers, CancellationToken cancellation, Action<int>? progress = null)
    {
        var done = 0;
        foreach (var batch in Batches(numbers))
        {
            cancellation.ThrowIfCancellationRequested();
            using var turn = model.Backend.TakeTurn();
            var values = Compute(batch);
            var at = 0;
            foreach (var number in batch)
            {
                var length = RowsOf(model.Config, blocks, examples[number]) * model.Config.Hidden;
                if (!store.Add(firstNumber + number, values.AsSpan(at, length)))
                {
                    return;                                         // no later one has to be computed for nothing
                }
                at += length;
            }
            progress?.Invoke(done += batch.Count);
        }
    }

    /// <summary>The logits of a batch, from what is kept; what is not kept is computed.</summary>
    /// <param name="tokens">The batch.</param>
    /// <param name="numbers">Its examples.</param>
    /// <returns>[texts, classes]</returns>
    public Tensor Logits(PackedTokens tokens, IReadOnlyList<int> numbers)
    {
        using var scope = new TensorScope();
        var hidden = model.Config.Hidden;
        var count = numbers.Sum(number => RowsOf(model.Config, blocks, examples[number]));
        if (rows.Length < count * hidden)
        {
            rows = new float[count * hidden];
        }
        var missing = new List<(int Number, int At)>();
        var at = 0;
        foreach (var number in numbers)
        {
            var length = RowsOf(model.Config, blocks, examples[number]) * hidden;
            if (!store.TryRead(firstNumber + number, rows.AsSpan(at, length)))
            {
                missing.Add((number, at));
            }
            at += length;
        }
        Fill(missing);
        using var output = Tensor.From(rows.AsSpan(0, count * hidden), new Shape(count, hidden), model.Backend);
        return scope.Return(model.Forward(tokens, output, blocks));
    }

    private void Fill(List<(int Number, int At)> missing)
    {
        if (missing.Count == 0)
        {
            return;
        }
        var values = Compute([.. missing.Select(entry => entry.Number)]);
        var from = 0;
        foreach (var (number, at) in missing)
        {
            var length = RowsOf(model.Config, blocks, examples[number]) * model.Config.Hidden;
            values.AsSpan(from, length).CopyTo(rows.AsSpan(at));
            from += length;
        }
    }

    private float[] Compute(IReadOnlyList<int> numbers)
    {
        using var scope = new TensorScope();
        return Compute(model, blocks, store.Type, PackedBatch.Of([.. numbers.Select(number => examples[number])]))
            .ToArray();
    }

    private static int RowsOf(EncoderConfig config, int blocks, EncodedExample example) =>
        blocks == config.Layers ? 1 : example.TokenIds.Length;

    private IEnumerable<List<int>> Batches(IEnumerable<int> numbers)
    {
        var (batch, tokens) = (new List<int>(), 0);
        foreach (var number in numbers)
        {
            var length = examples[number].TokenIds.Length;
            if (batch.Count > 0 && tokens + length > TokensOfBatch)
            {
                yield return batch;
                (batch, tokens) = ([], 0);
            }
            batch.Add(number);
            tokens += length;
        }
        if (batch.Count > 0)
        {
            yield return batch;
        }
    }
}
