using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Quantization;

/// <summary>A linear layer of a model that a quantised one can replace.</summary>
/// <param name="Path">Its path in the model.</param>
/// <param name="Submodule">Its place.</param>
/// <param name="Linear">The layer.</param>
internal sealed record QuantizableLayer(string Path, Submodule Submodule, Linear Linear);

/// <summary>How codes are chosen.</summary>
internal enum QuantizationMethod
{
    /// <summary><see cref="Quantization.RoundToNearest"/></summary>
    RoundToNearest,

    /// <summary><see cref="Quantization.Gptq"/>, which needs calibration texts.</summary>
    Gptq,
}

/// <summary>What quantising did to one layer.</summary>
/// <param name="WeightError">‖Ŵ − W‖/‖W‖</param>
/// <param name="OutputError">‖X(Ŵ − W)ᵀ‖/‖XWᵀ‖ on the calibration texts; null without them.</param>
/// <param name="BytesBefore">Of the weight in float32.</param>
/// <param name="BytesAfter">Of codes, scales and zeros.</param>
internal sealed record QuantizedLayer(string Path, double WeightError, double? OutputError, long BytesBefore,
    long BytesAfter);

/// <summary>Replaces the linear layers of a model by quantised ones.</summary>
public static class ModelQuantizer
{
    private static readonly Dictionary<string, QuantizationMethod> MethodNames =
        new() { ["rtn"] = QuantizationMethod.RoundToNearest, ["gptq"] = QuantizationMethod.Gptq };

    /// <summary>
    /// Replaces linear layers by ones with a weight of a few bits; biases stay as they are. LoRA on
    /// them is QA-LoRA, whose update is merged into the zeros of the groups.
    /// </summary>
    /// <param name="model">A model of float layers.</param>
    /// <param name="targets">
    /// Names of linear layers, as the ends of their paths; none: every linear layer.
    /// </param>
    /// <param name="bits">2, 3, 4 or 8</param>
    /// <param name="groupSize">
    /// Inputs that share a scale and a zero; it divides the input of every layer.
    /// </param>
    /// <param name="calibrate">
    /// Runs the model over examples, from whose inputs GPTQ (arXiv 2210.17323) learns which way to
    /// round; null: to the nearest.
    /// </param>
    /// <exception cref="InputException">
    /// A name meets no layer, the groups do not divide an input, or a weight is not finite.
    /// </exception>
    public static void Quantize(Module model, IReadOnlyList<string> targets, int bits = 4, int groupSize = 32,
        Action? calibrate = null)
    {
        var format = new QuantizationFormat(bits, groupSize);
        format.Check();
        var layers = Find(model, LoRAAdapter.Patterns(targets));
        Check(layers, format);
        using var calibration = calibrate is null ? null : Calibration.Of(layers, calibrate);
        Quantize(layers, format, calibration is null ? QuantizationMethod.RoundToNearest : QuantizationMethod.Gptq,
            calibration);
    }

    /// <summary>
    /// The linear layers that are meant and that stand where another layer can, in the model's
    /// order. What means a low-rank layer means its two factors.
    /// </summary>
    /// <param name="model">A model of float layers.</param>
    /// <param name="targets">Which; <see cref="ModulePattern.AllLinear"/> for all.</param>
    /// <exception cref="InputException">A pattern meets none.</exception>
    internal static IReadOnlyList<QuantizableLayer> Find(Module model, IReadOnlyList<ModulePattern> targets)
    {
        var done = model.NamedModules<WeightLayer>().FirstOrDefault(entry => entry.Module.Weight.IsQuantized);
        if (done.Module is not null)
        {
            throw new InputException($"Quantisation: {done.Path} is quantised already, {done.Module}. Quantise the "
                + "model that this one was made of: its weights are not rounded yet.");
        }
        var wholeLayers = LowRankLinear.Factors(model);
        var all = model.ReplaceableLinears()
            .Select(entry => new QuantizableLayer(entry.Path, entry.Submodule, entry.Linear)).ToList();
        bool IsMeant(QuantizableLayer layer, ModulePattern target) =>
            target.Matches(layer.Path) || wholeLayers.TryGetValue(layer.Path, out var whole) && target.Matches(whole);
        foreach (var target in targets.Where(target => !all.Exists(layer => IsMeant(layer, target))))
        {
            throw new InputException($"Quantisation: '{target}' meets no linear layer that can be replaced. The "
                + $"model has {NearMisses.Census([.. all.Select(layer => layer.Path)])}.");
        }
        return [.. all.Where(layer => targets.Any(target => IsMeant(layer, target)))];
    }

