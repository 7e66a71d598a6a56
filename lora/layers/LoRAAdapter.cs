using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora;

/// <summary>
/// The LoRA layers of one task on a base model, together with the modules that are trained beside
/// them (a classifier's head). Attaching puts a <see cref="LinearWithLoRA"/> around each target, a
/// <see cref="LinearWithQALoRA"/> where it is quantised, an <see cref="EmbeddingWithLoRA"/> around
/// an embedding table, and freezes all else; <see cref="Detach"/> puts the very same layers back.
/// Several adapters take turns on one base: W is never copied, and what a task's head learned goes
/// and comes with its adapter.
/// </summary>
public sealed class LoRAAdapter
{
    private readonly IReadOnlyList<Submodule?> submodules;
    // of the kept modules: the base's while attached, the adapter's while detached
    private readonly Dictionary<Parameter, float[]> savedValues = [];
    // of the kept modules, while detached: what the adapter trains of them
    private readonly Dictionary<Parameter, bool> savedTrainable = [];
    private readonly Dictionary<Parameter, bool> trainable = [];            // what was trainable before attaching
    private readonly Module baseModel;

    private LoRAAdapter(LoRAPlan plan, RandomStream random)
    {
        (Plan, baseModel, Model) = (plan, plan.Model, plan.Model);
        Layers = [.. plan.Layers.Select(layer => (layer.Path, WithoutFreezing(layer, random)))];
        submodules = [.. plan.Layers.Select(layer => layer.Submodule)];
        foreach (var parameter in plan.OtherTensors)
        {
            savedValues[parameter] = parameter.ToArray();
            savedTrainable[parameter] = true;
        }
        Attach();
    }

    /// <summary>What was attached.</summary>
    internal LoRAPlan Plan { get; }

    /// <summary>
    /// The adapted layers with their paths in the base model, in the model's order; the path is ""
    /// where the model itself is the layer.
    /// </summary>
    public IReadOnlyList<(string Path, LayerWithLoRA Layer)> Layers { get; }

    /// <summary>
    /// The model to call: the base model with its layers replaced; where the base model itself is a
    /// linear layer, what stands in its stead.
    /// </summary>
    public Module Model { get; private set; }

    /// <summary>True while the layers stand in the model.</summary>
    public bool IsAttached { get; private set; }

    /// <summary>True while every W holds its update.</summary>
    public bool IsMerged => Layers[0].Layer.IsMerged;

    /// <summary>
    /// Elements that training would change: of A and B, and of the modules and biases that go with
    /// the adapter. Known while it is detached, too.
    /// </summary>
    public long TrainableParameters => Own().Where(IsTrained).Sum(parameter => (long)parameter.Shape.Count);

    /// <summary>Elements that belong to the adapter, trained or not.</summary>
    public long OwnParameters => Own().Sum(parameter => (long)parameter.Shape.Count);

    /// <summary>Whether any element of A and B is trained.</summary>
    internal bool IsLoRATrained =>
        Layers.Any(layer => layer.Layer.Lora.A.IsTrainable || layer.Layer.Lora.B.IsTrainable);

    /// <summary>
    /// Whether any element of the modules that go with the adapter (a classifier's head) is
    /// trained. Known while it is detached, too.
    /// </summary>
    internal bool TrainsModules => Plan.ModulesToSave.SelectMany(kept => kept.Module.Parameters()).Any(IsTrained);

    /// <summary>
    /// Freezes or unfreezes everything that belongs to the adapter, attached or not; the base is
    /// not touched.
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// It is merged: A and B are frozen until it is unmerged. Or the model is being trained, or
    /// predicts.
    /// </exception>
    public void SetTrainable(bool isTrainable)
    {
        using var change = baseModel.Use.Change("Freezing or unfreezing an adapter");
        if (IsMerged)
        {
            throw new InvalidOperationException(
                "LoRAAdapter: a merged adapter cannot be trained, A and B have gone into W. Call Unmerge() first.");
        }
        foreach (var (_, layer) in Layers)
        {
            (layer.Lora.A.IsTrainable, layer.Lora.B.IsTrainable) = (isTrainable, isTrainable);
        }
        foreach (var parameter in savedValues.Keys)
        {
            savedTrainable[parameter] = isTrainable;
            if (IsAttached)
            {
                parameter.IsTrainable = isTrainable;
            }
        }
    }

