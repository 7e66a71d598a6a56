using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// A folder as Hugging Face's transformers writes and reads it: config.json, model.safetensors (or
/// several with an index), vocab.txt or tokenizer.json. What is written has all that AutoTokenizer
/// and AutoModelForSequenceClassification look for.
/// </summary>
internal static class ModelFolder
{
    /// <summary>
    /// Loads a classifier, or an encoder or masked language model that becomes one.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <param name="seed">
    /// Initialises a head that the checkpoint lacks, and names the dropout masks.
    /// </param>
    /// <param name="labels">
    /// Names of the classes, as many as the checkpoint's head has, if it has one; null: those of
    /// config.json.
    /// </param>
    /// <param name="backend">Where to put it.</param>
    /// <exception cref="InputException">
    /// A file is missing or wrong, or tensors are missing, unexpected or mis-shaped; the message
    /// lists them.
    /// </exception>
    public static LoadedModel Load(string folder, ulong seed = 0, IReadOnlyList<string>? labels = null,
        IBackend? backend = null) => ModelSource.Folder(folder).Load(seed, labels, backend: backend);

    /// <summary>
    /// Loads a masked language model to go on pretraining it, or an encoder or classifier that
    /// becomes one.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <param name="seed">
    /// Initialises a head that the checkpoint lacks, and names the dropout masks.
    /// </param>
    /// <param name="backend">Where to put it.</param>
    /// <exception cref="InputException">
    /// A file is missing or wrong, or tensors are missing, unexpected or mis-shaped; the message
    /// lists them.
    /// </exception>
    public static LoadedMaskedLM LoadMaskedLM(string folder, ulong seed = 0, IBackend? backend = null) =>
        ModelSource.Folder(folder).LoadMaskedLM(seed, backend);

    /// <summary>
    /// Writes a folder that <see cref="Load"/> and transformers read, whole or not at all.
    /// </summary>
    /// <param name="folder">The folder; its parent must exist.</param>
    /// <param name="model">Without adapters, or detached from them.</param>
    /// <param name="tokenizer">Its vocabulary goes along.</param>
    /// <param name="withHead">False: the encoder alone, where nobody has trained the head.</param>
    /// <param name="overwrite">Replaces a folder that holds a result, and nothing else.</param>
    /// <param name="dtype">F32, F16 or BF16.</param>
    /// <param name="also">
    /// Puts further files of a result into the folder that it is given; null: none.
    /// </param>
    /// <exception cref="InputException">
    /// An adapter is attached, the vocabulary does not fit, a weight is beyond the range of the
    /// type, or the folder cannot be written.
    /// </exception>
    public static void Save(string folder, EncoderForSequenceClassification model, Tokenizer tokenizer,
        bool withHead = true, bool overwrite = false, DType dtype = DType.F32, Action<string>? also = null) =>
        AtomicFolder.Write(folder, temporary =>
        {
            SaveInto(temporary, model, tokenizer, withHead, dtype);
            also?.Invoke(temporary);
        }, RunFiles.IsOfResult, overwrite);

    /// <summary>
    /// Writes the files into a folder that exists, beside whatever else is in it.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <param name="model">As in <see cref="Save"/>.</param>
    /// <param name="tokenizer">As in <see cref="Save"/>.</param>
    /// <param name="withHead">As in <see cref="Save"/>.</param>
    /// <param name="dtype">As in <see cref="Save"/>.</param>
    /// <exception cref="InputException">As from <see cref="Save"/>.</exception>
    public static void SaveInto(string folder, EncoderForSequenceClassification model, Tokenizer tokenizer,
        bool withHead = true, DType dtype = DType.F32)
    {
        RequirePlain(model);
        SaveInto(folder, model.Config, model.Config.Family.ClassifierArchitecture, model, tokenizer, dtype,
            withHead ? [] : model.HeadPaths);
    }

