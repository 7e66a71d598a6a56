using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Quantization;
using LoraScratch.Lora.Tokenizers;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>
/// The options that say what a training run starts from: --model, or --config and --vocab, perhaps
/// --init-adapter; and the data, whose classes belong to the same question.
/// </summary>
/// <param name="split">
/// Which half of the movie reviews is read; null: both, for an experiment, which does not start
/// from randomly initialised weights.
/// </param>
internal sealed class StartOptions(DatasetSplit? split = DatasetSplit.Train)
{
    private const string HintAtNamedClasses =
        "These are the classes that config.json names. Correct the label or the names there.";
    private const string HintAtNewHead =
        "These are the classes of the head that the model has: option 'new-head' draws another one for those of the "
        + "data.";
    private readonly ModelOption model =
        new("The model folder to start from: config.json, model.safetensors and a tokenizer");
    private readonly Option<string> config =
        OptionKinds.Path("--config", "FILE",
            "A config.json: starts from randomly initialised weights, with --method full.");
    private readonly Option<string> vocabulary =
        OptionKinds.Path("--vocab", "FILE", "The vocab.txt or tokenizer.json that goes with --config.");
    private readonly Option<string> initialAdapter = OptionKinds.Path("--init-adapter", HubFolders.HelpName, "Goes on "
        + "training this adapter; its rank, alpha and layers are kept.");
    private readonly Option<bool> anyBase = ModelOptions.AnyBase();
    private readonly Option<bool> newHead = new("--new-head")
    {
        Description = "Draws a new classification head for the classes of the data, though the model has a trained "
            + "one for others."
    };
    private readonly Option<bool> multiLabel = OptionKinds.MultiLabel();
    private readonly LabelsOption labels = new();
    private readonly DataOptions data = new();

    /// <summary>Adds the options to a command.</summary>
    public void AddTo(Command command)
    {
        data.AddTo(command);
        model.AddTo(command);
        command.Add(newHead);
        command.Add(multiLabel);
        labels.AddTo(command);
        foreach (Option option in split is null ? [] : (Option[])[config, vocabulary, initialAdapter, anyBase])
        {
            command.Add(option);
        }
    }

    /// <summary>Whether the model's head, if it has one, is replaced by a new one.</summary>
    public bool NewHead(ParseResult parsed) => parsed.GetValue(newHead);

    /// <summary>The model to start from; null from scratch.</summary>
    public ModelSource? Source(ParseResult parsed) => parsed.GetValue(config) is not null ? null
        : InitialAdapter(parsed) is { } adapter ? model.Source(parsed, adapter) : model.Source(parsed);

    /// <summary>The adapter to continue from, or null.</summary>
    public string? InitialAdapter(ParseResult parsed) =>
        parsed.GetValue(initialAdapter) is { } given ? model.Hub.Folder(given) : null;

    /// <summary>Whether that adapter may have been trained on other weights.</summary>
    public bool AnyBase(ParseResult parsed) => parsed.GetValue(anyBase);

    /// <summary>
    /// How --method qa-lora is to quantise the model; null where it is quantised already.
    /// </summary>
    /// <exception cref="InputException">It is, and options say how.</exception>
    public QuantizationSettings? Quantization(ParseResult parsed, TrainingOptionsParser training)
    {
        if (Source(parsed) is not { } source || source.ReadConfig().Quantized.Count == 0)
        {
            return training.Quantization(parsed);
        }
        training.RequireDefaultQuantization(parsed, source.Name);
        return null;
    }

