using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Kernels;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// One transformer layer with embedding and classifier over a packed batch: every kind of op that a
/// training step runs.
/// </summary>
public sealed class SmallBlock : Module
{
    private const int Vocabulary = 50;

    private readonly Embedding embedding;
    private readonly Submodule<LayerNorm> firstNorm, secondNorm;
    private readonly Submodule<Linear> query, key, value, output, up, down, head;
    private readonly Submodule<Dropout> dropout;
    private readonly RandomStream random;
    private readonly int heads;
    private readonly float attentionDropout;

    public SmallBlock(IBackend backend, int hidden, int heads, float dropoutProbability = 0.1f, ulong seed = 7)
    {
        random = new RandomStream(seed);
        this.heads = heads;
        attentionDropout = dropoutProbability;
        embedding = new Embedding(Vocabulary, hidden, random, 0.1f, backend);
        Add("embedding", embedding);
        firstNorm = Add("norm1", new LayerNorm(hidden, backend: backend));
        query = Add("query", new Linear(hidden, hidden, random, backend: backend));
        key = Add("key", new Linear(hidden, hidden, random, backend: backend));
        value = Add("value", new Linear(hidden, hidden, random, backend: backend));
        output = Add("output", new Linear(hidden, hidden, random, backend: backend));
        dropout = Add("dropout", new Dropout(dropoutProbability, random));
        secondNorm = Add("norm2", new LayerNorm(hidden, backend: backend));
        up = Add("up", new Linear(hidden, 4 * hidden, random, backend: backend));
        down = Add("down", new Linear(4 * hidden, hidden, random, backend: backend));
        head = Add("head", new Linear(hidden, 2, random, backend: backend));
    }

    /// <summary>
    /// Mean cross-entropy of the class of each sequence, read off its first token.
    /// </summary>
    /// <returns>[]</returns>
    public Tensor Loss(Batch batch)
    {
        using var scope = new TensorScope();
        // [tokens, hidden]
        var x = embedding.Forward(batch.Ids);
        var normed = firstNorm.Value.Forward(x);
        var mixed = Ops.Attention(query.Value.Forward(normed), key.Value.Forward(normed), value.Value.Forward(normed),
            batch.Offsets, heads,
            IsTraining ? attentionDropout : 0, IsTraining ? random.NextSeed() : 0);
        x = x.Add(dropout.Value.Forward(output.Value.Forward(mixed)));
        x = x.Add(down.Value.Forward(up.Value.Forward(secondNorm.Value.Forward(x)).Gelu()));
        return scope.Return(head.Value.Forward(x.Gather(batch.FirstTokens)).CrossEntropy(batch.Labels));
    }

    /// <summary>
    /// Forward, backward, clipping, update; everything it computed is given back.
    /// </summary>
    /// <returns>The loss before the update.</returns>
    public float Step(Optimizer optimizer, Batch batch)
    {
        using var scope = new TensorScope();
        var loss = Loss(batch);
        loss.Backward();
        GradientClipping.ClipNorm(optimizer.Parameters, 1);
        optimizer.Step();
        optimizer.ZeroGradient();
        return loss.Item();
    }

    /// <summary>A packed batch of random sequences with random labels.</summary>
    public sealed class Batch : IDisposable
    {
        public Batch(IBackend backend, int seed, params int[] lengths)
        {
            var draw = new Random(seed);
            int[] offsets = [0, .. lengths.Select((_, s) => lengths.Take(s + 1).Sum())];
            Ids = new Indices([.. Enumerable.Range(0, offsets[^1]).Select(_ => draw.Next(Vocabulary))], backend);
            Offsets = new SequenceOffsets(offsets, backend);
            FirstTokens = new Indices(offsets.AsSpan()[..^1], backend);
            Labels = new Indices([.. lengths.Select(_ => draw.Next(2))], backend);
        }

        public Indices Ids { get; }

        public SequenceOffsets Offsets { get; }

        public Indices FirstTokens { get; }

        public Indices Labels { get; }

        public void Dispose()
        {
            Ids.Dispose();
            Offsets.Dispose();
            FirstTokens.Dispose();
            Labels.Dispose();
        }
    }
}
