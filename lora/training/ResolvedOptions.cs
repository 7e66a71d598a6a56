using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Quantization;

namespace LoraScratch.Lora.Training;

/// <summary>Training options under their names on the command line, defaults filled in.</summary>
internal static class ResolvedOptions
{
    /// <summary>Every option that has a meaning for the method.</summary>
    /// <param name="classifier">
    /// Prepared for training: says whether the head is trained, and how long texts may be.
    /// </param>
    /// <param name="options">As asked for.</param>
    /// <param name="adapter">
    /// The adapter of a LoRA run, whose settings hold where it was loaded; null for other methods.
    /// </param>
    public static Dictionary<string, object?> Of(TextClassifier classifier, TrainingOptions options,
        LoRAAdapter? adapter)
    {
        var resolved = new Dictionary<string, object?> { ["method"] = Name(options.Method) };
        if (adapter is not null)
        {
            Add(resolved, adapter.Plan.Settings, options.Method);
            AddQuantization(resolved, options, adapter.Layers[0].Layer.Base.Weight.Format);
            resolved["targets"] = options.InitialAdapter is null
                ? options.Targets : adapter.Layers.Select(layer => layer.Path);
            resolved["init-adapter"] = options.InitialAdapter;
        }
        AddCommon(resolved, adapter?.TrainsModules ?? TrainingSetup.IsHeadTrained(classifier.Model),
            classifier.LongestText(options.MaxLength), options);
        return resolved;
    }

    /// <summary>
    /// The same for comparing two runs: what an initial adapter decides is left out, for it shows
    /// in the weights that a run begins with.
    /// </summary>
    public static Dictionary<string, object?> ForComparison(TextClassifier classifier, TrainingOptions options)
    {
        var resolved = new Dictionary<string, object?> { ["method"] = Name(options.Method) };
        if (options.IsLowRank && options.InitialAdapter is null)
        {
            Add(resolved, options.Lora, options.Method);
            AddQuantization(resolved, options, null);
            resolved["targets"] = string.Join(',', options.Targets);
        }
        AddCommon(resolved, TrainingSetup.IsHeadTrained(classifier.Model), classifier.LongestText(options.MaxLength),
            options);
        return resolved;
    }

    /// <summary>
    /// Every option as it was asked for, whatever the method; for lack of a model null where the
    /// model decides.
    /// </summary>
    public static Dictionary<string, object?> Of(TrainingOptions options)
    {
        var resolved = new Dictionary<string, object?>();
        Add(resolved, options.Lora, TrainingMethod.LoRA);
        resolved["pooling"] = LoRASettings.Name(options.Lora.Pooling);
        AddQuantization(resolved, options, null);
        resolved["targets"] = string.Join(',', options.Targets);
        AddCommon(resolved, options.TrainHead, options.MaxLength, options);
        return resolved;
    }

    /// <summary>Every option that has a meaning for pretraining.</summary>
    public static Dictionary<string, object?> OfPretraining(TrainingOptions options, bool wholeWords)
    {
        var resolved = new Dictionary<string, object?> { ["whole-words"] = wholeWords };
        AddCommon(resolved, null, options.MaxLength, options);
        // as they are, or without a meaning
        foreach (var name in (string[])["train-head", "optimizer", "momentum", "schedule", "shuffle"])
        {
            resolved.Remove(name);
        }
        return resolved;
    }

    /// <summary>A value as the command line takes it.</summary>
    public static string Text(object? value) => value switch
    {
        null => "not given",
        bool holds => holds ? "true" : "false",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    /// <summary>The name of a method, as the option takes it.</summary>
    public static string Name(TrainingMethod method) => method switch
    {
        TrainingMethod.LoRA => "lora",
        TrainingMethod.QALoRA => "qa-lora",
        TrainingMethod.LastLayers => "last-layers",
        _ => "full",
    };

    private static void Add(Dictionary<string, object?> resolved, LoRASettings settings, TrainingMethod method)
    {
        resolved["rank"] = settings.Rank;
        resolved["alpha"] = settings.Alpha;
        if (method == TrainingMethod.QALoRA)
        {
            resolved["pooling"] = LoRASettings.Name(settings.Pooling);
        }
        else
        {
            resolved["init"] = LoRASettings.Name(settings.Initialization);
        }
        resolved["scaling"] = LoRASettings.Name(settings.ScalingRule);
        resolved["dropout"] = settings.Dropout;
        resolved["bias"] = LoRASettings.Name(settings.Bias);
    }

    /// <summary>How weights are quantised, and by which format they are known to be.</summary>
    private static void AddQuantization(Dictionary<string, object?> resolved, TrainingOptions options,
        QuantizationFormat? format)
    {
        if ((format ?? options.Quantization?.Format) is not { } known)
        {
            return;
        }
        (resolved["bits"], resolved["group-size"]) = (known.Bits, known.GroupSize);
        if (options.Quantization is { } settings)
        {
            resolved["quantization"] = ModelQuantizer.Name(settings.Method);
        }
    }

    private static void AddCommon(Dictionary<string, object?> resolved, bool? trainHead, int? maxLength,
        TrainingOptions options)
    {
        resolved["train-head"] = trainHead;
        resolved["optimizer"] = options.Optimizer.ToString().ToLowerInvariant();
        resolved["lr"] = options.ResolvedLearningRate;
        resolved["weight-decay"] = options.ResolvedWeightDecay;
        resolved["momentum"] = options.Momentum;
        resolved["clip"] = options.Clip;
        resolved["warmup"] = options.Warmup;
        resolved["schedule"] = options.Schedule.ToString().ToLowerInvariant();
        resolved["accumulate"] = options.Accumulate;
        resolved["epochs"] = options.Epochs;
        resolved["batch-size"] = options.BatchSize;
        resolved["max-length"] = maxLength;
        resolved["max-steps"] = options.MaxSteps;
        resolved["limit"] = options.Limit;
        resolved["validation"] = options.Validation;
        resolved["validate-every"] = options.ValidateEvery;
        resolved["seed"] = options.Seed;
        resolved["shuffle"] = options.Shuffle;
    }
}
