using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Adapters;

/// <summary>Checks an adapter's tensors against its config, without a model.</summary>
/// <param name="file">
/// A folder in PEFT's format; without a config, the tensors are checked alone.
/// </param>
/// <param name="findings">Takes what is found.</param>
internal sealed class AdapterFileCheck(AdapterFile file, Findings findings)
{
    private readonly HashSet<string> layers = [.. file.Pairs.Select(pair => pair.Path)];

    public void Run()
    {
        if (!file.Tensors.Any())
        {
            Error("there is no tensor in it. Save the adapter again.");
        }
        foreach (var tensor in file.Tensors)
        {
            if (file.Useless.TryGetValue(tensor.Name, out var reason))
            {
                Error($"{tensor}: {reason}.");
            }
            CheckValues(tensor);
        }
        foreach (var pair in file.Pairs)
        {
            CheckPair(pair);
        }
        if (file.Config is { } config)
        {
            CheckTargets(config);
            CheckHead(config);
            CheckPatterns(config);
        }
    }

    private void Error(string message) => findings.Error($"{PeftAdapter.WeightsName}: {message}");

    private void CheckValues(TensorInfo tensor)
    {
        var (fault, oddity) = file.CheckValues(tensor);
        if (fault is not null)
        {
            Error($"{fault}.");
        }
        else if (oddity is not null)
        {
            findings.Warning($"{PeftAdapter.WeightsName}: {oddity}");
        }
    }

    private void CheckPair(MatrixPair pair)
    {
        if (pair is not { A: { } a, B: { } b } || file.Config is not { } config)
        {
            if (file.FaultOf(pair) is { } fault)
            {
                Error(fault);
            }
            return;
        }
        var rank = config.RankOf(pair.Path);
        if (a.Shape is [var rankOfA, > 0] && b.Shape is [> 0, var rankOfB] && rankOfA == rank && rankOfB == rank)
        {
            return;
        }
        var isTransposed = a.Shape is [var inOfA, var lastOfA] && b.Shape is [var firstOfB, var outOfB]
            && lastOfA == rank && firstOfB == rank && (inOfA != rank || outOfB != rank);
        Error(isTransposed
            ? $"{a} and {b} are stored the other way round: A as [r, in] and B as [out, r] are expected, with r = "
                + $"{rank}. A file of the tutorials? lora adapter convert rewrites it."
            : $"{a} and {b} do not fit r = {rank} of {PeftAdapter.ConfigName} (r {config.Rank}, or rank_pattern): A as "
                + "[r, in] and B as [out, r] are expected. Mend r or rank_pattern, or save the adapter again.");
    }

    private void CheckTargets(PeftConfig config)
    {
        List<ModulePattern> targets;
        try
        {
            targets = [.. config.Targets.Select(target => target.Except(config.Excluded))];
        }
        catch (InputException e)
        {
            findings.Error($"{PeftAdapter.ConfigName}: {e.Message}");
            return;
        }
        foreach (var layer in layers.Where(layer => !targets.Any(target => target.Matches(layer))))
        {
            Error($"'{layer}' has matrices, but target_modules "
                + $"({config.TargetExpression ?? string.Join(", ", config.TargetNames)}) does not mean it, and they "
                + "would not be loaded. Add it to target_modules.");
        }
        foreach (var target in targets.Where(target => !layers.Any(target.Matches)))
        {
            findings.Warning($"{PeftAdapter.ConfigName}: target_modules has '{target}', but the file has matrices of "
                + "no such layer. Where the model has none either, the name is another architecture's; else the "
                + "adapter is incomplete.");
        }
    }

    /// <summary>
    /// PEFT trains and saves the head for a task by itself, and fails on a file that lacks it.
    /// </summary>
    private void CheckHead(PeftConfig config)
    {
        var modules = file.Whole.Keys.Select(StateDict.ModuleOf).ToHashSet();
        foreach (var name in (config.ModulesToSave ?? []).Except(PeftHeads.ImpliedBy(config.TaskType))
            .Where(name => !modules.Any(path => path.EndsWith(name, StringComparison.Ordinal))))
        {
            findings.Warning($"{PeftAdapter.ConfigName}: modules_to_save names '{name}', but the file has no tensor "
                + "of it. Where the model has none either, the name is another architecture's; else the adapter is "
                + "incomplete.");
        }
        if (config.TaskType != PeftHeads.Classification)
        {
            return;
        }
        if (!modules.Any(PeftHeads.IsOfClassifier))
        {
            Error("the head is missing: with task_type SEQ_CLS, PEFT looks for the trained classifier "
                + "(classifier.weight, classifier.bias) and fails without it; its answers would be random. Save the "
                + "adapter again with its head, or set task_type and modules_to_save to null if it was trained with "
                + "the base model's own head.");
            return;
        }
        foreach (var path in PeftHeads.MissingOf(layers, file.Whole.Keys))
        {
            Error($"a part of the head is missing: '{PeftAdapter.Prefix}{path}'. PEFT takes every module for a trained "
                + "one whose path ends with classifier, pre_classifier too, and wants it whole.");
        }
    }

    private void CheckPatterns(PeftConfig config)
    {
        var keys = config.RankPattern.Keys.Select(key => (What: "rank_pattern", Key: key))
            .Concat(config.AlphaPattern.Keys.Select(key => (What: "alpha_pattern", Key: key)));
        bool MeansNone(string key) => layers.All(layer => ModulePattern.FirstKey([key], layer) is null);
        foreach (var (what, key) in keys.Where(entry => MeansNone(entry.Key)))
        {
            findings.Warning($"{PeftAdapter.ConfigName}: {what} has '{key}', which means none of the layers in the "
                + "file and has no effect.");
        }
    }
}
