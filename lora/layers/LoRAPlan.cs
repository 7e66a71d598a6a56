using System.Globalization;
using System.Text;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora;

/// <summary>One layer that gets an update.</summary>
/// <param name="Pattern">The first pattern that matched it.</param>
/// <param name="Path">Its path in the model; "" where the model itself is the layer.</param>
/// <param name="Base">The layer.</param>
/// <param name="Settings">What holds for it: rank and alpha after their patterns.</param>
internal sealed record PlannedLayer(ModulePattern Pattern, string Path, WeightLayer Base, LoRASettings Settings)
{
    /// <summary>Elements of A and B.</summary>
    public long Parameters => (long)Settings.Rank * (UpdateInputs + Base.OutFeatures);

    /// <summary>
    /// Rows of A: the layer's inputs, or as many as they have groups where the weight is quantised.
    /// </summary>
    public int UpdateInputs => Base.InFeatures / (Base.Weight.Format?.GroupSize ?? 1);

    /// <summary>The place in its owner; null where the model itself is the layer.</summary>
    internal Submodule? Submodule { get; init; }

    /// <summary>The layer with a new update beside it.</summary>
    /// <param name="random">Draws A and the dropout masks.</param>
    internal LayerWithLoRA Adapt(RandomStream random) => LayerWithLoRA.On(Base, Settings, random);
}

/// <summary>
/// One module that stays trainable beside the adapter, such as a classifier's head.
/// </summary>
/// <param name="Module">The module.</param>
internal sealed record ModuleToSave(string Path, Module Module);

/// <summary>One bias of the base that is trained beside the adapter.</summary>
/// <param name="Path">Its path, ending with ".bias".</param>
/// <param name="Parameter">The bias.</param>
internal sealed record TrainedBias(string Path, Parameter Parameter);

/// <summary>
/// What attaching LoRA to a model would do: which pattern meets which layers, with which rank and
/// factor, and how many parameters that makes. Everything that can be wrong is said here, before
/// the model is touched; in particular a pattern that meets nothing is an error.
/// </summary>
internal sealed class LoRAPlan
{
    private LoRAPlan(Module model, LoRASettings settings, IReadOnlyList<PlannedLayer> layers,
        IReadOnlyList<ModuleToSave> kept, IReadOnlyList<string> warnings)
    {
        (Model, Settings, Layers, ModulesToSave, Warnings) = (model, settings, layers, kept, warnings);
        TrainedBiases = Biases(model, settings.Bias, layers, kept);
        ModelParameters = model.CountWeights();
        OtherParameters = OtherTensors.Sum(parameter => (long)parameter.Shape.Count);
    }

    /// <summary>The model.</summary>
    public Module Model { get; }

    /// <summary>What was asked for.</summary>
    public LoRASettings Settings { get; }

    /// <summary>The layers that get an update, in the model's order.</summary>
    public IReadOnlyList<PlannedLayer> Layers { get; }

    /// <summary>The modules that stay trainable.</summary>
    public IReadOnlyList<ModuleToSave> ModulesToSave { get; }

    /// <summary>
    /// The biases that <see cref="LoRASettings.Bias"/> lets be trained, but for those of the
    /// modules that stay trainable anyway.
    /// </summary>
    public IReadOnlyList<TrainedBias> TrainedBiases { get; }

    /// <summary>What is allowed but odd, such as a rank beyond the layer's width.</summary>
    public IReadOnlyList<string> Warnings { get; }

    /// <summary>Elements of all A and B.</summary>
    public long LoRAParameters => Layers.Sum(layer => layer.Parameters);

    /// <summary>Elements of the modules and biases that stay trainable.</summary>
    public long OtherParameters { get; }

    /// <summary>What will be trained.</summary>
    public long TrainableParameters => LoRAParameters + OtherParameters;

    /// <summary>
    /// Elements of the model before attaching, those of quantised weights with them.
    /// </summary>
    public long ModelParameters { get; }

