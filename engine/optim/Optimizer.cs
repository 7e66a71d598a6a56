using LoraScratch.Engine.NN;

namespace LoraScratch.Engine.Optim;

/// <summary>
/// Changes parameters against their gradients. Gradient accumulation needs nothing special: gradients add up over Backward calls until
/// <see cref="ZeroGradient"/>, so call <see cref="Step"/> after every n-th Backward and divide each loss by n.
/// </summary>
public abstract class Optimizer : IDisposable
{
    private readonly Tensor?[][] states;

    /// <summary>An optimizer of the given parameters.</summary>
    /// <param name="parameters">Trainable parameters.</param> <param name="learningRate">Initial rate; see <see cref="LearningRate"/>.</param>
    /// <param name="slots">How many tensors of state each parameter has.</param>
    /// <exception cref="ArgumentException">There is no parameter, one is frozen, or one comes twice.</exception>
    private protected Optimizer(IEnumerable<Parameter> parameters, float learningRate, int slots)
    {
        Parameters = [.. parameters];
        if (Parameters.Count == 0)
        {
            throw new ArgumentException("An optimizer needs at least one parameter; is everything frozen?", nameof(parameters));
        }
        if (Parameters.FirstOrDefault(parameter => !parameter.IsTrainable) is { } frozen)
        {
            throw new ArgumentException($"The optimizer was given the frozen parameter '{frozen.Name}' {frozen.Shape}; give it TrainableParameters().", nameof(parameters));
        }
        if (Parameters.Distinct().Count() != Parameters.Count)
        {
            throw new ArgumentException("The optimizer was given a parameter twice.", nameof(parameters));
        }
        LearningRate = learningRate;
        states = [.. Parameters.Select(_ => new Tensor?[slots])];
    }

    /// <summary>What it changes.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>Rate of the next step; a <see cref="LinearSchedule"/> sets it.</summary>
    public float LearningRate { get; set; }

    /// <summary>Steps taken so far.</summary>
    public int Steps { get; private set; }

    /// <summary>One step: changes every parameter that has a gradient.</summary>
    public void Step()
    {
        Steps++;
        for (var i = 0; i < Parameters.Count; i++)
        {
            if (Parameters[i].Gradient is { } gradient)
            {
                Update(Parameters[i], gradient, states[i]);
            }
        }
    }

    /// <summary>Forgets all gradients and gives their memory back.</summary>
    public void ZeroGradient()
    {
        foreach (var parameter in Parameters)
        {
            parameter.ZeroGradient();
        }
    }

    /// <summary>Gives the memory of the state back.</summary>
    public void Dispose()
    {
        foreach (var state in states)
        {
            for (var i = 0; i < state.Length; i++)
            {
                state[i]?.Dispose();
                state[i] = null;
            }
        }
        GC.SuppressFinalize(this);
    }

    /// <summary>Changes one parameter. Its state tensors are null until its first step.</summary>
    private protected abstract void Update(Parameter parameter, Tensor gradient, Tensor?[] state);

    /// <summary>The state tensor, zeros before the first step.</summary>
    private protected static Tensor State(Tensor?[] state, int slot, Parameter parameter) => state[slot] ??= Tensor.Zeros(parameter.Shape, parameter.Backend);

    private protected static void RequireAtLeastZero(double value, string name)
    {
        if (!(value >= 0))
        {
            throw new ArgumentOutOfRangeException(name, $"{name} must be at least 0, got {value}.");
        }
    }

    private protected static void RequireBeta(double value, string name)
    {
        if (!(value >= 0 && value < 1))
        {
            throw new ArgumentOutOfRangeException(name, $"{name} must lie in [0, 1), got {value}.");
        }
    }
}
