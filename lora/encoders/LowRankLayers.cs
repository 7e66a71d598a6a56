using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// Makes the layers that a config has in low-rank form (<see cref="EncoderConfig.LowRank"/>) of
/// the whole ones.
/// </summary>
internal static class LowRankLayers
{
    /// <summary>Replaces the layers.</summary>
    /// <param name="model">A new model.</param>
    /// <param name="config">Names them.</param>
    /// <param name="random">
    /// Draws the factors, with the variance that the product's elements would have; null: zeros,
    /// which a checkpoint fills.
    /// </param>
    /// <exception cref="InputException">
    /// A name is none of a linear layer, or a rank is larger than the layer.
    /// </exception>
    public static void Apply(Module model, EncoderConfig config, RandomStream? random)
    {
        var left = config.LowRank.ToDictionary();
        foreach (var (path, submodule, linear) in model.ReplaceableLinears())
        {
            if (left.Remove(path, out var rank))
            {
                var (inFeatures, outFeatures) = (linear.InFeatures, linear.OutFeatures);
                if (rank > Math.Min(inFeatures, outFeatures))
                {
                    throw new InputException($"{config.Family.Name} config: low_rank gives {path} the "
                        + $"rank {rank}, the layer is [{outFeatures}, {inFeatures}]. Write the folder again with "
                        + "'lora compress'.");
                }
                // k products of two such numbers add up to a variance of initializer_range²
                var deviation = MathF.Sqrt(config.InitializerRange / MathF.Sqrt(rank));
                float[] Draw(int count) => random?.Normal(count, deviation) ?? new float[count];
                submodule.Replace(LowRankLinear.Of(linear,
                    new LowRankFactors(rank, inFeatures, outFeatures, Draw(inFeatures * rank),
                        Draw(rank * outFeatures))));
            }
        }
        if (left.Keys.FirstOrDefault() is { } unknown)
        {
            throw new InputException(
                $"{config.Family.Name} config: low_rank names '{unknown}', which is no linear layer of this model.");
        }
    }

    /// <summary>How many numbers less the model has for them.</summary>
    public static double Saved(EncoderConfig config) => config.LowRank.Sum(entry =>
    {
        double hidden = config.Hidden;
        var isWide = config.Family.Modules(LoRATargets.FeedForward).Any(module => module.Matches(entry.Key));
        double other = isWide ? config.FeedForward : hidden;
        return hidden * other - entry.Value * (hidden + other);
    });
}
