using LoraScratch.Engine.NN;

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
    public static float ClipNorm(IEnumerable<Parameter> parameters, float largest)
    {
        if (!(largest > 0))
        {
            throw new ArgumentOutOfRangeException(nameof(largest),
                $"The largest gradient norm must be above 0, got {largest}.");
        }
        var gradients = parameters.Select(parameter => parameter.Gradient).OfType<Tensor>().ToArray();
        var norm = Norm(gradients);
        var factor = largest / (norm + 1e-6f);
        if (factor < 1)
        {
            foreach (var gradient in gradients)
            {
                gradient.Backend.Scale(gradient.Data, factor, gradient.Data);
            }
        }
        return norm;
    }

    /// <summary>The Euclidean norm of several tensors taken as one vector.</summary>
    internal static float Norm(IReadOnlyList<Tensor> tensors)
    {
        if (tensors.Count == 0)
        {
            return 0;
        }
        using var squares = Tensor.Zeros(Shape.Scalar, tensors[0].Backend);
        foreach (var tensor in tensors)
        {
            tensor.Backend.AddSumOfSquares(squares.Data, tensor.Data);
        }
        return MathF.Sqrt(squares.Item());
    }
}
