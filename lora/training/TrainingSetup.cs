using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.DistilBert;

namespace LoraScratch.Lora.Training;

/// <summary>Makes a model ready for a method: what is frozen, where LoRA stands, which optimizer moves the rest.</summary>
public static class TrainingSetup
{
    /// <summary>Freezes and attaches what the method asks for.</summary>
    /// <param name="classifier">Its model; no adapter may be attached.</param> <param name="options">Method, LoRA settings, targets, head, seed.</param>
    /// <returns>The adapter, attached; null for the other methods.</returns>
    /// <exception cref="InputException">The options make no sense, or the model has an adapter already.</exception>
    public static LoRAAdapter? Prepare(TextClassifier classifier, TrainingOptions options)
    {
        options.Check();
        var model = classifier.Model;
        switch (options.Method)
        {
            case TrainingMethod.Full:
                model.Unfreeze();
                return null;
            case TrainingMethod.LastLayers:
                model.Freeze();
                SetHeadTrainable(model, true);
                return null;
            default:
                return options.InitialAdapter is { } folder ? LoadLoRA(classifier, options, folder) : AttachLoRA(classifier, options);
        }
    }

    /// <summary>Whether the head's own weights are trained now.</summary>
    public static bool IsHeadTrained(DistilBertForSequenceClassification model) =>
        model.NamedParameters().Any(entry => entry.Parameter.IsTrainable && DistilBertForSequenceClassification.HeadPaths.Contains(entry.Path));

    /// <summary>The optimizer of the options over everything that is trainable.</summary>
    public static Optimizer CreateOptimizer(Module model, TrainingOptions options)
    {
        var (rate, decay) = (options.ResolvedLearningRate, options.ResolvedWeightDecay);
        return options.Optimizer switch
        {
            OptimizerKind.AdamW => new AdamW(model.TrainableParameters(), rate, weightDecay: decay),
            OptimizerKind.Adam => new Adam(model.TrainableParameters(), rate, weightDecay: decay),
            _ => new Sgd(model.TrainableParameters(), rate, options.Momentum, decay),
        };
    }

    private static LoRAAdapter AttachLoRA(TextClassifier classifier, TrainingOptions options)
    {
        var headIsAdapted = options.Targets.Contains(LoRATargets.Head);
        if (headIsAdapted && classifier.IsHeadDrawn && !options.AdaptDrawnHead)
            throw new InputException("--targets has head, but the model's checkpoint has no classification head: it was drawn at random, and there is nothing to adapt in it. Leave head out, and it is trained itself.");
        // A head that was drawn from the seed is stored with the adapter even where it stays frozen: no checkpoint has it.
        var keep = !headIsAdapted && (options.WantsHead || classifier.IsHeadDrawn) ? LoRATargets.HeadModules : null;
        var adapter = LoRAAdapter.Attach(classifier.Model, options.Lora, LoRATargets.Patterns(options.Targets), new RandomStream(Seeds.Adapter(options.Seed)), keep);
        if (keep is not null)
            SetHeadTrainable(classifier.Model, options.WantsHead);
        return adapter;
    }

    private static LoRAAdapter LoadLoRA(TextClassifier classifier, TrainingOptions options, string folder)
    {
        var adapter = PeftAdapter.Load(folder, classifier.Model, new RandomStream(Seeds.Adapter(options.Seed)), options.AnyBase).Adapter;
        var hasHead = adapter.Plan.Kept.Any(kept => LoRATargets.HeadModules.Any(head => head.Matches(kept.Path)));
        if (!hasHead && (options.TrainHead == true || classifier.IsHeadDrawn))
        {
            var trouble = options.TrainHead == true ? "--train-head true has nowhere to store the head" : "and neither has the model, whose head was drawn at random";
            adapter.Detach();
            throw new InputException($"{folder}: the adapter has no head, {trouble}. Start a new adapter, or give a model with a trained head and leave --train-head out.");
        }
        if (hasHead)
            SetHeadTrainable(classifier.Model, options.TrainHead ?? true);
        return adapter;
    }

    private static void SetHeadTrainable(DistilBertForSequenceClassification model, bool trainable)
    {
        foreach (var (path, parameter) in model.NamedParameters())
        {
            if (DistilBertForSequenceClassification.HeadPaths.Contains(path))
                parameter.IsTrainable = trainable;
        }
    }
}

/// <summary>Independent random streams of one seed, one for each use.</summary>
internal static class Seeds
{
    // The order of the batches takes the seed itself, with a stream for every epoch; see BatchSampler.
    public static ulong Adapter(ulong seed) => Draw(seed, 1);

    public static ulong Dropout(ulong seed) => Draw(seed, 2);

    public static ulong Masks(ulong seed) => Draw(seed, 3);

    public static ulong ValidationMasks(ulong seed) => Draw(seed, 4);

    private static ulong Draw(ulong seed, ulong use) => new RandomStream(seed, position: use << 60).NextSeed();
}
