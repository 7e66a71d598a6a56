using System.CommandLine;
using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Kernels;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>lora pretrain: an encoder of its own, trained to guess masked tokens.</summary>
internal sealed class PretrainCommand
{
    private static readonly TrainingOptions Defaults =
        new()
        {
            Method = TrainingMethod.Full,
            LearningRate = 5e-4f,
            Epochs = 1,
            BatchSize = 32,
            MaxLength = 128,
            Validation = 0.01
        };

    private readonly CorpusOptions corpus = new();
    private readonly ModelOption model = new("The model folder to go on with, and its vocabulary");
    private readonly Option<string> config =
        OptionKinds.Path("--config", "FILE", "A config.json: starts from randomly initialised weights of these sizes.");
    private readonly Option<string> vocabulary = OptionKinds.Path("--vocab", "FILE", "The vocab.txt that goes with "
        + "--config, from 'lora vocabulary' or of a BERT model.");
    private readonly OutputOptions output = new("DIR", "Where the model folder goes.");
    private readonly Option<bool> wholeWords =
        new("--whole-words") { Description = "Masks the pieces of a word together." };
    private readonly TrainingOptionsParser training = new(TrainingOptionList.OfPretraining, Defaults,
        new Dictionary<string, string>
        {
            ["lr"] = "Largest learning rate.",
            ["weight-decay"] = "Weight decay of AdamW.",
            ["warmup"] = "Steps over which the learning rate rises from 0 before it falls to 0; below 1: that share "
                + "of all steps.",
            ["epochs"] = "Passes over the data, each with other masks.",
            ["batch-size"] = "Pieces of a batch.",
            ["max-length"] = "Tokens of the pieces that texts are cut into, [CLS] and [SEP] included.",
            ["limit"] = "Trains on so many texts only, drawn by seed. [default: all]",
            ["validation"] = "Share of the texts that is held out to measure loss and accuracy on fixed masks; the "
                + "best state is kept. 0: none.",
        });
    private readonly Option<string> type =
        OptionKinds.Dtype("Type of the weights in the file; training computes in float32.");
    private readonly CheckpointCommandOptions saving = new();
    private readonly DeviceOptions device = new();

