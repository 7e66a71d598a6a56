using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Adapters;

namespace LoraScratch.Lora.Compression;

/// <summary>
/// What <see cref="LoRAExtraction"/> is asked for: a rank, or a share of the energy.
/// </summary>
internal sealed record ExtractionOptions
{
    /// <summary>
    /// Rank of every update (or min(in, out), where that is less); null: as <see cref="Energy"/>
    /// asks.
    /// </summary>
    public int? Rank { get; init; }

    /// <summary>
    /// Each update gets the smallest rank that keeps this share of ‖ΔW‖²_F, in (0, 1].
    /// </summary>
    public double? Energy { get; init; }

    /// <summary>The linear layers and embeddings whose change becomes an update.</summary>
    public required IReadOnlyList<ModulePattern> Targets { get; init; }

    /// <summary>
    /// Modules that go along whole where they have changed, such as a classifier's head; those that
    /// a target means do not.
    /// </summary>
    public IReadOnlyList<ModulePattern> WholeModules { get; init; } = [];

    /// <summary>
    /// Whether those modules go along changed or not: the base that the adapter will meet does not
    /// have them.
    /// </summary>
    public bool AlwaysWhole { get; init; }

    /// <summary>Which biases go along.</summary>
    public LoRABias Bias { get; init; }

    /// <summary>Names the random numbers of the decomposition.</summary>
    public ulong Seed { get; init; }

    /// <summary>Says what cannot be.</summary>
    /// <exception cref="InputException">
    /// Rank and energy are both given or both missing, or out of range.
    /// </exception>
    public void Check() => RankRules.Check(Rank, Energy);
}

/// <summary>A layer whose change became an update.</summary>
/// <param name="OutFeatures">out</param>
/// <param name="InFeatures">in</param>
/// <param name="Rank">Of the update.</param>
/// <param name="WeightNorm">‖W‖_F of the base.</param>
/// <param name="ChangeNorm">‖ΔW‖_F</param>
/// <param name="Error">‖ΔW − (A·B)ᵀ‖_F, computed from the float32 factors that are saved.</param>
internal sealed record ExtractedLayer(string Path, int OutFeatures, int InFeatures, int Rank, double WeightNorm,
    double ChangeNorm, double Error)
{
    /// <summary>The error as a share of the change.</summary>
    public double RelativeError => Error / ChangeNorm;

    /// <summary>The share of ‖ΔW‖²_F that the update has.</summary>
    public double Energy => 1 - RelativeError * RelativeError;
}

/// <summary>A parameter that was tuned and that the adapter has no place for.</summary>
/// <param name="Shape">Its sizes.</param>
/// <param name="ChangeNorm">‖Δ‖ of all its elements.</param>
/// <param name="BaseNorm">‖·‖ of the base's.</param>
internal sealed record LostChange(string Path, Shape Shape, double ChangeNorm, double BaseNorm);

/// <summary>
/// Turns a full fine-tune into a LoRA adapter: of every chosen linear layer ΔW = W_tuned − W_base =
/// U·diag(σ)·Vᵀ, and the first k terms are the update, A = V_k, B = (U_k·diag(σ_k))ᵀ, with alpha =
/// rank, so that s = 1. No update of that rank is nearer to ΔW
/// (<see cref="SingularValueDecomposition"/>). What was tuned beside these layers is added up and
/// told: an adapter has no place for positions and LayerNorm's γ.
/// </summary>
internal sealed class LoRAExtraction
{
    private LoRAExtraction(LoRAAdapter adapter, IReadOnlyList<ExtractedLayer> layers, IReadOnlyList<string> unchanged,
        IReadOnlyList<LostChange> lost, double heldShare) =>
        (Adapter, Layers, Unchanged, Lost, HeldShare) = (adapter, layers, unchanged, lost, heldShare);

    /// <summary>The adapter, attached to the base.</summary>
    public LoRAAdapter Adapter { get; }

    /// <summary>Its layers.</summary>
    public IReadOnlyList<ExtractedLayer> Layers { get; }

    /// <summary>Targets that are the same in both models, and get no update.</summary>
    public IReadOnlyList<string> Unchanged { get; }