    /// <summary>The parameters of the kept modules and the kept biases, each once.</summary>
    internal IEnumerable<Parameter> OtherTensors =>
        ModulesToSave.SelectMany(kept => kept.Module.Parameters()).Concat(TrainedBiases.Select(kept => kept.Parameter))
        .Distinct();

    /// <summary>Works out what would happen.</summary>
    /// <param name="model">The model; without LoRA so far.</param>
    /// <param name="settings">Rank, alpha, …</param>
    /// <param name="targets">Which linear layers get an update.</param>
    /// <param name="modulesToSave">
    /// Modules that stay trainable; all else is frozen. A name meets its module and every "….name";
    /// null for none.
    /// </param>
    /// <exception cref="InputException">
    /// A pattern meets no linear layer, a layer has LoRA already, a name to keep is unknown, a
    /// module is both adapted and kept, or a setting is out of range.
    /// </exception>
    public static LoRAPlan For(Module model, LoRASettings settings, IReadOnlyList<ModulePattern> targets,
        IReadOnlyList<ModulePattern>? modulesToSave = null)
    {
        settings.Check("LoRA");
        if (targets.Count == 0)
        {
            throw new InputException(
                "LoRA: no targets were given. Name the linear layers to adapt, or take ModulePattern.AllLinear.");
        }
        var places = new TargetMatcher(model);
        var layers = places.Layers(settings, targets);
        var kept = (modulesToSave ?? []).SelectMany(places.ModulesToSave).DistinctBy(entry => entry.Path).ToList();
        RequireApart(layers, kept);
        if (layers.FirstOrDefault(HasHugeMatrix) is { } huge)
        {
            throw new InputException($"{Shown(huge.Path)}: rank {huge.Settings.Rank} would make a matrix of more "
                + $"than {int.MaxValue} elements; from {LargestRank(huge)} on, a higher rank adds nothing.");
        }
        return new LoRAPlan(model, settings, layers, kept, [.. layers.Where(TooWide).Select(layer =>
            $"{Shown(layer.Path)}: rank {layer.Settings.Rank} is more than {LargestRank(layer)}, with which A·B "
                + "already reaches every "
            + "change of W: the further columns of A cost parameters and add nothing.")]);
    }

    /// <summary>The plan as a table, with layers that are alike as one.</summary>
    public override string ToString() => Table(everyLayer: false);