    /// <summary>Refuses combinations that make no sense.</summary>
    /// <exception cref="InputException">The message says which, and what to do.</exception>
    public void Check(ParseResult parsed, TrainingOptions options, TrainingOptionsParser training)
    {
        var hasConfig = parsed.GetValue(config) is not null;
        if (hasConfig && model.IsGiven(parsed))
        {
            throw new InputException("--model and --config are both given: start from a model folder, or from a "
                + "config with randomly initialised weights.");
        }
        if (hasConfig != parsed.GetValue(vocabulary) is not null)
        {
            throw new InputException($"{(hasConfig ? "--config needs --vocab" : "--vocab needs --config")}: a new "
                + "model is made of both. To start from a trained model, leave both out.");
        }
        if (hasConfig && options.Method != TrainingMethod.Full)
        {
            throw new InputException(
                "--config initialises the weights at random, and there is nothing to adapt in them: "
                + "train them first (--method full), or leave --config out to adapt a trained model.");
        }
        if (NewHead(parsed) && (hasConfig || options.InitialAdapter is not null))
        {
            throw new InputException(hasConfig
                ? "--new-head has no effect with --config, which draws every weight. Leave it out."
                : "--new-head and --init-adapter contradict each other: the adapter goes on with the head that it was "
                    + "trained with. Leave one of the two out.");
        }
        if (options.InitialAdapter is not null)
        {
            training.RequireDefaultAdapter(parsed);
        }
    }

    /// <summary>
    /// Loads or draws the model, and reads the data with its classes; what is noteworthy about the
    /// data is said on standard error.
    /// </summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="options">Seed, initial adapter, lengths, share that is held out.</param>
    /// <param name="backend">Where to put the model.</param>
    /// <exception cref="InputException">
    /// A file is missing or wrong, or model and data do not fit.
    /// </exception>
    public (TextClassifier Classifier, TextDataset Dataset) Load(ParseResult parsed, TrainingOptions options,
        IBackend backend) => Load(parsed, options, backend, split, options.Validation);

    /// <summary>
    /// The same, of the movie reviews with another half than such commands read otherwise.
    /// </summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="options">Seed, initial adapter, lengths.</param>
    /// <param name="backend">Where to put the model.</param>
    /// <param name="half">Which half of the movie reviews; null: both.</param>
    /// <param name="share">The smallest share of the examples that is held out.</param>
    /// <exception cref="InputException">
    /// A file is missing or wrong, or model and data do not fit.
    /// </exception>
    public (TextClassifier Classifier, TextDataset Dataset) Load(ParseResult parsed, TrainingOptions options,
        IBackend backend, DatasetSplit? half, double share)
    {
        if (Source(parsed) is { } source)
        {
            using var opened = source.Open();
            Console.Error.WriteLine(Terminal.Printable($"starting from {source}: {opened.Config.Layers} layers of "
                + $"width {opened.Config.Hidden}, {Text.Count(opened.Config.VocabularySize)} pieces in the "
                + "vocabulary"));
            var adapter = options.InitialAdapter is { } folder ? AdapterTask.Read(folder) : null;
            var isNew = NewHead(parsed) || adapter is { HasHead: true };
            var classes = ClassesOfHead(parsed, opened, adapter);
            RequireSameTask(parsed, source.Name, adapter is { HasHead: true } ? adapter.IsMultiLabel
                : opened.HasHead && !isNew ? opened.Config.IsMultiLabel : null);
            var dataset = classes is not null ? Data(parsed, half, new LabelSet(classes),
                    opened.HasHead && !isNew ? HintAtNewHead : null)
                : NewHead(parsed) ? Data(parsed, half)
                : LoadWithClassesOf(parsed, source.Name, opened.Config, half);
            SayFindings(parsed, dataset, opened.Tokenizer, opened.Config.MaxTokens(opened.Tokenizer, options.MaxLength),
                share);
            return (ModelOptions.Load(opened, backend, options.Seed, dataset.Labels.Names, isNew, dataset.IsMultiLabel),
                dataset);
        }
        var given = EncoderConfig.Load(parsed.GetValue(config)!);
        ModelOptions.Notices(parsed.GetValue(config)!, given.Notices);
        TrainingMemory.Require(parsed.GetValue(config)!, given, options, backend);
        var tokenizer = Tokenizer.Load(parsed.GetValue(vocabulary)!);
        if (tokenizer.VocabularySize > given.VocabularySize)
        {
            throw new InputException($"{parsed.GetValue(vocabulary)}: {tokenizer.VocabularySize} pieces, but the "
                + $"vocab_size of {parsed.GetValue(config)} is {given.VocabularySize}. Set vocab_size to at least "
                + $"{tokenizer.VocabularySize}.");
        }
        var texts = labels.Names(parsed) is { } names ? Data(parsed, half, new LabelSet(names))
            : LoadWithClassesOf(parsed, parsed.GetValue(config)!, given, half);
        SayFindings(parsed, texts, tokenizer, given.MaxTokens(tokenizer, options.MaxLength), share);
        return (new TextClassifier(
            new EncoderForSequenceClassification(given with
            {
                Labels = texts.Labels.Names,
                IsMultiLabel = texts.IsMultiLabel,
            }, options.Seed, backend), tokenizer), texts);
    }