    /// <summary>What was tuned and is not in the adapter, the largest change first.</summary>
    public IReadOnlyList<LostChange> Lost { get; }

    /// <summary>The share of ‖Δ‖² of all parameters together that the adapter has.</summary>
    public double HeldShare { get; }

    /// <summary>Compares the models and attaches the adapter to the base.</summary>
    /// <param name="baseModel">The model before; it has the adapter afterwards.</param>
    /// <param name="tuned">The model after; it is not changed.</param>
    /// <param name="options">What is wanted.</param>
    /// <param name="progress">Is told each layer when it is done; may be null.</param>
    /// <exception cref="InputException">
    /// The models are of different sizes or quantised, a target means no layer, or none of them has
    /// changed.
    /// </exception>
    public static LoRAExtraction Run(Module baseModel, Module tuned, ExtractionOptions options,
        Action<ExtractedLayer>? progress = null)
    {
        options.Check();
        baseModel.RequireFloatWeights("Extraction");
        tuned.RequireFloatWeights("Extraction");
        var before = baseModel.NamedParameters().ToDictionary(entry => entry.Path, entry => entry.Parameter);
        var after = tuned.NamedParameters().ToDictionary(entry => entry.Path, entry => entry.Parameter);
        var changes = Changes(baseModel, after);
        var targets = LoRAPlan.For(baseModel, new LoRASettings(1, 1), options.Targets).Layers;
        var (layers, factors) = (new List<ExtractedLayer>(), new List<LowRankFactors>());
        foreach (var target in targets.Where(target => changes[WeightOf(target)].Change > 0))
        {
            var (layer, update) = Extract(target, before[WeightOf(target)], after[WeightOf(target)], options);
            layers.Add(layer);
            factors.Add(update);
            progress?.Invoke(layer);
        }
        if (layers.Count == 0)
        {
            throw new InputException($"None of the {targets.Count} layers that the targets mean differs between the "
                + "two models; the adapter would do nothing. Are base and tuned model the right ones, and the "
                + "targets those that were trained?");
        }
        var adapter = Attach(baseModel, options, layers, targets, changes);
        Fill(adapter, factors, after);
        var held = HeldPaths(adapter).ToHashSet();
        var weights = layers.Select(layer => $"{layer.Path}.weight").ToHashSet();
        var lost = changes.Where(entry => entry.Value.Change > 0 && !held.Contains(entry.Key)
            && !weights.Contains(entry.Key))
            .Select(entry => new LostChange(entry.Key, after[entry.Key].Shape, entry.Value.Change, entry.Value.Base))
            .OrderByDescending(entry => entry.ChangeNorm).ToList();
        var total = changes.Values.Sum(change => change.Change * change.Change);
        var missing = lost.Sum(entry => entry.ChangeNorm * entry.ChangeNorm)
            + layers.Sum(layer => layer.Error * layer.Error);
        return new LoRAExtraction(adapter, layers,
            [.. targets.Where(target => changes[WeightOf(target)].Change == 0).Select(target => target.Path)], lost,
                Math.Max(0, 1 - missing / total));
    }

    private static string WeightOf(PlannedLayer layer) => layer.Path.Length == 0 ? "weight" : $"{layer.Path}.weight";

    /// <summary>‖tuned − base‖ and ‖base‖ of every parameter of the base.</summary>
    private static Dictionary<string, (double Change, double Base)> Changes(Module baseModel,
        Dictionary<string, Parameter> after)
    {
        var changes = new Dictionary<string, (double, double)>();
        var problems = new List<string>();
        foreach (var (path, before) in baseModel.NamedParameters())
        {
            if (!after.TryGetValue(path, out var tuned) || tuned.Shape != before.Shape)
            {
                problems.Add($"{path} is {before.Shape} in the base and {tuned?.Shape.ToString() ?? "missing"} in "
                    + "the tuned model");
                continue;
            }
            var (old, now) = (before.ToArray(), tuned.ToArray());
            double change = 0, norm = 0;
            for (var i = 0; i < old.Length; i++)
            {
                var difference = (double)now[i] - old[i];
                change += difference * difference;
                norm += (double)old[i] * old[i];
            }
            changes[path] = (Math.Sqrt(change), Math.Sqrt(norm));
        }
        problems.AddRange(after.Keys
            .Where(path => !changes.ContainsKey(path)
                && !problems.Any(problem => problem.StartsWith($"{path} is ", StringComparison.Ordinal)))
                .Select(path => $"{path} is missing in the base"));
        return problems.Count == 0 ? changes : throw new InputException(
            "Base and tuned model are not of the same sizes, and their weights cannot be subtracted:\n  "
                + $"{string.Join("\n  ", problems.Take(10))}"
                + $"{(problems.Count > 10 ? $"\n  … and {problems.Count - 10} more" : "")}");
    }

