using LoraScratch.Engine.NN;
using LoraScratch.Kernels;

namespace LoraScratch.Engine.Optim;

/// <summary>
/// Bounds the size of a step (Pascanu, Mikolov and Bengio 2013, arXiv 1211.5063).
/// </summary>
internal static class GradientClipping
{
    /// <summary>
    /// Scales all gradients together so that their joint Euclidean norm is at most
    /// <paramref name="largest"/>: g ← g · min(1, largest/(norm + 1e-6)), as
    /// torch.nn.utils.clip_grad_norm_ does.
    /// </summary>
    /// <param name="parameters">Those without a gradient are passed over.</param>
    /// <param name="largest">Bound on the norm, above 0.</param>
    /// <returns>The norm before clipping.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The bound is not above 0.</exception>
    public static float ClipNorm(IEnumerable<Parameter> parameters, float largest)
    {
        if (!(largest > 0))
        {
            throw new ArgumentOutOfRangeException(nameof(largest),
                $"The largest gradient norm must be above 0, got {largest}.");
        }
        var gradients = Gradients(parameters);
        var norm = Norm(gradients);
        Clip(gradients, norm, largest);
        return norm;
    }

    /// <summary>The Euclidean norm of several tensors taken as one vector.</summary>
    internal static float Norm(IReadOnlyList<Tensor> tensors)
    {
        using var squares = SumOfSquares(tensors);
        return squares is null ? 0 : MathF.Sqrt(squares.Item());
    }

    /// <summary>The gradients that there are.</summary>
    internal static IReadOnlyList<Tensor> Gradients(IEnumerable<Parameter> parameters) =>
        [.. parameters.Select(parameter => parameter.Gradient).OfType<Tensor>()];

    /// <summary>
    /// Σ g² over all elements, whose root is the norm, on the device: [1], the caller's; null where
    /// there is no gradient.
    /// </summary>
    internal static Tensor? SumOfSquares(IReadOnlyList<Tensor> gradients)
    {
        if (gradients.Count == 0)
        {
            return null;
        }
        var squares = Tensor.Empty(Shape.Scalar, gradients[0].Backend);
        squares.Backend.AddSumOfSquares(new Accumulator(squares.Data, IsEmpty: true), Buffers(gradients));
        return squares;
    }

    /// <summary>Scales gradients of a known norm.</summary>
    internal static void Clip(IReadOnlyList<Tensor> gradients, float norm, float largest)
    {
        var factor = largest / (norm + 1e-6f);
        if (factor < 1 && gradients.Count > 0)
        {
            gradients[0].Backend.Scale(Buffers(gradients), factor);
        }
    }

    private static DeviceBuffer<float>[] Buffers(IReadOnlyList<Tensor> tensors) =>
        [.. tensors.Select(tensor => tensor.Data)];
}