    /// <summary>The plan as a table of 80 columns, paths of modules aside.</summary>
    /// <param name="everyLayer">Whether each layer has a line of its own.</param>
    public string Table(bool everyLayer)
    {
        var text = new StringBuilder();
        foreach (var group in Layers.GroupBy(layer => layer.Pattern))
        {
            text.Append(CultureInfo.InvariantCulture, $"{group.Key} → {Counted(group.Count(), "layer")}\n");
            foreach (var folded in FoldedPaths.Fold(group, layer => Shown(layer.Path),
                layer => everyLayer ? (object)layer : (Details(layer), layer.Parameters)))
            {
                var (layer, modules) = (folded.Modules[0].Module, folded.Modules);
                text.Append(CultureInfo.InvariantCulture, $"  {folded.Path}  {layer.Parameters:N0} parameters")
                    .Append(modules.Count > 1 ? " each" : "").Append('\n')
                    .Append(CultureInfo.InvariantCulture, $"    {Details(layer)}\n");
            }
        }
        foreach (var kept in ModulesToSave)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"stays trainable: {kept.Path}, "
                    + $"{kept.Module.Parameters().Sum(parameter => (long)parameter.Shape.Count):N0} parameters\n");
        }
        if (TrainedBiases.Count > 0)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"stays trainable: {Counted(TrainedBiases.Count, "bias", "biases")}, "
                    + $"{TrainedBiases.Sum(kept => (long)kept.Parameter.Shape.Count):N0} parameters\n");
        }
        text.Append(CultureInfo.InvariantCulture,
            $"trainable: {TrainableParameters:N0} beside {ModelParameters - OtherParameters:N0} frozen parameters")
            .Append(CultureInfo.InvariantCulture,
                $" ({100.0 * TrainableParameters / (ModelParameters + LoRAParameters):0.###} %), "
                    + $"{Bytes(sizeof(float) * TrainableParameters)}");
        foreach (var warning in Warnings)
        {
            text.Append("\nnote: ").Append(warning);
        }
        return text.ToString();
    }

    /// <summary>How a path appears in messages: the model itself has none.</summary>
    internal static string Shown(string path) => path.Length == 0 ? "(the model itself)" : path;

    private static bool HasHugeMatrix(PlannedLayer layer) =>
        (long)layer.Settings.Rank * Math.Max(layer.UpdateInputs, layer.Base.OutFeatures) > int.MaxValue;

    private static bool TooWide(PlannedLayer layer) =>
        layer.Settings.Rank > Math.Min(layer.UpdateInputs, layer.Base.OutFeatures);

    /// <summary>
    /// "min(in, out) = 768", or with a pooled input "min(in/g, out) = 24": the rank with which A·B
    /// reaches every change that the update can make.
    /// </summary>
    private static string LargestRank(PlannedLayer layer)
    {
        var inputs = layer.Base.Weight.Format is null ? "in" : "in/g";
        return $"min({inputs}, out) = {Math.Min(layer.UpdateInputs, layer.Base.OutFeatures)}";
    }

    /// <summary>Shapes, rank and factor.</summary>
    private static string Details(PlannedLayer layer)
    {
        var settings = layer.Settings;
        return string.Create(CultureInfo.InvariantCulture, $"{Form(layer)}  A [{layer.UpdateInputs}, {settings.Rank}]  "
            + $"B [{settings.Rank}, {layer.Base.OutFeatures}]\n    rank {settings.Rank}, alpha {settings.Alpha}, s = "
            + $"{LoRASettings.Name(settings.ScalingRule)} = {settings.Scaling:G5}");
    }

    /// <summary>The weight as it is stored.</summary>
    private static string Form(PlannedLayer layer)
    {
        var weight = $"{(layer.Base.IsEmbedding ? "E" : "W")} {layer.Base.Weight.Shape}";
        return layer.Base.Weight.Format is { } format
            ? $"{weight} {format}, pooling {LoRASettings.Name(layer.Settings.Pooling)}"
            : weight;
    }

    private static string Counted(int count, string what, string? many = null) =>
        $"{count} {(count == 1 ? what : many ?? $"{what}s")}";

    private static IReadOnlyList<TrainedBias> Biases(Module model, LoRABias which, IReadOnlyList<PlannedLayer> layers,
        IReadOnlyList<ModuleToSave> kept)
    {
        var known = kept.SelectMany(entry => entry.Module.Parameters()).ToHashSet();
        var biases = which switch
        {
            LoRABias.LoRAOnly => layers.Where(layer => layer.Base.Bias is not null)
                .Select(layer => new TrainedBias(
                    layer.Path.Length == 0 ? "bias" : $"{layer.Path}.bias", layer.Base.Bias!)),
            LoRABias.All => model.NamedParameters().Where(entry => entry.Parameter.Name == "bias")
                .Select(entry => new TrainedBias(entry.Path, entry.Parameter)),
            _ => [],
        };
        return [.. biases.Where(bias => known.Add(bias.Parameter))];
    }

    private static string Bytes(long bytes) => bytes < 1 << 20
        ? string.Create(CultureInfo.InvariantCulture, $"{bytes / 1024.0:0.#} KiB")
        : string.Create(CultureInfo.InvariantCulture, $"{bytes / 1048576.0:0.#} MiB");

    private static void RequireApart(IReadOnlyList<PlannedLayer> layers, IReadOnlyList<ModuleToSave> kept)
    {
        foreach (var entry in kept)
        {
            var modules = entry.Module.NamedModules().Select(below => below.Module).ToHashSet();
            if (layers.FirstOrDefault(layer => modules.Contains(layer.Base)) is { } both)
            {
                throw new InputException($"LoRA: {Shown(both.Path)} would be adapted (by '{both.Pattern}') and be "
                    + $"trained itself (by '{entry.Path}'). Take one of the two.");
            }
        }
    }
}
