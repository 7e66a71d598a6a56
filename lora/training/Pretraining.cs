using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Processes;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Training;

/// <summary>
/// One pretraining of an encoder as a masked language model, like <see cref="FineTuning"/>:
/// started, estimated, run and saved.
/// </summary>
internal sealed class Pretraining
{
    private readonly MaskedLanguageTask task;

    private Pretraining(MaskedLanguageTask task, PretrainingData data, TrainingOptions options) =>
        (this.task, Data, Training) =
            (task, data, new TrainingRun(task, options, data.Train, data.Validation));

    /// <summary>The run: how long it will take, how it goes, where it is saved.</summary>
    public TrainingRun Training { get; }

    /// <summary>What it trains on, and what is held out.</summary>
    public PretrainingData Data { get; }

    /// <summary>Makes a model ready to be trained: everything in it is unfrozen.</summary>
    /// <param name="model">The model.</param>
    /// <param name="masking">What it must guess.</param>
    /// <param name="data">Pieces of texts.</param>
    /// <param name="options">How; the method is <see cref="TrainingMethod.Full"/>.</param>
    /// <exception cref="InputException">The options make no sense.</exception>
    public static Pretraining Start(EncoderForMaskedLM model, TokenMasking masking, PretrainingData data,
        TrainingOptions options)
    {
        options.Check();
        if (options.Method != TrainingMethod.Full)
        {
            throw new InputException("Pretraining trains every parameter: the method is full.");
        }
        model.Unfreeze();
        return new Pretraining(new MaskedLanguageTask(model, masking, options), data, options);
    }

    /// <summary>Loss and accuracy on masked tokens, with the same masks each time.</summary>
    /// <param name="examples">At least one.</param>
    public Score Evaluate(IReadOnlyList<EncodedExample> examples) =>
        task.Evaluate(examples, ProcessGroup.Alone, default);

    /// <summary>Writes the model folder whole or not at all.</summary>
    /// <param name="folder">The folder; its parent must exist.</param>
    /// <param name="tokenizer">The model's.</param>
    /// <param name="dtype">Type of the weights in the file: F32, F16 or BF16.</param>
    /// <param name="data">Numbers about the data, for the reader of training.json.</param>
    /// <param name="result">What <see cref="TrainingRun.Run"/> returned.</param>
    /// <param name="baseModel">
    /// Folder of the model that the run continued from; null from randomly initialised weights.
    /// </param>
    /// <param name="overwrite">Replaces the folder of an earlier run.</param>
    /// <exception cref="InputException">The folder cannot be written.</exception>
    public void Save(string folder, WordPieceTokenizer tokenizer, DType dtype, object data, TrainingResult result,
        string? baseModel, bool overwrite = false) => TrainingFolder.SavePretrained(folder, task.Masked, tokenizer,
            dtype, task.OptionsByName(), data, result, baseModel, overwrite);
}