    /// <summary>
    /// Attaches a new adapter: A random, B zero, so that the model computes what it did before.
    /// </summary>
    /// <param name="plan">From <see cref="LoRAPlan.For"/>.</param>
    /// <param name="random">Initialises every A and, in training, the dropout masks.</param>
    /// <exception cref="InvalidOperationException">
    /// The model is being trained, or predicts.
    /// </exception>
    internal static LoRAAdapter Attach(LoRAPlan plan, RandomStream random)
    {
        using var change = plan.Model.Use.Change("Attaching an adapter");
        // the model may have got an adapter since it was planned
        _ = new TargetMatcher(plan.Model);
        return new LoRAAdapter(plan, random);
    }

    /// <summary>
    /// Attaches a new adapter: A random, B zero, so that the model computes what it did before.
    /// </summary>
    /// <param name="model">The base model.</param>
    /// <param name="settings">Rank, alpha, …</param>
    /// <param name="targets">
    /// The layers to adapt: names, as the ends of their paths; none: every linear layer.
    /// </param>
    /// <param name="random">Initialises every A and the dropout masks.</param>
    /// <param name="modulesToSave">
    /// Modules that are trained beside it, named likewise; null for none.
    /// </param>
    /// <exception cref="InputException">
    /// A name meets no layer, a setting is out of range, or the model has LoRA already.
    /// </exception>
    public static LoRAAdapter Attach(Module model, LoRASettings settings, IReadOnlyList<string> targets,
        RandomStream random, IReadOnlyList<string>? modulesToSave = null) =>
        Attach(model, settings, Patterns(targets), random, modulesToSave?.Select(ModulePattern.Named).ToArray());

    /// <summary>The layers of some names; of none, every linear layer.</summary>
    internal static IReadOnlyList<ModulePattern> Patterns(IReadOnlyList<string> names) =>
        names.Count > 0 ? [.. names.Select(ModulePattern.Named)] : [ModulePattern.AllLinear];

    /// <summary>Plans and attaches a new adapter.</summary>
    /// <param name="settings">Rank, alpha, …</param>
    /// <param name="targets">The linear layers to adapt.</param>
    /// <param name="random">Initialises every A and the dropout masks.</param>
    /// <param name="modulesToSave">Modules that are trained beside it; null for none.</param>
    /// <exception cref="InputException">As <see cref="LoRAPlan.For"/>.</exception>
    internal static LoRAAdapter Attach(
        Module model, LoRASettings settings, IReadOnlyList<ModulePattern> targets, RandomStream random,
        IReadOnlyList<ModulePattern>? modulesToSave = null) =>
        Attach(LoRAPlan.For(model, settings, targets, modulesToSave), random);

    /// <summary>Puts the adapter, with what it has learned, onto its model again.</summary>
    /// <exception cref="InvalidOperationException">
    /// It is attached already, another adapter is, or the model is being trained or predicts.
    /// </exception>
    public void Attach()
    {
        using var change = baseModel.Use.Change("Attaching an adapter");
        if (IsAttached)
        {
            throw new InvalidOperationException("LoRAAdapter: the adapter is attached already.");
        }
        for (var i = 0; i < Layers.Count; i++)
        {
            if (submodules[i] is { } submodule && submodule.Current != Layers[i].Layer.Base)
            {
                throw new InvalidOperationException($"LoRAAdapter: {Layers[i].Path} is no longer the layer that this "
                    + $"adapter was made for, but a {submodule.Current.GetType().Name}. Detach the other adapter "
                    + "first.");
            }
        }
        foreach (var parameter in baseModel.Parameters().Distinct())
        {
            trainable[parameter] = parameter.IsTrainable;
            parameter.IsTrainable = savedTrainable.GetValueOrDefault(parameter);
        }
        foreach (var (submodule, adapted) in submodules.Zip(Layers))
        {
            submodule?.Replace(adapted.Layer);
            if (submodule is null)
            {
                adapted.Layer.Train(baseModel.IsTraining);
                Model = adapted.Layer;
            }
        }
        ExchangeKept();
        IsAttached = true;
    }