    private static (ExtractedLayer Layer, LowRankFactors Factors) Extract(
        PlannedLayer target, Parameter original, Parameter tuned, ExtractionOptions options)
    {
        // [out, in], which is how a linear layer stores it and an embedding does not
        DenseMatrix Oriented(Parameter w) =>
            target.Base.IsEmbedding ? DenseMatrix.From(w).Transpose() : DenseMatrix.From(w);
        var weight = Oriented(original);
        var change = Oriented(tuned) - weight;
        var most = Math.Min(change.Rows, change.Columns);
        var svd = options.Rank is { } wanted
            ? SingularValueDecomposition.Largest(change, Math.Min(wanted, most), options.Seed)
            : SingularValueDecomposition.Jacobi(change);
        var rank = options.Energy is { } share ? svd.RankForEnergy(share) : svd.Values.Count;
        var factors = LowRankFactors.Of(svd, rank);
        return (new ExtractedLayer(target.Path, change.Rows, change.Columns, rank, weight.Norm(), change.Norm(),
            factors.Error(change)), factors);
    }

    /// <summary>alpha = rank in every layer: the factors are the change itself.</summary>
    private static LoRAAdapter Attach(Module baseModel, ExtractionOptions options, List<ExtractedLayer> layers,
        IReadOnlyList<PlannedLayer> targets, Dictionary<string, (double Change, double Base)> changes)
    {
        var paths = layers.ConvertAll(layer => layer.Path);
        var settings = new PeftConfig { Bias = options.Bias }
            .With([.. layers.Select(layer => (layer.Path, layer.Rank, (double)layer.Rank))]).Settings;
        var targeted = targets.Select(target => target.Path).ToHashSet();
        var whole = options.WholeModules.Where(pattern => !targeted.Any(path => Holds(pattern, path))).ToList();
        var hasChanged = changes.Any(entry => entry.Value.Change > 0
            && whole.Any(pattern => Holds(pattern, entry.Key)));
        return LoRAAdapter.Attach(baseModel, settings, [.. paths.Select(ModulePattern.Named)],
            new RandomStream(options.Seed), whole.Count > 0 && (hasChanged || options.AlwaysWhole) ? whole : null);
    }

    /// <summary>Whether a module is meant, or one that it stands in.</summary>
    private static bool Holds(ModulePattern pattern, string path)
    {
        while (path.Length > 0 && !pattern.Matches(path))
        {
            path = path[..Math.Max(0, path.LastIndexOf('.'))];
        }
        return path.Length > 0;
    }

    private static void Fill(LoRAAdapter adapter, List<LowRankFactors> factors, Dictionary<string, Parameter> after)
    {
        foreach (var ((_, layer), update) in adapter.Layers.Zip(factors))
        {
            layer.Lora.A.Set(update.A);
            layer.Lora.B.Set(update.B);
        }
        foreach (var (path, parameter) in PeftAdapter.SavedParameters(adapter.Plan.ModulesToSave))
        {
            parameter.Set(after[path].ToArray());
        }
        foreach (var bias in adapter.Plan.TrainedBiases)
        {
            bias.Parameter.Set(after[bias.Path].ToArray());
        }
    }

    private static IEnumerable<string> HeldPaths(LoRAAdapter adapter) =>
        PeftAdapter.SavedParameters(adapter.Plan.ModulesToSave).Select(entry => entry.Path)
        .Concat(adapter.Plan.TrainedBiases.Select(bias => bias.Path));
}
