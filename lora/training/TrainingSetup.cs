using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Quantization;

namespace LoraScratch.Lora.Training;

/// <summary>
/// Makes a model ready for a method: what is frozen, where LoRA stands, which optimizer moves the
/// rest.
/// </summary>
internal static class TrainingSetup
{
    private const int CalibrationTexts = 128;

    /// <summary>
    /// Quantises the encoder's linear layers of a float model for
    /// <see cref="TrainingMethod.QALoRA"/>, as <see cref="TrainingOptions.Quantization"/> says;
    /// GPTQ learns from training examples. The same model, options and texts give the same codes.
    /// </summary>
    /// <param name="classifier">Its model.</param>
    /// <param name="options">Method, quantisation and seed.</param>
    /// <param name="train">The training examples.</param>
    /// <param name="cancellation">Ends the calibration.</param>
    /// <returns>
    /// What it did to each layer; none for other methods, and where the model is quantised already.
    /// </returns>
    /// <exception cref="InputException">
    /// The groups do not divide a layer's input, or a weight is not finite.
    /// </exception>
    public static IReadOnlyList<QuantizedLayer> Quantize(TextClassifier classifier, TrainingOptions options,
        IReadOnlyList<EncodedExample> train, CancellationToken cancellation = default)
    {
        var settings = options.Quantization ?? new();
        var layers = ToQuantize(classifier, options);
        if (layers.Count == 0)
        {
            return [];
        }
        using var calibration = settings.Method == QuantizationMethod.Gptq
            ? Calibration.Of(layers, () => classifier.Run(
                Permutation.Random(train.Count, options.Seed, Permutation.LimitStream).Take(CalibrationTexts)
                    .Select(text => train[text]),
                cancellation: cancellation))
            : null;
        return ModelQuantizer.Quantize(layers, settings.Format, settings.Method, calibration);
    }

    /// <summary>
    /// Throws where <see cref="Quantize"/> or <see cref="Prepare"/> would, and changes nothing.
    /// </summary>
    /// <param name="classifier">Its model; no adapter may be attached.</param>
    /// <param name="options">
    /// Method, LoRA settings, targets, head; the initial adapter is not looked at.
    /// </param>
    /// <exception cref="InputException">The method cannot train this model.</exception>
    public static void Check(TextClassifier classifier, TrainingOptions options)
    {
        if (options.Method == TrainingMethod.Full)
        {
            RequireWeights(classifier.Model);
        }
        else if (options.IsLowRank && options.InitialAdapter is null)
        {
            RequireForm(Plan(classifier, options), options.Method, ToQuantize(classifier, options));
        }
    }

    /// <summary>Freezes and attaches what the method asks for.</summary>
    /// <param name="classifier">Its model; no adapter may be attached.</param>
    /// <param name="options">Method, LoRA settings, targets, head, seed.</param>
    /// <returns>The adapter, attached; null for the other methods.</returns>
    /// <exception cref="InputException">
    /// The method cannot train this model, or it has an adapter already.
    /// </exception>
    public static LoRAAdapter? Prepare(TextClassifier classifier, TrainingOptions options)
    {
        var model = classifier.Model;
        switch (options.Method)
        {
            case TrainingMethod.Full:
                RequireWeights(model);
                model.Unfreeze();
                return null;
            case TrainingMethod.LastLayers:
                model.Freeze();
                SetTrainable(model, model.LastLayerPaths, true);
                return null;
            default:
                return options.InitialAdapter is { } folder
                    ? LoadLoRA(classifier, options, folder) : AttachLoRA(classifier, options);
        }
    }

    /// <summary>Whether the head's own weights are trained now.</summary>
    public static bool IsHeadTrained(EncoderForSequenceClassification model) =>
        model.NamedParameters().Any(entry => entry.Parameter.IsTrainable
            && model.HeadPaths.Contains(entry.Path));

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

    /// <summary>
    /// The layers that QA-LoRA has quantised first, each with an input that the groups divide; none
    /// for other methods, and where the model is quantised already.
    /// </summary>
    private static IReadOnlyList<QuantizableLayer> ToQuantize(TextClassifier classifier, TrainingOptions options)
    {
        if (options.Method != TrainingMethod.QALoRA || QuantizedLayerOf(classifier.Model) is not null)
        {
            return [];
        }
        var layers = ModelQuantizer.Find(classifier.Model,
            LoRATargets.Patterns(classifier.Model.Config.Family, LoRATargets.OfEncoder));
        ModelQuantizer.Check(layers, (options.Quantization ?? new()).Format);
        return layers;
    }

    private static LoRAPlan Plan(TextClassifier classifier, TrainingOptions options)
    {
        var targets = options.For(classifier.Source).Targets!;
        var headIsAdapted = targets.Contains(LoRATargets.Head);
        if (headIsAdapted && classifier.IsHeadUntrained && !options.AdaptUntrainedHead)
        {
            throw new InputException("Option 'Targets' has head, but the model's checkpoint has no classification "
                + "head: it is randomly initialised, and there is nothing to adapt in it. Leave head out, and it is "
                + "trained itself.");
        }
        // A head that is randomly initialised is stored with the adapter even where it stays frozen: no checkpoint has
        // it.
        var model = classifier.Model;
        var keep = !headIsAdapted && (options.WantsHead || classifier.IsHeadUntrained) ? model.HeadModules : null;
        var blocks = BlockNumbers.Of(options.Layers, model.Config.Layers);
        return LoRAPlan.For(model, options.Lora, LoRATargets.Patterns(model.Config.Family, targets, blocks),
            keep);
    }