    /// <summary>
    /// Puts the original layers back, the very objects, and the values and the trainability that
    /// everything had before. The adapter keeps what it learned and can be attached again. A merged
    /// adapter is unmerged.
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// It is not attached, or the model is being trained or predicts.
    /// </exception>
    public void Detach()
    {
        using var change = baseModel.Use.Change("Detaching an adapter");
        RequireAttached();
        if (IsMerged)
        {
            Unmerge();
        }
        ExchangeKept();
        PutBack();
    }

    /// <summary>
    /// Writes the update of every layer into its weight, or of none; see
    /// <see cref="LayerWithLoRA.Merge"/>.
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// It is not attached, merged already, or the model is being trained or predicts.
    /// </exception>
    /// <exception cref="InputException">
    /// A zero of a quantised weight would not be finite.
    /// </exception>
    public void Merge()
    {
        using var change = baseModel.Use.Change("Merging an adapter");
        RequireAttached();
        var merged = 0;
        try
        {
            for (; merged < Layers.Count; merged++)
            {
                Layers[merged].Layer.Merge();
            }
        }
        catch
        {
            for (var i = 0; i < merged; i++)
            {
                Layers[i].Layer.Unmerge();
            }
            throw;
        }
    }

    /// <summary>Puts every original weight back, bit for bit.</summary>
    /// <exception cref="InvalidOperationException">
    /// It is not merged, or the model is being trained or predicts.
    /// </exception>
    public void Unmerge()
    {
        using var change = baseModel.Use.Change("Unmerging an adapter");
        foreach (var (_, layer) in Layers)
        {
            layer.Unmerge();
        }
    }

    /// <summary>
    /// Makes the adapter a part of the base for good, so that the model can be saved and used
    /// without it: every weight takes its update, the kept modules stay as trained, the original
    /// layer objects come back. The original weights are gone then.
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// It is not attached, or the model is being trained or predicts.
    /// </exception>
    /// <exception cref="InputException">
    /// A zero of a quantised weight would not be finite; the adapter stays attached and unmerged.
    /// </exception>
    public void MergeAndDetach()
    {
        using var change = baseModel.Use.Change("Merging an adapter");
        RequireAttached();
        if (!IsMerged)
        {
            Merge();
        }
        foreach (var (_, layer) in Layers)
        {
            layer.ForgetOriginal();
        }
        PutBack();
    }

    private IEnumerable<Parameter> Own() =>
        Layers.SelectMany(layer => (Parameter[])[layer.Layer.Lora.A, layer.Layer.Lora.B]).Concat(savedValues.Keys);

    private bool IsTrained(Parameter parameter) =>
        !IsAttached && savedTrainable.TryGetValue(parameter, out var kept) ? kept : parameter.IsTrainable;

    private void PutBack()
    {
        foreach (var parameter in savedValues.Keys)
        {
            savedTrainable[parameter] = parameter.IsTrainable;
        }
        foreach (var (submodule, adapted) in submodules.Zip(Layers))
        {
            submodule?.Replace(adapted.Layer.Base);
            if (submodule is null)
            {
                baseModel.Train(adapted.Layer.IsTraining);
            }
        }
        foreach (var (parameter, before) in trainable)
        {
            parameter.IsTrainable = before;
        }
        Model = baseModel;
        IsAttached = false;
    }

    /// <summary>Exchanges the kept modules' values with those that are laid by.</summary>
    private void ExchangeKept()
    {
        foreach (var parameter in savedValues.Keys)
        {
            var laidBy = savedValues[parameter];
            savedValues[parameter] = parameter.ToArray();
            parameter.Set(laidBy);
            parameter.ZeroGradient();
        }
    }

    private void RequireAttached()
    {
        if (!IsAttached)
        {
            throw new InvalidOperationException(
                "LoRAAdapter: the adapter is not attached to its model; call Attach() first.");
        }
    }

    /// <summary>
    /// The layer with its update; whether W was trainable is recorded only when the adapter is
    /// attached, so it must not change here.
    /// </summary>
    private static LayerWithLoRA WithoutFreezing(PlannedLayer planned, RandomStream random)
    {
        var parameters = planned.Base.Parameters().ToList();
        var before = parameters.Select(parameter => parameter.IsTrainable).ToList();
        var layer = planned.Adapt(random);
        foreach (var (parameter, wasTrainable) in parameters.Zip(before))
        {
            parameter.IsTrainable = wasTrainable;
        }
        return layer;
    }
}
