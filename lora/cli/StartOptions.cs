using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.DistilBert;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>The options that say what a training run starts from: --model, or --config and --vocab, perhaps --init-adapter; and the data, whose classes belong to the same question.</summary>
/// <param name="split">Which half of the movie reviews is read; null: both, for an experiment, which starts from a model folder only.</param>
internal sealed class StartOptions(DatasetSplit? split = DatasetSplit.Train)
{
    private readonly Option<string> model = OptionKinds.Path("--model", "DIR", "The model folder to start from: config.json, model.safetensors and vocab.txt.");
    private readonly Option<string> config = OptionKinds.Path("--config", "FILE", "A config.json: starts from freshly drawn weights, with --method full.");
    private readonly Option<string> vocabulary = OptionKinds.Path("--vocab", "FILE", "The vocab.txt that goes with --config.");
    private readonly Option<string> initialAdapter = OptionKinds.Path("--init-adapter", "DIR", "Goes on training this adapter; its rank, alpha and layers are kept.");
    private readonly Option<bool> anyBase = ModelOptions.AnyBase();
    private readonly DataOptions data = new();

    /// <summary>The options that name a model or an adapter.</summary>
    public IReadOnlyList<Option> All => split is null ? [model] : [model, config, vocabulary, initialAdapter, anyBase];

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        data.AddTo(command);
        foreach (var option in All)
        {
            command.Add(option);
        }
    }

    /// <summary>The model folder; null from scratch.</summary>
    public string? Model(ParseResult parsed) => parsed.GetValue(model);

    /// <summary>The adapter to go on from, or null.</summary>
    public string? InitialAdapter(ParseResult parsed) => parsed.GetValue(initialAdapter);

    /// <summary>Whether that adapter may have been trained on other weights.</summary>
    public bool AnyBase(ParseResult parsed) => parsed.GetValue(anyBase);

    /// <summary>Refuses combinations that make no sense.</summary>
    /// <exception cref="InputException">The message says which, and what to do.</exception>
    public void Check(ParseResult parsed, TrainingOptions options, TrainingOptionsParser training)
    {
        var hasConfig = parsed.GetValue(config) is not null;
        if (hasConfig && Model(parsed) is not null)
        {
            throw new InputException("--model and --config are both given: start from a model folder, or from a config with freshly drawn weights.");
        }
        if (hasConfig != parsed.GetValue(vocabulary) is not null)
        {
            throw new InputException($"{(hasConfig ? "--config needs --vocab" : "--vocab needs --config")}: a new model is made of both. To start from a model folder, use --model alone.");
        }
        if (!hasConfig && Model(parsed) is null)
        {
            throw new InputException(split is null ? "No model is given: use --model DIR." : "No model is given: use --model DIR, or --config FILE --vocab FILE to start from freshly drawn weights.");
        }
        if (hasConfig && options.Method != TrainingMethod.Full)
        {
            throw new InputException("--config draws the weights at random, and there is nothing to adapt in them: train them first (--method full), or name a trained model with --model.");
        }
        if (options.InitialAdapter is not null)
        {
            training.RequireDefaultAdapter(parsed);
        }
    }

    /// <summary>Loads or draws the model, and reads the data with its classes.</summary>
    /// <param name="parsed">The command line.</param> <param name="options">Seed and initial adapter.</param> <param name="backend">Where to put the model.</param>
    /// <exception cref="InputException">A file is missing or wrong, or model and data do not fit.</exception>
    public (TextClassifier Classifier, TextDataset Dataset) Load(ParseResult parsed, TrainingOptions options, IBackend backend)
    {
        if (Model(parsed) is { } folder)
        {
            var ofFolder = DistilBertConfig.Load(folder);
            var fixedClasses = ModelFolder.HasHead(folder) ? ofFolder.Labels
                : options.InitialAdapter is { } adapter ? ModelOptions.LabelsOf(adapter, folder) ?? ofFolder.Labels
                : null;
            var dataset = fixedClasses is null ? LoadWithClassesOf(parsed, ofFolder) : data.Load(parsed, split, new LabelSet(fixedClasses));
            return (ModelOptions.LoadModel(folder, backend, options.Seed, dataset.Labels.Names), dataset);
        }
        var given = DistilBertConfig.Load(parsed.GetValue(config)!);
        ModelOptions.Notices(parsed.GetValue(config)!, given.Notices);
        var tokenizer = WordPieceTokenizer.Load(parsed.GetValue(vocabulary)!);
        if (tokenizer.VocabularySize > given.VocabularySize)
        {
            throw new InputException($"{parsed.GetValue(vocabulary)}: {tokenizer.VocabularySize} pieces, but the vocab_size of {parsed.GetValue(config)} is {given.VocabularySize}. Set vocab_size to at least {tokenizer.VocabularySize}.");
        }
        var texts = LoadWithClassesOf(parsed, given);
        return (new TextClassifier(new DistilBertForSequenceClassification(given with { Labels = texts.Labels.Names }, options.Seed, backend), tokenizer), texts);
    }

    /// <summary>
    /// Reads the data for a head that is to be drawn. Classes that config.json names hold; where it has none, or only numbers them (LABEL_0, …), those of the data hold, and at least as
    /// many as config.json has.
    /// </summary>
    private TextDataset LoadWithClassesOf(ParseResult parsed, DistilBertConfig config)
    {
        if (!config.HasClasses)
        {
            return data.Load(parsed, split);
        }
        if (config.Labels.Where((name, id) => name != $"LABEL_{id}").Any())
        {
            return data.Load(parsed, split, new LabelSet(config.Labels));
        }
        var dataset = data.Load(parsed, split);
        var isNumbered = dataset.Labels.Names.Select((name, id) => name == $"{id}").All(holds => holds);
        return isNumbered && dataset.Labels.Count < config.Labels.Count ? new TextDataset(dataset.Examples, LabelSet.Numbered(config.Labels.Count), dataset.Source) : dataset;
    }
}
