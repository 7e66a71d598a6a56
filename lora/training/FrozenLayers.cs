using LoraScratch.Engine.IO;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Lora.Training;

/// <summary>
/// The encoder's layers below everything that is trained. Without dropout their output for an
/// example never changes: a run of several epochs computes it once and keeps it.
/// </summary>
/// <param name="Count">How many; 0: the first layer, or something below it, is trained.</param>
/// <param name="RunsDropout">
/// Whether dropout runs in them in training, so that their output is another one each time.
/// </param>
/// <param name="MemoryLimit">Bytes in memory at most; 0: nothing is kept.</param>
/// <param name="Precision">
/// What their output is rounded to, kept or not, so that the result does not depend on the room.
/// </param>
internal sealed record FrozenLayers(int Count, bool RunsDropout, long MemoryLimit, FrozenPrecision Precision)
{
    /// <summary>Whether their output is the same in every epoch.</summary>
    public bool AreConstant => Count > 0 && !RunsDropout;

    /// <summary>Whether their output can be kept.</summary>
    public bool CanBeKept => AreConstant && MemoryLimit > 0;

    /// <summary><see cref="Precision"/> as a type of values.</summary>
    public DType Type => Precision == FrozenPrecision.Float16 ? DType.F16 : DType.F32;

    /// <summary>What the options make of a model that is prepared for training.</summary>
    public static FrozenLayers Of(EncoderForSequenceClassification model, TrainingOptions options) =>
        new(model.FrozenBlocks,
            options.FrozenDropout && (model.Config.Dropout > 0 || model.Config.AttentionDropout > 0),
            options.CacheMemory ?? RowStore.DefaultMemory, options.FrozenPrecision);

    /// <summary>Whether a run meets an example more than once.</summary>
    /// <param name="train">What it trains on.</param>
    /// <param name="options">Its length.</param>
    public static bool Repeats(IReadOnlyList<EncodedExample> train, TrainingOptions options)
    {
        var length = RunLength.Of(train.Count, options);
        return length.Steps > length.StepsOfEpoch;
    }
}

/// <summary>The output of a run's frozen layers for its examples, until it is disposed.</summary>
/// <param name="Train">Of those that are trained on.</param>
/// <param name="Validation">Of those held out; null without any.</param>
/// <param name="Store">Where they are.</param>
internal sealed record KeptOutputs(FrozenOutputs Train, FrozenOutputs? Validation, RowStore Store) : IDisposable
{
    /// <summary>Whether it is over.</summary>
    public bool IsDisposed { get; private set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        IsDisposed = true;
        Store.Dispose();
    }
}
