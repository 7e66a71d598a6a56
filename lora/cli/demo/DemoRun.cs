using LoraScratch.Cli.Tables;
using LoraScratch.Engine.IO;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;

namespace LoraScratch.Cli.Demo;

/// <summary>
/// The experiment, for one seed: the built-in base model is adapted to generated reviews in
/// three ways, with the same reviews in the same order, the same first weights of the head, the
/// same number of steps, the same optimizer and schedule.
/// </summary>
internal sealed class DemoRun(ulong seed, DemoSizes sizes, StageProgress progress, CancellationToken cancellation)
{
    // Each method's learning rate did best on 480 training reviews of seed 11 that were held out ('lora compare' on
    // the demo's own files), among 2e-3, 4e-3 and 6e-3 for LoRA, 3e-3, 1e-2 and 3e-2 for the last layers, 2.5e-4, 5e-4
    // and 1e-3 for everything.
    private static readonly (TrainingMethod Method, float LearningRate)[] Methods =
        [(TrainingMethod.LoRA, 4e-3f), (TrainingMethod.LastLayers, 1e-2f), (TrainingMethod.Full, 5e-4f)];

    /// <summary>
    /// Rank 8 and alpha 16, so s = 2, on query and value of every layer; the head is new, and
    /// trained beside them.
    /// </summary>
    private static readonly LoRASettings Lora = new(Rank: 8, Alpha: 16);

    // The same adjective of the story and of the disc; none of these sentences has a word that says it plainly.
    private static readonly string[] Probes =
        ["The ending is unpredictable.", "The menu is unpredictable.", "It has a gentle villain.",
            "It has a gentle voice."];

    /// <summary>Runs it.</summary>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public DemoResult Run()
    {
        var task = progress.Show("writing the reviews", _ => new ReviewTask(seed, sizes, Base().Tokenizer));
        var methods = new List<MethodResult>();
        FineTuning? lora = null;
        foreach (var (method, learningRate) in Methods)
        {
            var tuning = FineTuning.Start(Base(), task.Train.Examples, task.Validation.Examples,
                Options(method, learningRate));
            var training = Train(tuning);
            var (train, validation, test) = progress.Show("evaluating", _ =>
                (Accuracy(tuning, task.Train), Accuracy(tuning, task.Validation), Accuracy(tuning, task.Test)));
            methods.Add(new MethodResult(method, tuning.Training.Options, training, train, validation, test,
                StoredBytes(tuning), [.. Probes.Zip(tuning.Classifier.Predict(Probes))]));
            if (method == TrainingMethod.LoRA)
            {
                lora = tuning;
            }
        }
        var merge = progress.Show("merging the adapter", _ => CheckMerge(lora!, task.Test));
        return new DemoResult(seed, task, methods, lora!, merge);
    }

    private TextClassifier Base() => new(PretrainedBase.Load(seed, ReviewTask.Labels));

    private TrainingOptions Options(TrainingMethod method, float learningRate) => new()
    {
        Method = method,
        Lora = Lora,
        Targets = ["query", "value"],
        LearningRate = learningRate,
        Warmup = 0.1,
        Epochs = sizes.Epochs,
        BatchSize = sizes.Batch,
        Seed = seed,
    };

    private TrainingResult Train(FineTuning tuning)
    {
        var options = tuning.Training.Options;
        var result = progress.Show($"adapting: {MethodNames.Of(options.Method, options.Targets!)}", report =>
        {
            tuning.Training.StepDone += step => report(new StageState(step.Step, step.Steps, step.Loss));
            return tuning.Run(cancellation: cancellation);
        });
        cancellation.ThrowIfCancellationRequested();
        return result;
    }

    private double Accuracy(FineTuning tuning, ReviewSplit split) =>
        tuning.Classifier.Evaluate(split.Examples, cancellation: cancellation).Accuracy;

    /// <summary>
    /// Compares the logits of the test reviews with A and B beside W, and with s·(AB)ᵀ added to W.
    /// </summary>
    private static MergeCheck CheckMerge(FineTuning lora, ReviewSplit split)
    {
        var (classifier, adapter) = (lora.Classifier, lora.Adapter!);
        var texts = split.Reviews.Select(review => review.Text).ToArray();
        var beside = classifier.Predict(texts).ToArray();
        adapter.Merge();
        var merged = classifier.Predict(texts).ToArray();
        adapter.Unmerge();
        return new MergeCheck(
            beside.Zip(merged).Max(pair => pair.First.Logits.Zip(pair.Second.Logits)
                .Max(logits => Math.Abs((double)logits.First - logits.Second))),
            beside.Max(prediction => prediction.Logits.Max(logit => Math.Abs((double)logit))),
            beside.Zip(merged).Count(pair => pair.First.LabelId != pair.Second.LabelId), texts.Length);
    }

    /// <summary>Writes what a task must store, and looks how large the file is.</summary>
    private static long StoredBytes(FineTuning tuning)
    {
        var folder = Directory.CreateTempSubdirectory("lora-demo-").FullName;
        try
        {
            var path = Path.Combine(folder, PeftAdapter.WeightsName);
            if (tuning.Adapter is { } adapter)
            {
                PeftAdapter.SaveInto(folder, adapter);
            }
            else
            {
                SafeTensorsWriter.Write(path,
                    tuning.Classifier.Model.NamedParameters().Where(entry => entry.Parameter.IsTrainable)
                        .Select(entry => TensorToWrite.Of(entry.Path, entry.Parameter)),
                        new Dictionary<string, string> { ["format"] = "pt" });
            }
            return new FileInfo(path).Length;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
