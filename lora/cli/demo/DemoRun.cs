using LoraScratch.Cli.Tables;
using LoraScratch.Engine.IO;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.DistilBert;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli.Demo;

/// <summary>
/// The experiment, for one seed: a small DistilBERT classifier is trained on the source domain; copies of it are then adapted to the target domain in three
/// ways, with the same reviews in the same order, the same number of steps, the same optimizer and schedule.
/// </summary>
internal sealed class DemoRun(ulong seed, DemoSizes sizes, StageProgress progress, CancellationToken cancellation)
{
    // Each method's learning rate did best on the validation reviews of seeds 11 and 12, among 4e-3, 6e-3, 8e-3 and 1e-2 for LoRA, 1e-3, 3e-3 and 1e-2 for
    // the last layers, 5e-4, 1e-3 and 2e-3 for everything. The last layers hardly care: from 1e-3 to 1e-2 their accuracy moves by less than a point.
    private static readonly (TrainingMethod Method, float LearningRate)[] Ways =
        [(TrainingMethod.LoRA, 4e-3f), (TrainingMethod.LastLayers, 3e-3f), (TrainingMethod.Full, 1e-3f)];

    /// <summary>Rank 8 and alpha 16, so s = 2, on query and value of both layers; the head keeps what it learned on the source.</summary>
    private static readonly LoRASettings Lora = new(Rank: 8, Alpha: 16);

    private const float SourceLearningRate = 3e-3f;

    private static readonly DistilBertConfig Architecture = new()
    {
        VocabularySize = ReviewTask.Tokenizer.VocabularySize,
        MaxPositions = 64,
        Hidden = 64,
        FeedForward = 128,
        Layers = 2,
        Heads = 4,
        // A narrow model needs larger initial weights: 0.02 is made for sums over 768 inputs.
        InitializerRange = 0.1f,
        // Sixteen thousand different reviews, each seen once: there is nothing to overfit.
        Dropout = 0,
        AttentionDropout = 0,
        ClassifierDropout = 0,
        Labels = ReviewTask.Labels,
    };

    /// <summary>Runs it.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public DemoResult Go()
    {
        var task = progress.Show("writing the reviews", _ => new ReviewTask(seed, sizes));
        var source = new TextClassifier(new DistilBertForSequenceClassification(Architecture, seed), ReviewTask.Tokenizer);
        Train(source, Options(TrainingMethod.Full, SourceLearningRate) with { Epochs = 1 }, task.SourceTrain, null, "training the encoder on the source");
        var sourceAccuracy = Accuracy(source, task.SourceTest);
        var beforeAdapting = Accuracy(source, task.Test);

        var methods = new List<MethodResult>();
        var (adapted, adapter) = (source, (LoRAAdapter?)null);
        foreach (var (method, learningRate) in Ways)
        {
            var options = Options(method, learningRate);
            var classifier = Copy(source);
            var attached = TrainingSetup.Prepare(classifier, options);
            var training = Train(classifier, options, task.Train, task.Validation, $"adapting: {MethodNames.Of(method, options.Targets)}");
            var (train, validation, test) = progress.Show("evaluating", _ => (Accuracy(classifier, task.Train), Accuracy(classifier, task.Validation), Accuracy(classifier, task.Test)));
            methods.Add(new MethodResult(method, options, training, train, validation, test, StoredBytes(classifier, attached)));
            if (attached is not null)
                (adapted, adapter) = (classifier, attached);
        }
        var merge = progress.Show("merging the adapter", _ => CheckMerge(adapted, adapter!, task.Test));
        return new DemoResult(seed, task, source, sourceAccuracy, beforeAdapting, methods, adapted, adapter!, merge);
    }

    private TrainingOptions Options(TrainingMethod method, float learningRate) => new()
    {
        Method = method,
        Lora = Lora,
        TrainHead = method == TrainingMethod.LoRA ? false : null,
        LearningRate = learningRate,
        Warmup = 0.1,
        Epochs = sizes.Epochs,
        BatchSize = sizes.Batch,
        Seed = seed,
    };

    private TrainingResult Train(TextClassifier classifier, TrainingOptions options, ReviewSplit train, ReviewSplit? validation, string stage)
    {
        var trainer = new Trainer(classifier, options);
        var result = progress.Show(stage, report =>
        {
            trainer.StepDone += step => report(new StageState(step.Step, step.Steps, step.Loss));
            return trainer.Train(train.Examples, validation?.Examples, cancellation);
        });
        cancellation.ThrowIfCancellationRequested();
        return result;
    }

    private double Accuracy(TextClassifier classifier, ReviewSplit split) => classifier.Evaluate(split.Examples, cancellation: cancellation).Accuracy;

    private static TextClassifier Copy(TextClassifier original)
    {
        var copy = new DistilBertForSequenceClassification(original.Model.Config);
        foreach (var (to, from) in copy.Parameters().Zip(original.Model.Parameters()))
            to.Set(from.ToArray());
        return new TextClassifier(copy, original.Tokenizer);
    }

    /// <summary>Compares the logits of the test reviews with A and B beside W, and with s·(AB)ᵀ added to W.</summary>
    private static MergeCheck CheckMerge(TextClassifier classifier, LoRAAdapter adapter, ReviewSplit split)
    {
        var texts = split.Reviews.Select(review => review.Text).ToArray();
        var beside = classifier.Predict(texts).ToArray();
        adapter.Merge();
        var merged = classifier.Predict(texts).ToArray();
        adapter.Unmerge();
        return new MergeCheck(
            beside.Zip(merged).Max(pair => pair.First.Logits.Zip(pair.Second.Logits).Max(logits => Math.Abs((double)logits.First - logits.Second))),
            beside.Max(prediction => prediction.Logits.Max(logit => Math.Abs((double)logit))),
            beside.Zip(merged).Count(pair => pair.First.LabelId != pair.Second.LabelId), texts.Length);
    }

    /// <summary>Writes what a task must store, and looks how large the file is.</summary>
    private static long StoredBytes(TextClassifier classifier, LoRAAdapter? adapter)
    {
        var folder = Directory.CreateTempSubdirectory("lora-demo-").FullName;
        try
        {
            var path = Path.Combine(folder, PeftAdapter.WeightsName);
            if (adapter is not null)
                PeftAdapter.SaveInto(folder, adapter);
            else
                SafeTensorsWriter.Write(path, classifier.Model.NamedParameters().Where(entry => entry.Parameter.IsTrainable).Select(entry => TensorToWrite.Of(entry.Path, entry.Parameter)), new Dictionary<string, string> { ["format"] = "pt" });
            return new FileInfo(path).Length;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
