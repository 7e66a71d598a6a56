using LoraScratch.Engine.NN;
using LoraScratch.Kernels;

namespace LoraScratch.Engine.Optim;

/// <summary>
/// Changes parameters against their gradients. Gradient accumulation needs nothing special:
/// gradients add up over Backward calls until <see cref="ZeroGradient"/>, so call
/// <see cref="Step"/> after every n-th Backward and divide each loss by n.
/// </summary>
public abstract class Optimizer : IDisposable
{
    private readonly string[] slots;
    private readonly Tensor?[][] states;        // [parameter][slot]; null before the parameter's first step
    private readonly int[] stepsOf;

    /// <summary>An optimizer of the given parameters.</summary>
    /// <param name="parameters">Trainable parameters.</param>
    /// <param name="learningRate">Initial rate; see <see cref="LearningRate"/>.</param>
    /// <param name="slots">Names of the tensors of state that each parameter has.</param>
    /// <exception cref="ArgumentException">
    /// There is no parameter, one is frozen, or one comes twice.
    /// </exception>
    private protected Optimizer(IEnumerable<Parameter> parameters, float learningRate, params string[] slots)
    {
        Parameters = [.. parameters];
        if (Parameters.Count == 0)
        {
            throw new ArgumentException("An optimizer needs at least one parameter; is everything frozen?",
                nameof(parameters));
        }
        if (Parameters.FirstOrDefault(parameter => !parameter.IsTrainable) is { } frozen)
        {
            throw new ArgumentException($"The optimizer was given the frozen parameter '{frozen.Name}' "
                + $"{frozen.Shape}; give it TrainableParameters().", nameof(parameters));
        }
        if (Parameters.Distinct().Count() != Parameters.Count)
        {
            throw new ArgumentException("The optimizer was given a parameter twice.", nameof(parameters));
        }
        LearningRate = learningRate;
        this.slots = slots;
        states = [.. Parameters.Select(_ => new Tensor?[slots.Length])];
        stepsOf = new int[Parameters.Count];
    }

    /// <summary>What it changes.</summary>
    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>Rate of the next step; may change from step to step.</summary>
    public float LearningRate { get; set; }

    /// <summary>Steps taken so far.</summary>
    public int Steps { get; private set; }

    /// <summary>
    /// Steps that each of <see cref="Parameters"/> took part in: those for which it had a gradient.
    /// </summary>
    public IReadOnlyList<int> StepsOf => stepsOf;

    /// <summary>One step: changes every parameter that has a gradient.</summary>
    public void Step()
    {
        Steps++;
        var updates = new List<(int Step, ParameterUpdate Update)>();
        for (var i = 0; i < Parameters.Count; i++)
        {
            if (Parameters[i].Gradient is { } gradient)
            {
                updates.Add((++stepsOf[i], new ParameterUpdate(Parameters[i], gradient, states[i])));
            }
        }
        foreach (var together in updates.GroupBy(each => (each.Step, each.Update.Parameter.Backend)))
        {
            Update(together.Key.Backend, [.. together.Select(each => each.Update)], together.Key.Step);
        }
    }

    /// <summary>
    /// Bounds the size of the next step: scales all gradients together so that their joint
    /// Euclidean norm is at most <paramref name="largest"/>.
    /// </summary>
    /// <param name="largest">Bound on the norm, above 0.</param>
    /// <returns>The norm before clipping.</returns>
    public float ClipGradients(float largest) => GradientClipping.ClipNorm(Parameters, largest);

    /// <summary>Forgets all gradients and gives their memory back.</summary>
    public void ZeroGradient()
    {
        foreach (var parameter in Parameters)
        {
            parameter.ZeroGradient();
        }
    }

    /// <summary>
    /// Every tensor that the next step depends on beside parameters and gradients, so that it can
    /// be saved.
    /// </summary>
    /// <returns>
    /// Index in <see cref="Parameters"/>, name of the tensor ("velocity", say), and the tensor, of
    /// its parameter's shape.
    /// </returns>
    public IEnumerable<(int Parameter, string Name, Tensor Value)> StateTensors()
    {
        for (var i = 0; i < states.Length; i++)
        {
            for (var slot = 0; slot < slots.Length; slot++)
            {
                if (states[i][slot] is { } value)
                {
                    yield return (i, slots[slot], value);
                }
            }
        }
    }

    /// <summary>Goes on where another optimizer of the same kind and parameters was.</summary>
    /// <param name="steps">Its <see cref="Steps"/>.</param>
    /// <param name="stepsOf">Its <see cref="StepsOf"/>.</param>
    /// <param name="read">
    /// The values of a tensor of its <see cref="StateTensors"/>, by index of the parameter and
    /// name; asked for parameters that took a step.
    /// </param>
    /// <exception cref="ArgumentException">The number of parameters differs.</exception>
    public void Restore(int steps, IReadOnlyList<int> stepsOf, Func<int, string, float[]> read)
    {
        if (stepsOf.Count != Parameters.Count)
        {
            throw new ArgumentException(
                $"The optimizer has {Parameters.Count} parameters, the state is of {stepsOf.Count}.", nameof(stepsOf));
        }
        Steps = steps;
        for (var i = 0; i < Parameters.Count; i++)
        {
            this.stepsOf[i] = stepsOf[i];
            for (var slot = 0; slot < slots.Length && stepsOf[i] > 0; slot++)
            {
                State(states[i], slot, Parameters[i]).Set(read(i, slots[slot]));
            }
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

    /// <summary>Changes parameters on one device.</summary>
    /// <param name="backend">The device.</param>
    /// <param name="updates">At least one.</param>
    /// <param name="step">
    /// The number of this step among those of each of these parameters, from 1: one that had no
    /// gradient so far begins later, as in PyTorch.
    /// </param>
    private protected abstract void Update(IBackend backend, IReadOnlyList<ParameterUpdate> updates, int step);

    private static Tensor State(Tensor?[] state, int slot, Parameter parameter) =>
        state[slot] ??= new Tensor(parameter.Shape,
            new Storage(parameter.Backend, parameter.Shape.Count, initially: 0, lasting: true));

    /// <summary>A parameter that is to be changed.</summary>
    /// <param name="Parameter">The parameter.</param>
    /// <param name="Gradient">Its gradient.</param>
    /// <param name="State">By slot; null until the first step.</param>
    private protected readonly record struct ParameterUpdate(Parameter Parameter, Tensor Gradient, Tensor?[] State)
    {
        /// <summary>The state of a slot, zeros before the first step.</summary>
        public DeviceBuffer<float> StateOf(int slot) => Optimizer.State(State, slot, Parameter).Data;
    }

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
