using LoraScratch.Kernels;

namespace LoraScratch.Engine;

/// <summary>
/// While one is open on this thread, everything that ops compute there is written down, what is
/// frozen as well: results, the equations that autograd records, what each costs. Autograd itself
/// keeps no more than it needs; <see cref="Explain"/> reads this.
/// </summary>
internal sealed class Tape : IDisposable
{
    [ThreadStatic]
    private static Tape? current;

    private readonly Tape? outer = current;
    private readonly KernelTrace trace = new();
    private readonly List<TapeEntry> entries = [];
    private readonly Dictionary<Edge, TapeGradient> byEdge = [];
    private readonly Dictionary<Tensor, TapeEntry> byResult = [];
    private long counted;
    private bool isBackward;

    /// <summary>Begins to write down.</summary>
    public Tape() => current = this;

    /// <summary>The innermost one of this thread.</summary>
    public static Tape? Current => current;

    /// <summary>Every op, in the order of computation.</summary>
    public IReadOnlyList<TapeEntry> Entries => entries;

    /// <summary>The gradients that were computed, in that order.</summary>
    public List<TapeGradient> Applied { get; } = [];

    /// <summary>An op is about to compute its result.</summary>
    public void Begin(Tensor result, string? equation)
    {
        if (isBackward)
        {
            return;                                             // a gradient that uses ops
        }
        CountForward();
        var entry = new TapeEntry(result, equation, result.HoldStorage());
        entries.Add(entry);
        byResult.Add(result, entry);
    }

    /// <summary>
    /// Ops stand here as one from now on, whose result has just been begun: theirs are within it,
    /// and it costs what they did together.
    /// </summary>
    /// <param name="first">The number of the first of them.</param>
    /// <param name="result">The one begun last.</param>
    public void Fold(int first, Tensor result)
    {
        var entry = byResult[result];
        var within = entries[first..^1];
        entry.Flops = within.Sum(op => op.Flops);
        entries.RemoveRange(first, within.Count);
        foreach (var op in within)
        {
            Release(op);
            byResult.Remove(op.Result);
        }
    }

    /// <summary>Nothing is written down on this thread until it is disposed.</summary>
    public static IDisposable Hide() => new Hidden();

    /// <summary>An op says how its result's gradient reaches an input.</summary>
    /// <param name="result">Of the op.</param>
    /// <param name="edge">What autograd keeps of it; null where the inputs are frozen.</param>
    /// <param name="inputs">The input, or several that share work.</param>
    /// <param name="equation">What the function adds.</param>
    /// <param name="gradient">The function.</param>
    /// <param name="needs">What it reads.</param>
    public void Add(Tensor result, Edge? edge, ReadOnlySpan<Tensor> inputs, string equation, Delegate gradient,
        ReadOnlySpan<Tensor> needs)
    {
        if (isBackward || !byResult.TryGetValue(result, out var entry))
        {
            return;
        }
        var held = new List<Storage>();
        foreach (var tensor in (ReadOnlySpan<Tensor>)[.. inputs, .. needs])
        {
            held.Add(tensor.HoldStorage());
        }
        var noted = new TapeGradient(entry, inputs.ToArray(), equation, gradient, needs.ToArray(), edge is not null,
            held);
        entry.Gradients.Add(noted);
        if (edge is not null)
        {
            byEdge.Add(edge, noted);
        }
    }

    /// <summary>Runs Backward and writes down what it computes.</summary>
    public void Backward(Tensor root, Tensor? upstream)
    {
        CountForward();
        isBackward = true;
        root.Backward(upstream);
    }

    /// <summary>Ends the forward pass where there is no backward pass.</summary>
    public void End()
    {
        CountForward();
        isBackward = true;
    }

    /// <summary>
    /// The cost of gradients that were not computed, by running their functions on a device that
    /// only counts. A gradient that computes on the host may fail there; its cost is not known
    /// then.
    /// </summary>
    public void CountUnformed()
    {
        using var noSecondGraph = new NoGradient();
        foreach (var gradient in entries.SelectMany(entry => entry.Gradients))
        {
            var unformed = gradient.Inputs.Where(input => !gradient.IsRecorded || !input.RequiresGradient).ToHashSet();
            if (unformed.Count > 0)
            {
                var formed = unformed.Count == gradient.Inputs.Length
                    ? 0 : Cost(gradient, input => !unformed.Contains(input));
                gradient.UnformedFlops = Cost(gradient, _ => true) - formed;
            }
        }
    }

