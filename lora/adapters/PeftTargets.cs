using System.Text.RegularExpressions;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Adapters;

/// <summary>What the module names of an adapter_config.json mean on a model.</summary>
/// <param name="path">The config's path, for messages.</param>
/// <param name="config">The config.</param>
/// <param name="model">The base model, without LoRA.</param>
/// <param name="file">The tensors; null: they are not looked at.</param>
internal sealed class PeftTargets(string path, PeftConfig config, Module model, AdapterFile? file = null)
{
    private readonly string[] adaptable =
        [.. model.NamedModules<WeightLayer>().Where(entry => entry.Module.PassesGradient).Select(entry => entry.Path)];
    private readonly List<string> warnings = [];

    /// <summary>What is odd but allowed, after <see cref="Plan"/>.</summary>
    public IReadOnlyList<string> Warnings => warnings;

    /// <summary>
    /// Works out the layers that get an update and the modules that are saved whole.
    /// </summary>
    /// <exception cref="InputException">A name means nothing on this model.</exception>
    public LoRAPlan Plan()
    {
        var saved = PeftHeads.EndingWith(config.SavedModuleEndings, model);
        foreach (var name in (config.ModulesToSave ?? []).Except(PeftHeads.ImpliedBy(config.TaskType))
            .Where(name => !saved.Any(kept => kept.Path.EndsWith(name, StringComparison.Ordinal))))
        {
            // without tensors of it, the name of another architecture's module
            if (file is null || file.Whole.Keys.Any(tensor => StateDict.ModuleOf(tensor) is var module
                && module.EndsWith(name, StringComparison.Ordinal)))
            {
                throw new InputException($"{path}: modules_to_save names '{name}', which the model does not have. Is "
                    + "it the adapter of another model, or does the model lack its head?");
            }
            warnings.Add($"{path}: modules_to_save names '{name}', which neither the model nor the file has.");
        }
        try
        {
            var targets = Targets(saved);
            saved = [.. saved, .. SavedTables.Changed(file, model, targets)];
            var plan = LoRAPlan.For(model, Settings(targets), targets,
                [.. saved.Select(kept => ModulePattern.Named(kept.Path))]);
            RequireForm(plan);
            return plan;
        }
        catch (InputException e)
        {
            throw new InputException($"{path}: the adapter does not fit the model. {e.Message}");
        }
    }

    /// <summary>
    /// The settings without patterns for layers that are not adapted: they change nothing.
    /// </summary>
    private LoRASettings Settings(IReadOnlyList<ModulePattern> targets)
    {
        string[] adapted = [.. adaptable.Where(layer => targets.Any(target => target.Matches(layer)))];
        var settings = config.Settings;
        return settings with
        {
            RankPattern = Meaning("rank_pattern", settings.RankPattern),
            AlphaPattern = Meaning("alpha_pattern", settings.AlphaPattern),
        };

        Dictionary<string, T> Meaning<T>(string key, IReadOnlyDictionary<string, T> pattern)
        {
            var (known, others) = (new Dictionary<string, T>(), new List<string>());
            foreach (var (layer, value) in pattern)
            {
                if (adapted.Length == 0 || adapted.Any(other => ModulePattern.FirstKey([layer], other) is not null))
                {
                    known[layer] = value;
                }
                else
                {
                    others.Add(layer);
                }
            }
            SayForeign(key, others);
            return known;
        }
    }

    /// <summary>
    /// The targets that mean something here. A program that serves several architectures names the
    /// layers of all of them; PEFT wants one of the names to mean a layer, and keeps the others.
    /// </summary>
    private IReadOnlyList<ModulePattern> KnownTargets()
    {
        var targets = config.Targets;
        if (config.TargetExpression is not null)
        {
            return targets;
        }
        string[] paths = [.. model.NamedModules().Select(entry => entry.Path)];
        List<ModulePattern> known = [.. targets.Where(target => paths.Any(target.Matches))];
        if (known.Count == 0)
        {
            return targets;                                                 // the plan says what is wrong with them
        }
        SayForeign("target_modules", [.. targets.Except(known).Select(target => target.ToString()!)]);
        return known;
    }

    private void SayForeign(string key, IReadOnlyList<string> names)
    {
        if (names.Count > 0)
        {
            warnings.Add($"{path}: {key} has {string.Join(", ", names.Take(12).Select(name => $"'{name}'"))}"
                + $"{(names.Count > 12 ? " and others" : "")}, which {(names.Count == 1 ? "means" : "mean")} no layer "
                + "of this model.");
        }
    }

    /// <summary>
    /// Refuses an update of quantised weights for float ones, the other way about, and other
    /// groups.
    /// </summary>
    private void RequireForm(LoRAPlan plan)
    {
        foreach (var layer in plan.Layers.Where(layer => !layer.Base.IsEmbedding))
        {
            var found = layer.Base.Weight.Format;
            if (found?.GroupSize == config.PooledInputs)
            {
                continue;
            }
            var wanted = config.PooledInputs is { } groupSize
                ? $"a layer that is quantised in groups of {groupSize} (use_qalora)"
                : "a layer with float weights (use_qalora is not set)";
            throw new InputException($"It is for {wanted}, and {LoRAPlan.Shown(layer.Path)} is "
                + $"{(found is null ? "not quantised" : $"quantised, {found}")}."
                + $"{BaseFingerprint.Remedy(config.BaseModel)}");
        }
    }

    /// <summary>
    /// The targets without what exclude_modules names, and without the modules that are saved
    /// whole: PEFT never puts LoRA into those.
    /// </summary>
    private IReadOnlyList<ModulePattern> Targets(IReadOnlyList<ModuleToSave> saved)
    {
        var excluded = config.Excluded;
        foreach (var pattern in excluded.Where(pattern => !adaptable.Any(pattern.Matches)))
        {
            warnings.Add($"{path}: exclude_modules has '{pattern}', which means no linear layer of the model.");
        }
        IReadOnlyList<ModulePattern> without =
            [.. excluded, .. saved.Select(kept => ModulePattern.Regex($@"{Regex.Escape(kept.Path)}(\..*)?"))];
        var targets = new List<ModulePattern>();
        foreach (var target in KnownTargets())
        {
            var rest = target.Except(without);
            if (adaptable.Any(target.Matches) && !adaptable.Any(rest.Matches))
            {
                warnings.Add($"{path}: every layer that the target '{target}' means is excluded or saved whole; it "
                    + "has no effect.");
            }
            else
            {
                targets.Add(rest);
            }
        }
        return targets.Count > 0
            ? targets : throw new InputException("target_modules names no layer that is neither excluded nor saved "
                + $"whole (modules_to_save: {string.Join(", ", saved.Select(kept => kept.Path))}).");
    }
}