    public static Command Create()
    {
        var pretrain = new PretrainCommand();
        var command = new ExampleCommand("pretrain",
            "Trains an encoder, a DistilBERT or a BERT, to guess masked tokens (masked language model); 'lora train "
                + "--model' goes on from it.",
            "lora pretrain --data reviews.jsonl.gz aclImdb --exclude aclImdb --config config.json --vocab vocab.txt "
                + "--out base",
            "lora pretrain --data reviews.jsonl.gz --config config.json --vocab vocab.txt --out base --whole-words "
                + "--dtype f16 --checkpoint-every 500 --resume",
            "lora pretrain --data my-texts.jsonl --model base --out my-base --max-length 512 --lr 2e-4");
        pretrain.corpus.AddTo(command);
        pretrain.model.AddTo(command);
        command.Add(pretrain.config);
        command.Add(pretrain.vocabulary);
        command.Add(pretrain.wholeWords);
        pretrain.training.AddTo(command);
        command.Add(pretrain.type);
        pretrain.output.AddTo(command);
        pretrain.saving.AddTo(command);
        pretrain.device.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.Run(() => pretrain.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var options = training.Parse(parsed);
        options.Check();
        options = options.For(Processes.All.Size);
        var folder = output.Path(parsed)!;
        var checkpoint = saving.Parse(parsed, folder);
        using var reserved = output.Reserve(parsed,
            (path, overwrite) => TrainingFolder.Reserve(path, overwrite, checkpoint));
        using var backend = device.Open(parsed);
        var (model, tokenizer) = Start(parsed, options, backend);
        var masking = new TokenMasking(tokenizer, parsed.GetValue(wholeWords));
        var texts = corpus.Load(parsed);
        cancellation.ThrowIfCancellationRequested();
        var data = PretrainingData.Prepare(texts.Texts, tokenizer, masking, model.Config.MaxPositions, options);
        var pretraining = Pretraining.Start(model, masking, data, options);
        Describe(pretraining, backend);
        TrainingProgress.SayEstimate(pretraining.Training, checkpoint.Resume, Processes.All);
        cancellation.ThrowIfCancellationRequested();
        using var note = saving.SayHowToResume(parsed, checkpoint, cancellation);
        var result = TrainingProgress.Show(pretraining.Training,
            () => pretraining.Training.Run(cancellation, checkpoint, Processes.All));
        if (result.Steps == 0)
        {
            throw new OperationCanceledException(cancellation);
        }
        if (!Processes.All.IsFirst)
        {
            return result.WasCancelled ? 130 : 0;
        }
        var about = new
        {
            texts = data.TrainTexts,
            validation_texts = data.ValidationTexts,
            pieces = data.Train.Count,
            tokens = data.Tokens,
            excluded = texts.Sources.Sum(source => source.Excluded),
            repeated = texts.Sources.Sum(source => source.Repeated)
        };
        var overwrite = output.MayReplace(parsed) || checkpoint.Resume;
        ResultFolder.Save(folder, to => pretraining.Save(to, tokenizer, Type(parsed), about, result,
            Source(parsed)?.Reference, overwrite));
        if (result.WasCancelled)
        {
            Console.WriteLine($"Stopped after step {result.Steps} of {result.TotalSteps}: the run is saved in "
                + $"{checkpoint.Path}, and the weights after step {result.KeptStep} are in {folder}. To resume:");
            Console.WriteLine($"  {saving.CommandToResume(parsed)}");
            return 130;
        }
        checkpoint.Delete();
        Report(result, folder);
        return 0;
    }

    private (EncoderForMaskedLM Model, WordPieceTokenizer Tokenizer) Start(ParseResult parsed,
        TrainingOptions options, IBackend backend)
    {
        var (configPath, vocabularyPath) = (parsed.GetValue(config), parsed.GetValue(vocabulary));
        if (configPath is null != vocabularyPath is null)
        {
            throw new InputException($"{(configPath is null ? "--vocab needs --config" : "--config needs --vocab")}: "
                + "a new model is made of both. To continue from a model, leave both out.");
        }
        if (configPath is not null && model.IsGiven(parsed))
        {
            throw new InputException("--model and --config are both given: continue from a model, or start from a "
                + "config with randomly initialised weights.");
        }
        if (Source(parsed) is { } source)
        {
            var loaded = source.LoadMaskedLM(options.Seed, backend);
            ModelOptions.Notices(source.Name, source.Notices(loaded.Notices()));
            RequireLength(options, loaded.Model.Config, source.Name);
            return (loaded.Model, loaded.Tokenizer);
        }
        var sizes = EncoderConfig.Load(configPath!);
        ModelOptions.Notices(configPath!, sizes.Notices);
        TrainingMemory.Require(configPath!, sizes, options, backend);
        var tokenizer = WordPieceTokenizer.Load(vocabularyPath!);
        if (tokenizer.VocabularySize > sizes.VocabularySize)
        {
            throw new InputException($"{vocabularyPath}: {tokenizer.VocabularySize} pieces, but the vocab_size of "
                + $"{configPath} is {sizes.VocabularySize}. Set vocab_size to {tokenizer.VocabularySize}.");
        }
        RequireLength(options, sizes, configPath!);
        return (new EncoderForMaskedLM(sizes, options.Seed, backend), tokenizer);
    }

    /// <summary>The model to continue from; null from randomly initialised weights.</summary>
    private ModelSource? Source(ParseResult parsed) => parsed.GetValue(config) is null ? model.Source(parsed) : null;

    private static void RequireLength(TrainingOptions options, EncoderConfig sizes, string source)
    {
        if (options.MaxLength > sizes.MaxPositions)
        {
            throw new InputException($"--max-length is {options.MaxLength}; {source} has {sizes.MaxPositions} "
                + $"positions ({sizes.PositionsInWords}). Give at most that.");
        }
    }

    private DType Type(ParseResult parsed) => OptionKinds.ToDType(parsed.GetValue(type)!);

    private static void Describe(Pretraining pretraining, IBackend backend)
    {
        var data = pretraining.Data;
        Console.Error.WriteLine($"{Text.Count(pretraining.Training.TrainableParameters)} parameters; "
            + $"{Text.Count(data.TrainTexts)} texts in {Text.Count(data.Train.Count)} pieces with "
            + $"{Text.Count(data.Tokens)} tokens to train, "
            + $"{Text.Count(data.ValidationTexts)} texts to validate; {backend.Description}");
    }

    private static void Report(TrainingResult result, string folder)
    {
        var tokens = result.Metrics.Sum(step => (long)step.Tokens);
        var seconds = result.Metrics.Sum(step => step.StepSeconds);
        Console.WriteLine($"{result.Steps} steps, {Text.Count(tokens)} tokens in {Text.Duration(result.Seconds)}; "
            + $"{Text.Count((long)(tokens / Math.Max(seconds, 1e-9)))} tokens/s; the state after step "
            + $"{result.KeptStep} is in {folder}"
            + (result.Best is { } best
                ? string.Create(CultureInfo.InvariantCulture,
                    $" (validation: masked tokens guessed {Text.Percent(best.Accuracy)}, loss {best.Loss:F4})")
                        : "") + ".");
        TrainingProgress.SayExchange(result, Console.Out);
        Console.WriteLine($"Loss curves: {Path.Combine(folder, RunFiles.CurvesName)}");
        Console.WriteLine("Adapt it:");
        Console.WriteLine($"  {ShellWords.Join(["lora", "train", "--model", folder, "--data"])} …");
    }
}