    /// <summary>
    /// Writes the files of a pretrained model into a folder that exists. The file has the head's
    /// tensors under Hugging Face's names but not the output weight: that is the table of the word
    /// embeddings, which is there already, and transformers ties the two again.
    /// </summary>
    /// <param name="folder">The folder.</param>
    /// <param name="model">The model.</param>
    /// <param name="tokenizer">Its vocabulary goes along.</param>
    /// <param name="dtype">F32, F16 or BF16.</param>
    /// <exception cref="InputException">
    /// The vocabulary does not fit, a weight is beyond the range of the type, or the folder cannot
    /// be written.
    /// </exception>
    public static void SaveInto(string folder, EncoderForMaskedLM model, Tokenizer tokenizer,
        DType dtype = DType.F32) =>
        SaveInto(folder, model.Config, model.Config.Family.MaskedLanguageArchitecture, model, tokenizer, dtype);

    private static void SaveInto(string folder, EncoderConfig config, string architecture, Module model,
        Tokenizer tokenizer, DType dtype, IReadOnlyList<string>? leftOut = null)
    {
        RequireFit(folder, config, tokenizer);
        // as it is now: it may have been quantised since it was loaded
        config = QuantizedLayers.Named(config, model);
        AtomicFile.WriteText(Path.Combine(folder, "config.json"), config.ToJson(architecture, dtype));
        tokenizer.SaveInto(folder, Math.Min(tokenizer.MaxLength, config.MaxPositions),
            config.Family.Architecture + "Tokenizer");
        var tensors = model.NamedParameters().Where(entry => leftOut?.Contains(entry.Path) != true)
            .Select(entry => TensorToWrite.Of(entry.Path, entry.Parameter, dtype))
            .Concat(QuantizedLayers.Tensors(model));
        SafeTensorsWriter.Write(Path.Combine(folder, Checkpoint.FileName), tensors,
            new Dictionary<string, string> { ["format"] = "pt" });
    }

    /// <summary>
    /// Writes a config.json beside an adapter, whose own format has no place for the names of
    /// classes: transformers' AutoConfig finds them there, and what it makes is the config that the
    /// base model is to be loaded with. Nothing where transformers does not know such a base.
    /// </summary>
    /// <param name="folder">The adapter folder.</param>
    /// <param name="config">Of the model with the adapter.</param>
    internal static void SaveClasses(string folder, EncoderConfig config)
    {
        if (config.IsPlain)
        {
            AtomicFile.WriteText(Path.Combine(folder, RunFiles.ConfigName), config.ToJson());
        }
    }

    /// <summary>
    /// Takes the right to write the folder, and refuses one that <see cref="Save"/> could not
    /// write, before a long work begins.
    /// </summary>
    /// <param name="folder">As in <see cref="Save"/>.</param>
    /// <param name="overwrite">As in <see cref="Save"/>.</param>
    /// <returns>
    /// To be disposed when the model is saved: until then no other process writes it.
    /// </returns>
    /// <exception cref="InputException">As from <see cref="Save"/>.</exception>
    public static OutputLock Reserve(string folder, bool overwrite = false) =>
        AtomicFolder.Reserve(folder, RunFiles.IsOfResult, overwrite);

    private static void RequirePlain(EncoderForSequenceClassification model)
    {
        if (model.NamedParameters().Select(entry => entry.Path)
            .FirstOrDefault(path => !model.CheckpointPaths.Contains(path)) is { } foreign)
        {
            throw new InputException("The model cannot be saved as a plain model while an adapter is attached "
                + $"('{foreign}'). Merge or detach the adapter first, or save the adapter alone.");
        }
    }

    internal static void RequireFit(string source, EncoderConfig config, Tokenizer tokenizer)
    {
        if (tokenizer.VocabularySize > config.VocabularySize)
        {
            throw new InputException($"{source}: the vocabulary has {tokenizer.VocabularySize} pieces, config.json's "
                + $"vocab_size is {config.VocabularySize}: ids would lie outside the model. They belong to different "
                + "models.");
        }
    }
}
