using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Lora.Training;

/// <summary>
/// Whether the memory of this machine can hold a model that is to be trained whole.
/// </summary>
internal static class TrainingMemory
{
    private const double Gibibyte = 1L << 30;

    /// <summary>
    /// Refuses a model that is too large for the memory of the machine, or the limit of its
    /// container. A GPU has memory of its own, and says itself when that ends.
    /// </summary>
    /// <param name="source">What messages call the file.</param>
    /// <param name="config">Its contents.</param>
    /// <param name="options">The optimizer.</param>
    /// <param name="backend">Where the model would be.</param>
    /// <exception cref="InputException">The model is too large.</exception>
    public static void Require(string source, EncoderConfig config, TrainingOptions options, IBackend backend)
    {
        if (backend.UsesHostMemory)
        {
            Require(source, config, options, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
        }
    }

    /// <summary>
    /// Refuses a config.json whose parameters alone, with their gradients and what the optimizer
    /// keeps of each, are more than the memory; what a step computes comes on top of them.
    /// </summary>
    /// <param name="source">What messages call the file.</param>
    /// <param name="config">Its contents.</param>
    /// <param name="options">The optimizer.</param>
    /// <param name="available">Bytes that the program may take.</param>
    /// <exception cref="InputException">The model is too large.</exception>
    public static void Require(string source, EncoderConfig config, TrainingOptions options, long available)
    {
        var values = 2 + options.Optimizer switch                  // a weight and its gradient
        {
            OptimizerKind.Sgd => options.Momentum > 0 ? 1 : 0,      // the velocity
            _ => 2,                                                 // both moments
        };
        var parameters = ModelSize.EncoderParameters(config);
        var bytes = parameters * values * sizeof(float);
        if (bytes > available)
        {
            throw new InputException($"{source}: {config.SizesInWords} "
                + $"ask for {parameters:N0} parameters. Weights, gradients and what "
                + $"{options.Optimizer.ToString().ToLowerInvariant()} keeps take {bytes / Gibibyte:N1} GiB, and this "
                + $"machine has {available / Gibibyte:N1} GiB. Choose smaller sizes.");
        }
    }
}