    private static LoRAAdapter AttachLoRA(TextClassifier classifier, TrainingOptions options)
    {
        var plan = Plan(classifier, options);
        RequireForm(plan, options.Method);
        var adapter = LoRAAdapter.Attach(plan, new RandomStream(Seeds.Adapter(options.Seed)));
        if (plan.ModulesToSave.Count > 0)
        {
            SetTrainable(classifier.Model, classifier.Model.HeadPaths, options.WantsHead);
        }
        return adapter;
    }

    private static LoRAAdapter LoadLoRA(TextClassifier classifier, TrainingOptions options, string folder)
    {
        classifier.Tokenizer.RequireAgreement(folder);
        var adapter = PeftAdapter.Load(folder, classifier.Model, new RandomStream(Seeds.Adapter(options.Seed)),
            options.AnyBase).Adapter;
        try
        {
            RequireForm(adapter.Plan, options.Method);
        }
        catch (InputException)
        {
            adapter.Detach();
            throw;
        }
        var hasHead = adapter.Plan.ModulesToSave
            .Any(kept => classifier.Model.HeadModules.Any(head => head.Matches(kept.Path)));
        if (!hasHead && (options.TrainHead == true || classifier.IsHeadUntrained))
        {
            var e = options.TrainHead == true ? "option 'TrainHead' true has nowhere to store the head"
                : "and neither has the model, whose head is randomly initialised";
            adapter.Detach();
            throw new InputException($"{folder}: the adapter has no head, {e}. Start a new adapter, or give a "
                + "model with a trained head and leave option 'TrainHead' out.");
        }
        if (hasHead)
        {
            SetTrainable(classifier.Model, classifier.Model.HeadPaths, options.TrainHead ?? true);
        }
        return adapter;
    }

    /// <summary>
    /// Refuses LoRA on quantised layers, and QA-LoRA on float ones; an embedding table is of
    /// float32 with either.
    /// </summary>
    /// <param name="plan">What would be adapted.</param>
    /// <param name="method">LoRA or QA-LoRA.</param>
    /// <param name="toQuantize">
    /// Float layers that count as quantised: they will be when it is attached.
    /// </param>
    private static void RequireForm(LoRAPlan plan, TrainingMethod method,
        IReadOnlyList<QuantizableLayer>? toQuantize = null)
    {
        if (RoundedOf(plan.Model) is { } rounded)
        {
            throw new InputException($"Option 'Method' {TrainingOptions.NameOf(method)} needs gradients, and {rounded} "
                + "is quantised dynamically, for prediction. Name the model that this one was made of.");
        }
        bool IsQuantized(PlannedLayer layer) =>
            layer.Base.Weight.Format is not null || toQuantize?.Any(other => other.Linear == layer.Base) == true;
        var wanted = method == TrainingMethod.QALoRA;
        var linear = plan.Layers.Where(layer => !layer.Base.IsEmbedding);
        if (linear.FirstOrDefault(layer => IsQuantized(layer) != wanted) is not { } other)
        {
            return;
        }
        throw new InputException(method == TrainingMethod.QALoRA
            ? $"Option 'Method' qa-lora adapts quantised layers, and {other.Path} is not quantised. Leave it out of "
                + "option 'Targets', or quantise it as well."
            : $"Option 'Method' lora adapts float layers, and {other.Path} is quantised, {other.Base}. "
                + "Take option 'Method' qa-lora, whose update can be merged into such a layer.");
    }

    /// <summary>Refuses to train every weight of a model that has quantised ones.</summary>
    private static void RequireWeights(Module model)
    {
        if (RoundedOf(model) is { } rounded)
        {
            throw new InputException($"Option 'Method' full trains every weight, and {rounded} is quantised "
                + "dynamically, for prediction. Name the model that this one was made of.");
        }
        if (QuantizedLayerOf(model) is { } quantized)
        {
            throw new InputException($"Option 'Method' full trains every weight, and {quantized} is quantised: its "
                + "codes stand still. Take option 'Method' qa-lora, or name the model that this one was made of.");
        }
    }

    /// <summary>The path of the first layer that rounds its inputs, or null.</summary>
    private static string? RoundedOf(Module model) =>
        model.NamedModules<WeightLayer>().FirstOrDefault(entry => !entry.Module.PassesGradient).Path;

    /// <summary>The path of the first layer that is quantised in groups, or null.</summary>
    private static string? QuantizedLayerOf(Module model) =>
        model.NamedModules<WeightLayer>().FirstOrDefault(entry => entry.Module.Weight.Format is not null).Path;

    private static void SetTrainable(Module model, IReadOnlyList<string> paths, bool trainable)
    {
        foreach (var (path, parameter) in model.NamedParameters())
        {
            if (paths.Contains(path))
            {
                parameter.IsTrainable = trainable;
            }
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
