using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Families;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// The encoder: embeddings, then the blocks one after the other. The paths of its modules are the
/// family's (<see cref="EncoderFamily"/>).
/// </summary>
internal sealed class EncoderModel : Module
{
    private readonly Submodule<Embeddings> embeddings;
    private readonly Submodule<Layer>? project;
    private readonly Submodule<ModuleList<TransformerBlock>> blocks;

    internal EncoderModel(LayerFactory parts)
    {
        var config = parts.Config;
        embeddings = Add("embeddings", new Embeddings(parts));
        project = config.EmbeddingWidth == config.Hidden ? null
            : Add<Layer>(EncoderFamily.EmbeddingProjection, parts.Linear(config.EmbeddingWidth, config.Hidden));
        blocks = AddAt(config.Family.Blocks, new ModuleList<TransformerBlock>(Enumerable.Range(0, config.Layers)
            .Select(_ => new TransformerBlock(parts))));
    }

    /// <summary>See <see cref="Embeddings.WordTable"/>.</summary>
    internal Parameter WordTable => embeddings.Value.WordTable;

    /// <summary>
    /// Whether the last block computes every token, though only some are asked for: the same
    /// results, for those that listen to its layers or measure their cost.
    /// </summary>
    internal bool ComputesEveryToken { get; set; }

    /// <summary>
    /// Whether of each block its input alone is held for the backward pass, which computes the
    /// block again: the same bits, with less memory and more time. See <see cref="Recompute"/>.
    /// </summary>
    internal bool RecomputesBlocks { get; set; }

    /// <summary>The vectors of some tokens.</summary>
    /// <param name="tokens">The batch.</param>
    /// <param name="rows">Which, of this batch; null: all.</param>
    /// <returns>[rows, hidden]</returns>
    public Tensor Forward(PackedTokens tokens, SequenceRows? rows = null)
    {
        using var scope = new TensorScope();
        return scope.Return(Run(Embed(tokens), tokens, rows, 0, blocks.Value.Count));
    }

    /// <summary>The same from the output of the first blocks on.</summary>
    /// <param name="x">[tokens, hidden], or [rows, hidden] where those are all blocks</param>
    /// <param name="tokens">The batch.</param>
    /// <param name="rows">Which, of this batch.</param>
    /// <param name="first">How many blocks that were.</param>
    /// <returns>[rows, hidden]</returns>
    public Tensor Forward(Tensor x, PackedTokens tokens, SequenceRows rows, int first)
    {
        using var scope = new TensorScope();
        return first == blocks.Value.Count ? x
            : scope.Return(Run(x, tokens, rows, first, blocks.Value.Count));
    }

    /// <summary>
    /// The output of the first blocks, without gradients; of all blocks that of the first tokens.
    /// </summary>
    /// <param name="tokens">The batch.</param>
    /// <param name="count">How many.</param>
    /// <returns>[tokens, hidden], or [texts, hidden] where those are all blocks</returns>
    public Tensor ForwardOfFirst(PackedTokens tokens, int count)
    {
        using var scope = new TensorScope();
        return scope.Return(Run(Embed(tokens), tokens, tokens.FirstTokens, 0, count));
    }

    /// <summary>
    /// How many blocks lie below everything that is trained; 0 where something in the embeddings
    /// is.
    /// </summary>
    internal int FrozenBlocks =>
        embeddings.Value.TrainableParameters().Any() || project?.Value.TrainableParameters().Any() == true ? 0
            : blocks.Value.Items.TakeWhile(block => !block.TrainableParameters().Any()).Count();

    private Tensor Embed(PackedTokens tokens)
    {
        using var scope = new TensorScope();
        var x = embeddings.Value.Forward(tokens);
        return scope.Return(project is null ? x : project.Value.Forward(x));
    }

    /// <summary>Runs some blocks.</summary>
    /// <param name="x">[tokens, hidden]</param>
    /// <param name="tokens">The batch.</param>
    /// <param name="rows">Those that the last block of all is asked for; null: all.</param>
    /// <param name="first">The first to run.</param>
    /// <param name="end">The one after the last to run.</param>
    /// <returns>[rows, hidden]; [tokens, hidden] of another block</returns>
    private Tensor Run(Tensor x, PackedTokens tokens, SequenceRows? rows, int first, int end)
    {
        using var scope = new TensorScope();
        var isLast = end == blocks.Value.Count;
        foreach (var (block, i) in blocks.Value.Items.Take(first..end).Select((block, i) => (block, first + i)))
        {
            using var inner = new TensorScope();
            var asked = isLast && i == end - 1 && !ComputesEveryToken ? rows : null;
            x = inner.Return(RecomputesBlocks
                ? Recompute.Of(x, input => block.Forward(input, tokens.Offsets, asked))
                : block.Forward(x, tokens.Offsets, asked));
        }
        return scope.Return(isLast && ComputesEveryToken && rows is not null ? x.Gather(rows) : x);
    }
}
