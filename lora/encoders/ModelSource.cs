using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Kernels;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Hub;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Encoders;

/// <summary>A classifier as it comes from its files.</summary>
/// <param name="Model">In evaluation mode.</param>
/// <param name="Tokenizer">Of the same files.</param>
/// <param name="Report">What was ignored, initialised or renamed.</param>
internal sealed record LoadedModel(EncoderForSequenceClassification Model, Tokenizer Tokenizer,
    LoadReport Report)
{
    /// <summary>What the user should know about the files.</summary>
    public IEnumerable<string> Notices() => [.. Model.Config.Notices, .. Report.Notices()];
}

/// <summary>A masked language model as it comes from its files.</summary>
/// <param name="Model">In evaluation mode.</param>
/// <param name="Tokenizer">Of the same files.</param>
/// <param name="Report">What was ignored, initialised or renamed.</param>
internal sealed record LoadedMaskedLM(EncoderForMaskedLM Model, WordPieceTokenizer Tokenizer, LoadReport Report)
{
    /// <summary>What the user should know about the files.</summary>
    public IEnumerable<string> Notices() => [.. Model.Config.Notices, .. Report.Notices()];
}

/// <summary>Where the files of a model are: in a folder, or in the program itself.</summary>
internal abstract class ModelSource
{
    private protected ModelSource()
    {
    }

    /// <summary>
    /// What messages call it: the folder, or <see cref="PretrainedBase.Description"/>.
    /// </summary>
    public abstract string Name { get; }

    /// <summary>
    /// What an adapter calls the base that it was trained on: the folder, its name on the hub, or
    /// <see cref="PretrainedBase.Name"/>.
    /// </summary>
    public abstract string Reference { get; }

    /// <summary>
    /// The revision of a model from the hub; null where it is the default one, or no such model.
    /// </summary>
    public virtual string? Revision => null;

    /// <summary>The folder; null where there is none.</summary>
    public virtual string? Path => null;

    /// <summary>A model folder.</summary>
    /// <param name="path">
    /// With config.json, model.safetensors (or several with an index), vocab.txt or tokenizer.json;
    /// read when it is asked for.
    /// </param>
    public static ModelSource Folder(string path) => new FolderSource(path, path, revision: null);

    /// <summary>A model from the hub.</summary>
    /// <param name="name">What adapters call it.</param>
    /// <param name="folder">Where its files are.</param>
    public static ModelSource FromHub(HubName name, string folder) =>
        new FolderSource(folder, name.Name, name.OtherRevision);

    /// <summary>
    /// What a name means: the built-in base model, a folder, or a model that the Hugging Face cache
    /// has.
    /// </summary>
    /// <param name="name">
    /// <see cref="PretrainedBase.Name"/>, a path, or ORG/NAME[@REVISION]; a folder comes before the
    /// cache.
    /// </param>
    /// <exception cref="InputException">
    /// There is nothing of that name, or the cache does not have its files.
    /// </exception>
    public static ModelSource Named(string name)
    {
        if (BuiltInBase.IsNamedBy(name) && BuiltInBase.IsHere && name == BuiltInBase.Name)
        {
            return BuiltIn;
        }
        if (Directory.Exists(name))
        {
            return Folder(name);
        }
        var onHub = HubName.Parse(name);
        return onHub is not null && HubCache.Default.Find(onHub) is { } snapshot ? FromHub(onHub, snapshot)
            : throw new InputException($"{name}: there is no such folder" + (onHub is not null
                ? $", and the Hugging Face cache has no model of that name ({HubCache.Default.FolderOf(onHub.Name)})."
                    + (onHub.HasOwner ? $" {HubCache.Download(onHub)}" : "")
                : "."));
    }

    /// <summary>The built-in base model; see <see cref="PretrainedBase"/>.</summary>
    public static ModelSource BuiltIn { get; } = new EmbeddedSource();

    /// <summary>Sizes, rates and classes.</summary>
    /// <exception cref="InputException">The file is missing or wrong.</exception>
    public abstract EncoderConfig ReadConfig();

    /// <summary>The tokenizer that the model was trained with.</summary>
    /// <exception cref="InputException">The file is missing or wrong.</exception>
    public abstract Tokenizer ReadTokenizer();

