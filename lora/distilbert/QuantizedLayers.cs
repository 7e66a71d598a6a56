using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Quantization;

namespace LoraScratch.Lora.DistilBert;

/// <summary>The quantised layers of a model as its files have them: config.json names them (<see cref="DistilBertConfig.Quantized"/>), <see cref="QuantizedTensors"/> holds their weights.</summary>
internal static class QuantizedLayers
{
    /// <summary>The quantised layers that a model has now.</summary>
    public static Dictionary<string, QuantizationFormat> Of(Module model) => All(model).ToDictionary(entry => entry.Path, entry => entry.Layer.Weight.Format);

    /// <summary>Their weights, to be written.</summary>
    public static IEnumerable<TensorToWrite> Tensors(Module model) => All(model).SelectMany(entry => QuantizedTensors.Of(entry.Path, entry.Layer.Weight));

    /// <summary>Replaces the linear layers that a config names by quantised ones with the weights of a checkpoint; biases stay.</summary>
    /// <exception cref="InputException">A name is none of a linear layer, or its tensors are missing or wrong.</exception>
    public static void Read(Module model, DistilBertConfig config, Checkpoint files)
    {
        var left = config.Quantized.ToDictionary();
        foreach (var (path, slot) in model.NamedSlots())
        {
            if (slot.Current is Linear linear && slot.Accepts(typeof(QuantizedLinear)) && left.Remove(path, out var format))
            {
                slot.Replace(new QuantizedLinear(QuantizedTensors.Read(files, path, format, linear.OutFeatures, linear.InFeatures, linear.Weight.Backend), linear.Bias));
                linear.Weight.Dispose();
            }
        }
        if (left.Keys.FirstOrDefault() is { } unknown)
            throw new InputException($"{files.Path}: quantized in config.json names '{unknown}', which is no linear layer of this model. Do config.json and weights belong together?");
    }

    /// <summary>How many weights a tensor of a checkpoint stands for: more than it has elements where they are packed codes.</summary>
    public static double Numbers(DistilBertConfig config, TensorInfo tensor) =>
        QuantizedTensors.TryParse(tensor.Name, out var path) && config.Quantized.TryGetValue(path, out var format) ? tensor.ElementCount * 8.0 / format.Bits : tensor.ElementCount;

    private static IEnumerable<(string Path, QuantizedLinear Layer)> All(Module model) =>
        model.NamedModules().Where(entry => entry.Module is QuantizedLinear).Select(entry => (entry.Path, (QuantizedLinear)entry.Module));
}
