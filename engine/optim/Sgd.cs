using LoraScratch.Engine.NN;
using LoraScratch.Kernels;

namespace LoraScratch.Engine.Optim;

/// <summary>
/// Stochastic gradient descent with torch.optim.SGD's rules and defaults (dampening 0); see
/// <see cref="IBackend.SgdStep"/> for the equations.
/// </summary>
public sealed class Sgd : Optimizer
{
    private readonly float momentum;
    private readonly float weightDecay;
    private readonly bool nesterov;

    /// <summary>An SGD optimizer.</summary>
    /// <param name="parameters">Trainable parameters.</param>
    /// <param name="learningRate">Rate; PyTorch's default since 2.0 is 1e-3.</param>
    /// <param name="momentum">μ ≥ 0; 0 keeps no state.</param>
    /// <param name="weightDecay">L2 factor added to the gradient, ≥ 0.</param>
    /// <param name="nesterov">Nesterov's form; needs momentum.</param>
    /// <exception cref="ArgumentException">
    /// A value is out of range, or nesterov without momentum.
    /// </exception>
    public Sgd(IEnumerable<Parameter> parameters, float learningRate = 1e-3f, float momentum = 0, float weightDecay = 0,
        bool nesterov = false)
        : base(parameters, learningRate, momentum > 0 ? ["velocity"] : [])
    {
        RequireAtLeastZero(learningRate, nameof(learningRate));
        RequireAtLeastZero(momentum, nameof(momentum));
        RequireAtLeastZero(weightDecay, nameof(weightDecay));
        if (nesterov && momentum == 0)
        {
            throw new ArgumentException("Nesterov's form needs a momentum above 0.", nameof(nesterov));
        }
        this.momentum = momentum;
        this.weightDecay = weightDecay;
        this.nesterov = nesterov;
    }

    private protected override void Update(IBackend backend, IReadOnlyList<ParameterUpdate> updates, int step) =>
        backend.SgdStep([.. updates.Select(each => new SgdParameter(each.Parameter.Data, each.Gradient.Data,
            momentum > 0 ? each.StateOf(0) : null))],
            new SgdStep(LearningRate, momentum, weightDecay, nesterov, First: step == 1));
}
