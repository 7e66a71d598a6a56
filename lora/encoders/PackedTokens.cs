using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// The token ids of several texts on the device, one after the other without padding: text s has
/// the rows offsets[s] … offsets[s+1]−1. Dispose it after the backward pass, which still reads it.
/// </summary>
internal sealed class PackedTokens : IDisposable
{
    private readonly PackedBatch batch;
    private readonly IBackend? backend;
    private Indices? labels;
    // what only some models read is uploaded when one asks for it: first position or number of types → indices
    private readonly Dictionary<int, Indices> positions = [], types = [];

    /// <summary>Uploads a batch.</summary>
    /// <param name="batch">At least one text.</param>
    /// <param name="backend">Where to put it; default <see cref="Device.Default"/>.</param>
    public PackedTokens(PackedBatch batch, IBackend? backend = null)
    {
        (this.batch, this.backend) = (batch, backend);
        Offsets = new SequenceOffsets(batch.Offsets, backend);
        TokenIds = new Indices(batch.TokenIds, backend);
        FirstTokens = new SequenceRows(batch.Offsets.AsSpan(0, batch.Rows), Offsets, backend);
    }

    /// <summary>Uploads texts.</summary>
    /// <param name="texts">The ids of each text, at least one id each.</param>
    /// <param name="backend">Where to put it.</param>
    public static PackedTokens From(IEnumerable<int[]> texts, IBackend? backend = null) =>
        new(PackedBatch.Of([.. texts.Select(ids => new EncodedExample(ids, TextExample.NoLabel))]), backend);

    /// <summary>[tokens]</summary>
    public Indices TokenIds { get; }

    /// <summary>[texts + 1]</summary>
    public SequenceOffsets Offsets { get; }

    /// <summary>[texts]: the row of each text's first token, [CLS].</summary>
    public SequenceRows FirstTokens { get; }

    /// <summary>[texts]: the class of each, uploaded when it is first asked for.</summary>
    public Indices Labels => labels ??= new Indices(batch.Labels, backend);

    /// <summary>Number of texts.</summary>
    public int Texts => Offsets.Sequences;

    /// <summary>Number of tokens of all texts together.</summary>
    public int Tokens => Offsets.Tokens;

    /// <summary>[tokens]: place of each token in its text.</summary>
    /// <param name="first">What the place of a text's first token counts as.</param>
    public Indices Positions(int first) =>
        Uploaded(positions, first, () => first == 0 ? batch.Positions : [.. batch.Positions.Select(at => at + first)]);

    /// <summary>
    /// [tokens]: 1 for the tokens of a pair's second text, 0 for the others. A model that knows one
    /// type has 0 for all of them.
    /// </summary>
    /// <param name="known">How many types the model knows, at least one.</param>
    public Indices TokenTypes(int known) =>
        Uploaded(types, known, () => known > 1 ? batch.TokenTypes : new int[batch.Tokens]);

    /// <inheritdoc/>
    public void Dispose()
    {
        labels?.Dispose();
        TokenIds.Dispose();
        Offsets.Dispose();
        FirstTokens.Dispose();
        foreach (var indices in positions.Values.Concat(types.Values))
        {
            indices.Dispose();
        }
    }

    private Indices Uploaded(Dictionary<int, Indices> known, int key, Func<int[]> make)
    {
        if (!known.TryGetValue(key, out var indices))
        {
            known[key] = indices = new Indices(make(), backend);
        }
        return indices;
    }
}
