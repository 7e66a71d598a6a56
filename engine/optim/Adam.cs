using LoraScratch.Engine.NN;
using LoraScratch.Kernels;

namespace LoraScratch.Engine.Optim;

/// <summary>
/// Adam (Kingma and Ba 2015, arXiv 1412.6980) with torch.optim.Adam's rules and defaults: weight
/// decay, where given, is added to the gradient. See <see cref="IBackend.AdamStep"/> for the
/// equations.
/// </summary>
public class Adam : Optimizer
{
    private readonly AdamStep settings;

    /// <summary>An optimizer without state; the first step begins it.</summary>
    /// <param name="parameters">Trainable parameters.</param>
    /// <param name="learningRate">Rate.</param>
    /// <param name="beta1">β₁</param>
    /// <param name="beta2">β₂</param>
    /// <param name="epsilon">ε</param>
    /// <param name="weightDecay">L2 factor, ≥ 0.</param>
    public Adam(IEnumerable<Parameter> parameters, float learningRate = 1e-3f, double beta1 = 0.9,
        double beta2 = 0.999, double epsilon = 1e-8, double weightDecay = 0)
        : this(parameters, learningRate, beta1, beta2, epsilon, weightDecay, decoupled: false)
    {
    }

    private protected Adam(IEnumerable<Parameter> parameters, float learningRate, double beta1, double beta2,
        double epsilon, double weightDecay, bool decoupled)
        : base(parameters, learningRate, "mean", "square")
    {
        RequireAtLeastZero(learningRate, nameof(learningRate));
        RequireBeta(beta1, nameof(beta1));
        RequireBeta(beta2, nameof(beta2));
        RequireAtLeastZero(epsilon, nameof(epsilon));
        RequireAtLeastZero(weightDecay, nameof(weightDecay));
        settings = new AdamStep(learningRate, beta1, beta2, epsilon, weightDecay, decoupled, 0);
    }

    private protected override void Update(IBackend backend, IReadOnlyList<ParameterUpdate> updates, int step) =>
        backend.AdamStep([.. updates.Select(each => new AdamParameter(each.Parameter.Data, each.Gradient.Data,
            each.StateOf(0), each.StateOf(1)))], settings with { Rate = LearningRate, Number = step });
}

/// <summary>
/// AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101) with torch.optim.AdamW's rules and
/// defaults: Adam whose weight decay shrinks the parameter itself.
/// </summary>
/// <param name="parameters">Trainable parameters.</param>
/// <param name="learningRate">Rate.</param>
/// <param name="beta1">β₁</param>
/// <param name="beta2">β₂</param>
/// <param name="epsilon">ε</param>
/// <param name="weightDecay">Decay, ≥ 0.</param>
public sealed class AdamW(IEnumerable<Parameter> parameters, float learningRate = 1e-3f, double beta1 = 0.9,
    double beta2 = 0.999, double epsilon = 1e-8, double weightDecay = 0.01)
    : Adam(parameters, learningRate, beta1, beta2, epsilon, weightDecay, decoupled: true);
