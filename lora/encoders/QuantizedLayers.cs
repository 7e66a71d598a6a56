using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Quantization;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// The quantised layers of a model as its files have them. Those of groups are named by
/// <see cref="EncoderConfig.Quantized"/> in config.json, and <see cref="QuantizedTensors"/>
/// holds their weights; those that compute on whole numbers, by
/// <see cref="EncoderConfig.DynamicInt8"/> and <see cref="Int8Tensors"/>.
/// </summary>
internal static class QuantizedLayers
{
    /// <summary>A config that names the quantised layers which a model has now.</summary>
    public static EncoderConfig Named(EncoderConfig config, Module model) => config with
    {
        Quantized = model.NamedModules<QuantizedLinear>()
            .ToDictionary(entry => entry.Path, entry => entry.Module.Weight.Format),
        DynamicInt8 = [.. model.NamedModules<DynamicInt8Linear>().Select(entry => entry.Path)],
    };

    /// <summary>Their weights, to be written.</summary>
    public static IEnumerable<TensorToWrite> Tensors(Module model) =>
        model.NamedModules<QuantizedLinear>().SelectMany(entry => QuantizedTensors.Of(entry.Path, entry.Module.Weight))
            .Concat(model.NamedModules<DynamicInt8Linear>()
                .SelectMany(entry => Int8Tensors.Of(entry.Path, entry.Module.Weight)));

    /// <summary>
    /// Whether a tensor of a checkpoint belongs to the weight of a quantised layer.
    /// </summary>
    public static bool Hold(EncoderConfig config, string tensor) =>
        QuantizedTensors.TryParse(tensor, out var path) && config.Quantized.ContainsKey(path)
        || Int8Tensors.TryParse(tensor, out path) && config.DynamicInt8.Contains(path);

    /// <summary>
    /// Replaces the linear layers that a config names by quantised ones with the weights of a
    /// checkpoint; biases stay.
    /// </summary>
    /// <exception cref="InputException">
    /// A name is none of a linear layer, or its tensors are missing or wrong.
    /// </exception>
    public static void Read(Module model, EncoderConfig config, Checkpoint files)
    {
        var (groups, bytes) = (config.Quantized.ToDictionary(), config.DynamicInt8.ToHashSet());
        foreach (var (path, submodule, linear) in model.ReplaceableLinears())
        {
            var (outFeatures, inFeatures, backend) = (linear.OutFeatures, linear.InFeatures, linear.Weight.Backend);
            if (groups.Remove(path, out var format))
            {
                submodule.Replace(new QuantizedLinear(
                    QuantizedTensors.Read(files, path, format, outFeatures, inFeatures, backend), linear.Bias));
            }
            else if (bytes.Remove(path))
            {
                submodule.Replace(new DynamicInt8Linear(Int8Tensors.Read(files, path, outFeatures, inFeatures, backend),
                    linear.Bias));
            }
            else
            {
                continue;
            }
            linear.Weight.Dispose();
        }
        if (groups.Keys.FirstOrDefault() is { } unknown)
        {
            throw NotThere(files, "quantized", unknown);
        }
        if (bytes.FirstOrDefault() is { } unknownToo)
        {
            throw NotThere(files, "dynamic_int8", unknownToo);
        }
    }

    /// <summary>
    /// How many weights a tensor of a checkpoint stands for: more than it has elements where they
    /// are packed codes.
    /// </summary>
    public static double Numbers(EncoderConfig config, TensorInfo tensor) =>
        QuantizedTensors.TryParse(tensor.Name, out var path) && config.Quantized.TryGetValue(path, out var format)
        ? tensor.ElementCount * 8.0 / format.Bits : tensor.ElementCount;

    private static InputException NotThere(Checkpoint files, string key, string path) =>
        new($"{files.Path}: {key} in config.json names '{path}', which is no linear layer of this model. Do "
            + "config.json and weights belong together?");
}