    private bool IsMultiLabel(ParseResult parsed) =>
        parsed.GetValue(multiLabel) || data.Format(parsed).LabelColumns is not null;

    private TextDataset Data(ParseResult parsed, DatasetSplit? half, LabelSet? labels = null, string? hint = null) =>
        data.Load(parsed, half, labels, hint, IsMultiLabel(parsed), reportsEmpty: true);

    /// <summary>
    /// Says what is noteworthy about the data, all at once, and then refuses rows that lack
    /// something.
    /// </summary>
    private void SayFindings(ParseResult parsed, TextDataset dataset, Tokenizer tokenizer, int maxLength, double share)
    {
        new DataFindings(DataReport.Of(dataset, tokenizer, maxLength, share),
            Source(parsed) == ModelSource.BuiltIn ? PretrainedBase.CutWordShare : null).Say();
        if (dataset.Incomplete.Count > 0 && data.Format(parsed).EmptyRows == EmptyRows.Refuse)
        {
            throw dataset.Incomplete.Refused();
        }
    }

    /// <summary>Refuses data of another kind than the head that is there.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="model">What messages call the model.</param>
    /// <param name="isMultiLabel">Of the head; null: a new one is drawn.</param>
    private void RequireSameTask(ParseResult parsed, string model, bool? isMultiLabel)
    {
        if (isMultiLabel is { } head && head != IsMultiLabel(parsed))
        {
            throw new InputException(head
                ? $"{model}: its head is for any number of classes (multi-label). Give --multi-label and data with "
                    + "sets of labels, or --new-head to train another head."
                : $"{model}: its head is for one class of several, and --multi-label (or --label-columns) is given. "
                    + "Leave that out, or give --new-head to train another head.");
        }
    }

    /// <summary>
    /// The classes that are given before the data are read; null: those of the data.
    /// </summary>
    private IReadOnlyList<string>? ClassesOfHead(ParseResult parsed, OpenedModel model, AdapterTask? adapter) =>
        adapter is { HasHead: true } ? adapter.Labels(labels.Names(parsed), model.Config)
        : model.HasHead && !NewHead(parsed) ? model.ClassesOfHead(labels.Names(parsed))
        : labels.Names(parsed);

    /// <summary>Reads test examples that are not a share of --data.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="path">The file or folder; of the movie reviews test/ is read.</param>
    /// <param name="labels">The classes of --data.</param>
    public TextDataset LoadTest(ParseResult parsed, string path, LabelSet labels) =>
        data.Load(parsed, path, DatasetSplit.Test, labels, isMultiLabel: IsMultiLabel(parsed));

    /// <summary>
    /// Reads the data for a new head. The classes of config.json hold where the labels are some of
    /// them or their indices, those of the data where no label is any of them.
    /// </summary>
    private TextDataset LoadWithClassesOf(ParseResult parsed, string model, EncoderConfig config,
        DatasetSplit? half)
    {
        var dataset = Data(parsed, half);
        if (!config.HasClasses)
        {
            return dataset;
        }
        var isNumbered = config.Labels.Select((name, id) => name == $"LABEL_{id}").All(holds => holds);
        var named = isNumbered ? LabelSet.Numbered(config.Labels.Count) : new LabelSet(config.Labels);
        if (dataset.WithClasses(named) is { } fitting)
        {
            return fitting;
        }
        if (!isNumbered && dataset.Labels.Names.Any(config.Labels.Contains))
        {
            return Data(parsed, half, named, HintAtNamedClasses);      // refuses the label that is none of them
        }
        if (!isNumbered)
        {
            ModelOptions.Notices([$"{model}: names the classes {LabelSet.Listed(config.Labels)}, of which the data "
                + $"have none: the new head is for {LabelSet.Listed(dataset.Labels.Names)}."]);
        }
        return dataset;
    }
}