    /// <summary>Opens the weights.</summary>
    /// <exception cref="InputException">A file is missing or malformed.</exception>
    public abstract Checkpoint OpenWeights();

    /// <summary>Opens all files, each once.</summary>
    /// <exception cref="InputException">
    /// A file is missing or wrong, or they do not belong together.
    /// </exception>
    public OpenedModel Open()
    {
        var config = ReadConfig();
        Tokenizer tokenizer;
        using (Stages.Begin("read tokenizer"))
        {
            tokenizer = ReadTokenizer();
        }
        ModelFolder.RequireFit(Name, config, tokenizer);
        var files = OpenWeights();
        try
        {
            CheckpointLoader.RequireSize(config, files);
            return new OpenedModel(this, config, tokenizer, files);
        }
        catch
        {
            files.Dispose();
            throw;
        }
    }

    /// <summary>Opens the files and loads a classifier.</summary>
    /// <param name="seed">As for <see cref="OpenedModel.Load"/>.</param>
    /// <param name="labels">As there.</param>
    /// <param name="newHead">As there.</param>
    /// <param name="backend">Where to put it.</param>
    /// <param name="isMultiLabel">As there.</param>
    /// <exception cref="InputException">As from <see cref="Open"/> and there.</exception>
    public LoadedModel Load(ulong seed = 0, IReadOnlyList<string>? labels = null, bool newHead = false,
        IBackend? backend = null, bool? isMultiLabel = null)
    {
        using var opened = Open();
        return opened.Load(seed, labels, newHead, backend, isMultiLabel);
    }

    /// <summary>Opens the files and loads a masked language model.</summary>
    /// <param name="seed">As for <see cref="OpenedModel.LoadMaskedLM"/>.</param>
    /// <param name="backend">Where to put it.</param>
    /// <exception cref="InputException">As from <see cref="Open"/> and there.</exception>
    public LoadedMaskedLM LoadMaskedLM(ulong seed = 0, IBackend? backend = null)
    {
        using var opened = Open();
        return opened.LoadMaskedLM(seed, backend);
    }

    /// <summary>
    /// What a user should know about the files that a model was loaded from; nothing about the
    /// program's own, which are as they should be.
    /// </summary>
    /// <param name="notices">Of the model that was loaded.</param>
    public abstract IEnumerable<string> Notices(IEnumerable<string> notices);

    /// <inheritdoc/>
    public override string ToString() => Name;

    private sealed class FolderSource(string path, string reference, string? revision) : ModelSource
    {
        public override string Name => path;

        public override string Reference => reference;

        public override string? Revision => revision;

        public override string Path => path;

        public override EncoderConfig ReadConfig()
        {
            if (!Directory.Exists(path))
            {
                throw new InputException($"{path}: there is no such folder. A model folder with config.json, "
                    + $"{Checkpoint.FileName} and vocab.txt is expected.");
            }
            bool Has(string name) => File.Exists(System.IO.Path.Combine(path, name));
            if (Has(PeftAdapter.ConfigName) && !Has(Checkpoint.FileName) && !Has(Checkpoint.IndexName))
            {
                throw new InputException($"{path}: is an adapter ({PeftAdapter.ConfigName}) and no model. Give it as "
                    + "the adapter, and as the model the one that it was trained on.");
            }
            return EncoderConfig.Load(path);
        }

        public override Tokenizer ReadTokenizer() => Tokenizer.Load(path);

        public override Checkpoint OpenWeights() => Checkpoint.Open(path);

        public override IEnumerable<string> Notices(IEnumerable<string> notices) => notices;
    }

    private sealed class EmbeddedSource : ModelSource
    {
        public override string Name => BuiltInBase.Description;

        public override string Reference => BuiltInBase.Name;

        public override EncoderConfig ReadConfig() =>
            EncoderConfig.Parse($"{Name}, config.json", BuiltInBase.Read("config.json"));

        public override Tokenizer ReadTokenizer() =>
            WordPieceTokenizer.ParseVocabulary($"{Name}, vocab.txt", BuiltInBase.Read("vocab.txt"));

        public override Checkpoint OpenWeights() =>
            Checkpoint.Of(SafeTensorsFile.Open(Name, BuiltInBase.Open(Checkpoint.FileName)));

        public override IEnumerable<string> Notices(IEnumerable<string> notices) => [];
    }
}