    /// <summary>
    /// Checks that a format fits layers, for a caller that has long work to do before they are
    /// quantised.
    /// </summary>
    /// <exception cref="InputException">The groups do not divide the input of a layer.</exception>
    internal static void Check(IReadOnlyList<QuantizableLayer> layers, QuantizationFormat format)
    {
        foreach (var layer in layers)
        {
            format.CheckInput(layer.Path, layer.Linear.InFeatures);
        }
    }

    /// <summary>
    /// Replaces layers, one after the other; biases stay as they are. All are looked at before the
    /// first is changed, so that a model is not left half quantised by a format that does not fit.
    /// </summary>
    /// <param name="layers">From <see cref="Find"/>.</param>
    /// <param name="method">How codes are chosen.</param>
    /// <param name="calibration">
    /// What was learned from calibration texts; null where there are none. It is stopped.
    /// </param>
    /// <param name="progress">Is told each layer when it is done; may be null.</param>
    /// <returns>What it did to each layer.</returns>
    /// <exception cref="InputException">
    /// The groups do not divide the input of a layer, a weight is not finite, or GPTQ has no
    /// calibration texts.
    /// </exception>
    internal static IReadOnlyList<QuantizedLayer> Quantize(
        IReadOnlyList<QuantizableLayer> layers, QuantizationFormat format,
        QuantizationMethod method = QuantizationMethod.RoundToNearest, Calibration? calibration = null,
        Action<QuantizedLayer>? progress = null)
    {
        if (method == QuantizationMethod.Gptq && calibration is null)
        {
            throw new InputException("Quantisation: the method gptq needs calibration texts, from which it learns "
                + "what the inputs of each layer look like. Give some, or choose rtn.");
        }
        Check(layers, format);
        calibration?.Stop();
        var done = new List<QuantizedLayer>();
        foreach (var layer in layers)
        {
            done.Add(Quantize(layer, format, method, calibration?[layer.Path].ToArray()));
            progress?.Invoke(done[^1]);
        }
        return done;
    }

    /// <summary>The method of a name: rtn or gptq.</summary>
    /// <exception cref="InputException">There is no such name.</exception>
    internal static QuantizationMethod ParseMethod(string name) => MethodNames.TryGetValue(name, out var method)
        ? method
        : throw new InputException(
            $"There is no quantisation method '{name}'; the names are {string.Join(", ", MethodNames.Keys)}.");

    /// <summary>The name of a method, as <see cref="ParseMethod"/> reads it.</summary>
    internal static string Name(QuantizationMethod method) => MethodNames.Single(entry => entry.Value == method).Key;

    private static QuantizedLayer Quantize(QuantizableLayer layer, QuantizationFormat format, QuantizationMethod method,
        double[]? hessian)
    {
        var linear = layer.Linear;
        var w = linear.Weight.ToArray();
        var weight = method == QuantizationMethod.Gptq
            ? Gptq.Quantize(w, linear.OutFeatures, hessian!, format, linear.Weight.Backend, layer.Path)
            : RoundToNearest.Quantize(w, linear.OutFeatures, linear.InFeatures, format, linear.Weight.Backend,
                layer.Path);
        layer.Submodule.Replace(new QuantizedLinear(weight, linear.Bias));
        linear.Weight.Dispose();                                            // its bytes are what is to be saved
        return new QuantizedLayer(layer.Path, QuantizationError.OfWeight(w, weight),
            hessian is null ? null : QuantizationError.OfOutput(w, weight, hessian), sizeof(float) * (long)w.Length,
                weight.Bytes);
    }
}
