using System.CommandLine;
using LoraScratch.Engine;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.DistilBert;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli;

/// <summary>lora train: fine-tunes a classifier.</summary>
internal sealed class TrainCommand
{
    private readonly Option<string?> model = new("--model") { Description = "The model folder to start from: config.json, model.safetensors and vocab.txt.", HelpName = "DIR" };
    private readonly Option<string?> config = new("--config") { Description = "A config.json: starts from freshly drawn weights, with --method full.", HelpName = "FILE" };
    private readonly Option<string?> vocabulary = new("--vocab") { Description = "The vocab.txt that goes with --config.", HelpName = "FILE" };
    private readonly Option<string?> initialAdapter = new("--init-adapter") { Description = "Goes on training this adapter; its rank, alpha and layers are kept.", HelpName = "DIR" };
    private readonly Option<string> output = new("--out") { Description = "Where the result goes: an adapter folder with --method lora, else a model folder.", Required = true, HelpName = "DIR" };
    private readonly DataOptions data = new();
    private readonly TrainingOptionsParser training = new();
    private readonly DeviceOptions device = new();

    public static Command Create()
    {
        var train = new TrainCommand();
        var command = new ExampleCommand("train", "Fine-tunes a text classifier: LoRA (an adapter folder results), the last layers, or everything (a model folder results).",
            "lora train --model my-model --data reviews.csv --out my-adapter",
            "lora train --model my-model --data aclImdb --method last-layers --lr 1e-3 --epochs 2 --out tuned",
            "lora train --config config.json --vocab vocab.txt --data aclImdb_v1.tar.gz --method full --out my-model");
        foreach (Option option in (Option[])[train.model, train.config, train.vocabulary, train.output, train.initialAdapter])
        {
            command.Add(option);
        }
        train.data.AddTo(command);
        train.training.AddTo(command);
        train.device.AddTo(command);
        command.SetAction((parsed, cancellation) => Task.FromResult(train.Run(parsed, cancellation)));
        return command;
    }

    private int Run(ParseResult parsed, CancellationToken cancellation)
    {
        var options = training.Parse(parsed) with { InitialAdapter = parsed.GetValue(initialAdapter) };
        options.Check();
        CheckStart(parsed, options);
        var folder = parsed.GetValue(output)!;
        TrainingFolder.CheckWritable(folder);
        using var backend = device.Open(parsed);

        var (classifier, dataset) = Start(parsed, options);
        var adapter = TrainingSetup.Prepare(classifier, options);
        if (adapter is not null)
        {
            Console.Error.WriteLine(adapter.Plan);
        }
        var texts = TrainingData.Prepare(dataset, classifier, options);
        var trainer = new Trainer(classifier, options);
        Describe(trainer, texts, classifier, backend.Description);

        var result = TrainingProgress.Show(trainer, () => trainer.Train(texts.Train.Examples, texts.Validation?.Examples, cancellation));
        TrainingFolder.Save(folder, classifier, adapter, options, result, parsed.GetValue(model));
        Report(result, folder, parsed, isAdapter: adapter is not null);
        return result.WasCancelled ? 130 : 0;
    }

    private void CheckStart(ParseResult parsed, TrainingOptions options)
    {
        var hasConfig = parsed.GetValue(config) is not null;
        if (hasConfig != parsed.GetValue(vocabulary) is not null)
        {
            throw new InputException($"{(hasConfig ? "--config needs --vocab" : "--vocab needs --config")}: a new model is made of both. To start from a model folder, use --model alone.");
        }
        if (hasConfig == parsed.GetValue(model) is not null)
        {
            throw new InputException(hasConfig
                ? "--model and --config are both given: start from a model folder, or from a config with freshly drawn weights."
                : "No model is given: use --model DIR, or --config FILE --vocab FILE to start from freshly drawn weights.");
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

    /// <summary>The model to start from and the data; a head that the checkpoint lacks gets the data's classes.</summary>
    private (TextClassifier Classifier, TextDataset Dataset) Start(ParseResult parsed, TrainingOptions options)
    {
        if (parsed.GetValue(model) is { } folder)
        {
            // The classes of a head that exists decide how labels are read; those of the data decide for a head that must be drawn.
            var named = ModelFolder.HasHead(folder) ? new LabelSet(DistilBertConfig.Load(folder).Labels) : null;
            var dataset = data.Load(parsed, DatasetSplit.Train, named);
            return (new TextClassifier(ModelOptions.LoadModel(folder, options.Seed, dataset.Labels.Names)), dataset);
        }
        var texts = data.Load(parsed, DatasetSplit.Train);
        var loaded = DistilBertConfig.Load(parsed.GetValue(config)!) with { Labels = texts.Labels.Names };
        ModelOptions.Notices(parsed.GetValue(config)!, loaded.Notices);
        var tokenizer = WordPieceTokenizer.Load(parsed.GetValue(vocabulary)!);
        if (tokenizer.VocabularySize > loaded.VocabularySize)
        {
            throw new InputException($"{parsed.GetValue(vocabulary)}: {tokenizer.VocabularySize} pieces, but the vocab_size of {parsed.GetValue(config)} is {loaded.VocabularySize}. Set vocab_size to at least {tokenizer.VocabularySize}.");
        }
        return (new TextClassifier(new DistilBertForSequenceClassification(loaded, options.Seed), tokenizer), texts);
    }

    private static void Describe(Trainer trainer, TrainingData texts, TextClassifier classifier, string backend)
    {
        var all = classifier.Model.Parameters().Sum(parameter => (long)parameter.Shape.Count);
        Console.Error.WriteLine($"{Text.Count(trainer.TrainableParameters)} trainable of {Text.Count(all)} parameters; {Text.Count(texts.Train.Examples.Count)} texts ({Text.Count(texts.Train.Tokens)} tokens"
            + $"{(texts.Train.Truncated > 0 ? $", {Text.Count(texts.Train.Truncated)} texts cut" : "")}) to train, {Text.Count(texts.Validation?.Examples.Count ?? 0)} to validate; {backend}");
    }

    private static void Report(TrainingResult result, string folder, ParseResult parsed, bool isAdapter)
    {
        var modelOptions = isAdapter ? $"--model {parsed.GetValue<string>("--model")} --adapter {folder}" : $"--model {folder}";
        if (result.WasCancelled)
        {
            Console.WriteLine($"Stopped after step {result.Steps}; what was learned is in {folder}. Go on from it with: lora train {(isAdapter ? $"--model {parsed.GetValue<string>("--model")} --init-adapter {folder}" : $"--model {folder}")} …");
            return;
        }
        Console.WriteLine($"{result.Steps} steps in {Text.Duration(result.Seconds)}; {Text.Count((long)(result.Metrics.Sum(step => (long)step.Tokens) / Math.Max(result.Seconds, 1e-9)))} tokens/s; the state after step {result.KeptStep} is in {folder}"
            + $"{(result.Best is { } best ? $" (validation accuracy {Text.Percent(best.Accuracy)})" : "")}.");
        Console.WriteLine($"Predict with it: lora predict {modelOptions} --text \"…\"");
    }
}
