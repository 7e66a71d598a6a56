using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Lora.Compression;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// A classifier with low-rank layers in a form that a folder can hold: its config names
/// them (<see cref="EncoderConfig.LowRank"/>).
/// </summary>
internal static class CompressedModel
{
    /// <summary>
    /// A model of its own with the chosen ranks; the one that was decomposed is not changed.
    /// </summary>
    /// <param name="model">The model, without adapters.</param>
    /// <param name="compression">Of this model.</param>
    /// <param name="ranks">One for each of its layers; null where it stays as it is.</param>
    public static EncoderForSequenceClassification Of(EncoderForSequenceClassification model,
        ModelCompression compression, IReadOnlyList<int?> ranks)
    {
        var values = model.NamedParameters()
            .ToDictionary(entry => entry.Path, entry => (Func<float[]>)entry.Parameter.ToArray);
        var lowRank = model.Config.LowRank.ToDictionary();
        foreach (var (layer, rank) in compression.Layers.Zip(ranks))
        {
            if (rank is { } k)
            {
                var factors = layer.Factors(k);
                lowRank[layer.Path] = k;
                values[$"{layer.Path}.down.weight"] = () => RowMajor.Transposed(factors.A, factors.InFeatures, k);
                values[$"{layer.Path}.up.weight"] = () => RowMajor.Transposed(factors.B, k, factors.OutFeatures);
                values[$"{layer.Path}.up.bias"] = values[$"{layer.Path}.bias"];
            }
        }
        var compressed = new EncoderForSequenceClassification(model.Config with { LowRank = lowRank }, seed: 0,
            model.Backend, draw: false)
        {
            IsPoolerUntrained = model.IsPoolerUntrained,
        };
        foreach (var (path, parameter) in compressed.NamedParameters())
        {
            parameter.Set(values[path]());
        }
        return compressed;
    }
}
