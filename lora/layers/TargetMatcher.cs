using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora;

/// <summary>
/// The modules of a model that patterns can meet, and the errors where they do not.
/// </summary>
internal sealed class TargetMatcher
{
    private readonly List<(string Path, Module Module, Submodule? Submodule)> modules = [];
    private readonly IReadOnlyDictionary<string, string> wholeLayers;

    /// <exception cref="InputException">The model has LoRA layers already.</exception>
    public TargetMatcher(Module model)
    {
        Collect("", model, null);
        wholeLayers = LowRankLinear.Factors(model);
        var adapted = modules.Where(entry => entry.Module is LayerWithLoRA)
            .Select(entry => LoRAPlan.Shown(entry.Path)).ToList();
        if (adapted.Count > 0)
        {
            throw new InputException($"LoRA: {adapted[0]}"
                + $"{(adapted.Count > 1 ? $" (and {adapted.Count - 1} more)" : "")} has a LoRA layer already; "
                + "adapters are not nested. Detach the adapter first.");
        }
    }

    /// <summary>The linear layers that can be adapted.</summary>
    private IEnumerable<string> LinearPaths => modules
        .Where(entry => entry.Module is WeightLayer { IsEmbedding: false, PassesGradient: true })
        .Select(entry => entry.Path);

    /// <summary>
    /// The layers that the patterns meet, with the rank and alpha that hold for each.
    /// </summary>
    public IReadOnlyList<PlannedLayer> Layers(LoRASettings settings, IReadOnlyList<ModulePattern> targets)
    {
        var met = new HashSet<ModulePattern>();
        var layers = new List<PlannedLayer>();
        foreach (var (path, module, submodule) in modules)
        {
            if (module is not WeightLayer layer)
            {
                continue;
            }
            // What means a low-rank layer means its two factors: each of them is a linear layer and gets an update.
            var whole = wholeLayers.GetValueOrDefault(path);
            var patterns = targets.Where(pattern => !layer.IsEmbedding || !pattern.MeansLinearLayers)
                .Where(pattern => pattern.Matches(path) || whole is not null && pattern.Matches(whole)).ToList();
            if (patterns.Count == 0)
            {
                continue;
            }
            if (!layer.PassesGradient)
            {
                throw new InputException(
                    $"{LoRAPlan.Shown(path)} is quantised dynamically, which is for prediction: there is no gradient "
                    + "through it, and no weight to merge into. "
                    + "Name the model that this one was made of, and quantise the result.");
            }
            met.UnionWith(patterns);
            RequireReplaceable(path, layer, submodule);
            layers.Add(new PlannedLayer(patterns[0], path, layer, For(path, settings)) { Submodule = submodule });
        }
        foreach (var pattern in targets.Where(pattern => !met.Contains(pattern)))
        {
            throw Unmatched(pattern);
        }
        RequireDistinct(layers);
        RequireAllMet("rank pattern", settings.RankPattern.Keys, layers);
        RequireAllMet("alpha pattern", settings.AlphaPattern.Keys, layers);
        return layers;
    }

    /// <summary>The modules that a name to keep trainable means.</summary>
    public IEnumerable<ModuleToSave> ModulesToSave(ModulePattern pattern)
    {
        var kept = modules.Where(entry => entry.Path.Length > 0 && pattern.Matches(entry.Path))
            .Select(entry => new ModuleToSave(entry.Path, entry.Module)).ToList();
        if (kept.Sum(entry => entry.Module.Parameters().Count()) == 0)
        {
            var names = modules.Where(entry => entry.Path.Length > 0 && entry.Module.Parameters().Any())
                .Select(entry => entry.Path).ToList();
            throw new InputException($"LoRA: '{pattern}', which is to stay trainable, meets no module with "
                + $"parameters.{DidYouMean(pattern, names)} The model has {NearMisses.Census(names)}.");
        }
        return kept;
    }

    private void Collect(string path, Module module, Submodule? submodule)
    {
        modules.Add((path, module, submodule));
        if (module is LayerWithLoRA)
        {
            return;                             // its own base is not a place for another
        }
        foreach (var child in module.Children)
        {
            Collect(path.Length == 0 ? child.Name : $"{path}.{child.Name}", child.Current, child);
        }
    }

    private static LoRASettings For(string path, LoRASettings settings)
    {
        var changed = settings with
        {
            Rank = ModulePattern.FirstKey(settings.RankPattern.Keys, path) is { } rank
                ? settings.RankPattern[rank] : settings.Rank,
            Alpha = ModulePattern.FirstKey(settings.AlphaPattern.Keys, path) is { } alpha
                ? settings.AlphaPattern[alpha] : settings.Alpha,
        };
        changed.Check(LoRAPlan.Shown(path));
        return changed;
    }

    private static void RequireReplaceable(string path, WeightLayer layer, Submodule? submodule)
    {
        if (submodule is null || LayerWithLoRA.Fits(layer, submodule))
        {
            return;
        }
        var (taken, wider) = layer.IsEmbedding ? ("an Embedding", "an ITokenLayer") : ("a Linear", "a Layer");
        throw new InputException($"LoRA: {path} stands in a place that takes nothing but {taken}. "
            + $"Let its module hold it as {wider}: Add<{wider.Split(' ')[1]}>(\"{submodule.Name}\", …).");
    }

    private static void RequireDistinct(IReadOnlyList<PlannedLayer> layers)
    {
        if (layers.GroupBy(layer => layer.Base).FirstOrDefault(group => group.Count() > 1) is { } shared)
        {
            throw new InputException($"LoRA: {string.Join(" and ", shared.Select(layer => layer.Path))} are one and "
                + "the same layer; two adapters on one weight would be merged into it twice. Target one of them.");
        }
    }

    private static void RequireAllMet(string what, IEnumerable<string> keys, IReadOnlyList<PlannedLayer> layers)
    {
        foreach (var key in keys.Where(key => layers.All(layer => ModulePattern.FirstKey([key], layer.Path) is null)))
        {
            throw new InputException($"LoRA: the {what} '{key}' meets none of the targeted layers: "
                + $"{NearMisses.Census(layers.Select(layer => layer.Path))}.");
        }
    }

    private InputException Unmatched(ModulePattern pattern)
    {
        if (pattern == ModulePattern.AllLinear)
        {
            return new InputException("LoRA: the model has no Linear layer that could be adapted.");
        }
        var others = modules
            .Where(entry => entry.Module is not WeightLayer && entry.Path.Length > 0 && pattern.Matches(entry.Path))
            .ToList();
        if (others.Count > 0)
        {
            var (path, module, _) = others[0];
            return new InputException($"LoRA: '{pattern}' meets {path}, a {module.GetType().Name}; only linear "
                + "layers and embeddings can be adapted. The model's linear layers are "
                + $"{NearMisses.Census(LinearPaths)}.");
        }
        return new InputException($"LoRA: the target '{pattern}' meets no layer of the "
            + $"model.{DidYouMean(pattern, LinearPaths)} Its Linear layers are {NearMisses.Census(LinearPaths)}.");
    }

    private static string DidYouMean(ModulePattern pattern, IEnumerable<string> paths)
    {
        var near = NearMisses.Of(pattern.ToString()!, paths.Select(NearMisses.LastPart));
        return near.Count == 0 ? "" : $" Did you mean {string.Join(" or ", near.Select(name => $"'{name}'"))}?";
    }
}