    /// <summary>In Backward: the gradient of a result is complete.</summary>
    public void Reached(Tensor result, Tensor gradient)
    {
        if (byResult.TryGetValue(result, out var entry))
        {
            entry.Gradient = gradient.ToArray();
        }
        counted = trace.Flops;
    }

    /// <summary>In Backward: a gradient function has run.</summary>
    public void Ran(Edge edge)
    {
        if (byEdge.TryGetValue(edge, out var gradient))
        {
            gradient.Flops = trace.Flops - counted;
            Applied.Add(gradient);
        }
        counted = trace.Flops;
    }

    /// <summary>Ends it and lets go of what was held.</summary>
    public void Dispose()
    {
        current = outer;
        trace.Dispose();
        entries.ForEach(Release);
        entries.Clear();
    }

    private static void Release(TapeEntry entry)
    {
        entry.Held.Release();
        foreach (var storage in entry.Gradients.SelectMany(gradient => gradient.Held))
        {
            storage.Release();
        }
    }

    private void CountForward()
    {
        if (entries.Count > 0 && !isBackward)
        {
            entries[^1].Flops += trace.Flops - counted;
        }
        counted = trace.Flops;
    }

    private static long? Cost(TapeGradient gradient, Predicate<Tensor> isWanted)
    {
        using var count = new KernelTrace(runsKernels: false);
        using var scope = new TensorScope();
        using var dY = Tensor.Empty(gradient.Entry.Result.Shape, gradient.Entry.Result.Backend);
        var standIns = Array.ConvertAll(gradient.Inputs, input => Tensor.Empty(input.Shape, input.Backend));
        try
        {
            if (gradient.Function is Action<Tensor, GradientSum> single)
            {
                single(dY, new GradientSum(standIns[0]));
            }
            else
            {
                var sums = gradient.Inputs.Select((input, i) =>
                    isWanted(input) ? new GradientSum(standIns[i]) : (GradientSum?)null).ToArray();
                ((JointGradientFunction)gradient.Function)(dY, sums);
            }
            return count.Flops;
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException or IndexOutOfRangeException)
        {
            return null;
        }
        finally
        {
            foreach (var standIn in standIns)
            {
                standIn.ZeroGradient();
                standIn.Dispose();
            }
        }
    }

    private sealed class Hidden : IDisposable
    {
        private readonly Tape? before = current;

        public Hidden() => current = null;

        public void Dispose() => current = before;
    }
}

/// <summary>An op on a <see cref="Tape"/>.</summary>
internal sealed class TapeEntry(Tensor result, string? equation, Storage held)
{
    public Tensor Result { get; } = result;

    public string? Equation { get; } = equation;

    public Storage Held { get; } = held;

    public List<TapeGradient> Gradients { get; } = [];

    public long Flops { get; set; }

    /// <summary>The gradient of the result; null where Backward did not come by.</summary>
    public float[]? Gradient { get; set; }
}

/// <summary>How an op's gradient reaches an input, on a <see cref="Tape"/>.</summary>
internal sealed class TapeGradient(TapeEntry entry, Tensor[] inputs, string equation, Delegate function, Tensor[] needs,
    bool isRecorded, IReadOnlyList<Storage> held)
{
    public TapeEntry Entry { get; } = entry;

    public Tensor[] Inputs { get; } = inputs;

    public string Equation { get; } = equation;

    public Delegate Function { get; } = function;

    public Tensor[] Needs { get; } = needs;

    /// <summary>Whether autograd keeps it.</summary>
    public bool IsRecorded { get; } = isRecorded;

    public IReadOnlyList<Storage> Held { get; } = held;

    public long Flops { get; set; }

    /// <summary>What the inputs that got no gradient would have cost; null: not known.</summary>
    public long? UnformedFlops { get; set; } = 0;
}
