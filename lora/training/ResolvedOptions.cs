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
    /// Prepared for training: says whether the head is trained, and how long examples may be.
    /// </param>
    /// <param name="options">As asked for.</param>
    /// <param name="adapter">
    /// The adapter of a LoRA run, whose settings hold where it was loaded; null for other methods.
    /// </param>
    public static Dictionary<string, object?> Of(TextClassifier classifier, TrainingOptions options,
        LoRAAdapter? adapter)
    {
        var resolved = ByName([TrainingOptionList.Method], options);
        if (adapter is not null)
        {
            Add(resolved, OfAdapter(options.Method), options with { Lora = adapter.Plan.Settings });
            AddQuantization(resolved, options, adapter.Layers[0].Layer.Base.Weight.Format);
            resolved["targets"] = options.InitialAdapter is null
                ? options.Targets! : adapter.Layers.Select(layer => layer.Path);
            resolved["init-adapter"] = options.InitialAdapter;
        }
        AddOfRun(resolved, classifier, adapter?.TrainsModules, options);
        return resolved;
    }

    /// <summary>
    /// The same for comparing two runs: what an initial adapter decides is left out, for it shows
    /// in the weights that a run begins with.
    /// </summary>
    public static Dictionary<string, object?> ForComparison(TextClassifier classifier, TrainingOptions options)
    {
        var resolved = ByName([TrainingOptionList.Method], options);
        if (options.IsLowRank && options.InitialAdapter is null)
        {
            Add(resolved, OfAdapter(options.Method), options);
            AddQuantization(resolved, options, null);
        }
        AddOfRun(resolved, classifier, null, options);
        return resolved;
    }

    /// <summary>
    /// Every option as it was asked for, whatever the method; for lack of a model null where the
    /// model decides.
    /// </summary>
    public static Dictionary<string, object?> Of(TrainingOptions options)
    {
        var resolved = ByName(TrainingOptionList.OfAdapters, options);
        AddQuantization(resolved, options, null);
        Add(resolved, TrainingOptionList.OfRuns, options);
        return resolved;
    }

    /// <summary>Every option that has a meaning for pretraining.</summary>
    public static Dictionary<string, object?> OfPretraining(TrainingOptions options, bool wholeWords)
    {
        var resolved = new Dictionary<string, object?> { ["whole-words"] = wholeWords };
        Add(resolved, TrainingOptionList.OfPretraining, options);
        return resolved;
    }

    /// <summary>A value as the command line takes it.</summary>
    public static string Text(object? value) => value switch
    {
        null => "not given",
        bool holds => holds ? "true" : "false",
        _ => Convert.ToString(value, CultureInfo.InvariantCulture)!,
    };

    private static IEnumerable<TrainingOption> OfAdapter(TrainingMethod method) =>
        TrainingOptionList.OfAdapters.Where(option => option.Methods.Contains(method));

    private static Dictionary<string, object?> ByName(IEnumerable<TrainingOption> list, TrainingOptions options) =>
        list.ToDictionary(option => option.Name, option => option.Value(options));

    private static void Add(Dictionary<string, object?> resolved, IEnumerable<TrainingOption> list,
        TrainingOptions options)
    {
        foreach (var option in list)
        {
            resolved[option.Name] = option.Value(options);
        }
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

    /// <summary>What the model decides stands here as the model has it.</summary>
    private static void AddOfRun(Dictionary<string, object?> resolved, TextClassifier classifier, bool? trainsHead,
        TrainingOptions options)
    {
        Add(resolved, TrainingOptionList.OfRuns.Where(option => option.Methods.Contains(options.Method)), options);
        resolved["train-head"] = trainsHead ?? TrainingSetup.IsHeadTrained(classifier.Model);
        resolved["max-length"] = classifier.MaxTokens(options.MaxLength);
    }
}
