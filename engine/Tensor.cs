using System.Runtime.CompilerServices;
using LoraScratch.Kernels;

namespace LoraScratch.Engine;

/// <summary>
/// A dense float32 array on a device, and a node of the autograd graph.
/// <para>
/// <b>Lifetime.</b> The memory of a tensor goes back to the backend's pool when nobody needs it:
/// neither its owner nor a gradient that was recorded with it. What an op computes is owned by the
/// innermost <see cref="TensorScope"/>, and by the graph: <see cref="Backward"/> frees every
/// intermediate tensor it passes, unless <see cref="Keep"/> was called on it. What you create (with
/// From or Zeros) lives until you dispose it. <see cref="Dispose"/> only says that you are done:
/// the value stays readable as long as the graph needs it.
/// </para>
/// <para>
/// <b>Threads.</b> Any number of threads may compute with the same tensors, each with its own
/// scopes and its own graph. What changes a tensor (<see cref="Set"/>, an optimizer,
/// <see cref="Backward"/> adding to its gradient) is for one thread at a time.
/// </para>
/// </summary>
public class Tensor : IDisposable
{
    private readonly Storage storage;
    private int disposed;

    internal Tensor(Shape shape, Storage storage, bool requiresGradient = false)
    {
        Shape = shape;
        this.storage = storage;
        RequiresGradient = requiresGradient;
    }

    /// <summary>Sizes of the dimensions, outermost first.</summary>
    public Shape Shape { get; }

    /// <summary>The device that holds the values.</summary>
    public IBackend Backend => storage.Backend;

    /// <summary>The values, row-major.</summary>
    /// <exception cref="ObjectDisposedException">The memory has gone back to the pool.</exception>
    internal DeviceBuffer<float> Data => storage.Buffer ?? throw Freed();

    /// <summary>The values as a [Rows, Columns] matrix, for products.</summary>
    public Matrix Matrix => new(Data, Shape.Rows, Shape.Columns);

    /// <summary>
    /// True when Backward computes a gradient for this tensor: set by hand on leaves (parameters,
    /// inputs), and true for every op result that depends on such a leaf and was computed outside
    /// <see cref="NoGradient"/>.
    /// </summary>
    public bool RequiresGradient { get; internal set; }

    /// <summary>
    /// d(loss)/d(this), summed over all Backward calls since <see cref="ZeroGradient"/>; null when
    /// there is none (always null on a frozen tensor). Of the result of an op it is kept where
    /// <see cref="Keep"/> was called on it.
    /// </summary>
    public Tensor? Gradient { get; internal set; }

    /// <summary>Name of the op that computed it; null for a leaf.</summary>
    public string? Operation { get; private init; }

    /// <summary>
    /// The first of the edges to its inputs, while the graph lives; null for a leaf or a result
    /// outside the graph.
    /// </summary>
    internal Edge? Edges { get; private set; }

    /// <summary>True once Backward has passed and taken the edges away.</summary>
    internal bool IsGraphFreed { get; private set; }

    /// <summary>
    /// The number of the last backward pass that met this tensor; negative once that pass has all
    /// its inputs in order.
    /// </summary>
    internal long VisitedBy { get; set; }

    /// <summary>Whether value and gradient stay after Backward.</summary>
    internal bool IsKept { get; private set; }

    /// <summary>Whether its owner is done with it.</summary>
    internal bool IsDisposed => Volatile.Read(ref disposed) != 0;

    /// <summary>The memory behind it: equal for tensors that share theirs.</summary>
    internal object Memory => storage;

    /// <summary>The name that it was created with; null for most.</summary>
    internal virtual string? OwnName => null;

    /// <summary>"MatMul [3, 5]", for messages.</summary>
    internal virtual string Description => $"{Operation ?? "leaf"} {Shape}";

    // ---------------------------------------------------------------- creation

    /// <summary>A leaf with the given values.</summary>
    /// <param name="values">Row-major, as many as the shape has elements.</param>
    /// <param name="shape">Sizes.</param>
    /// <param name="backend">Where to put it; default <see cref="Device.Default"/>.</param>
    /// <param name="requiresGradient">True: Backward fills <see cref="Gradient"/>.</param>
    /// <exception cref="ShapeMismatchException">
    /// The number of values is not the shape's.
    /// </exception>
    public static Tensor From(ReadOnlySpan<float> values, Shape shape, IBackend? backend = null,
        bool requiresGradient = false)
    {
        if (values.Length != shape.Count)
        {
            throw new ShapeMismatchException(
                $"Tensor.From: shape {shape} holds {shape.Count} values, got {values.Length}.");
        }
        var tensor = Empty(shape, backend, requiresGradient);
        tensor.Backend.Upload(tensor.Data, values);
        return tensor;
    }

    /// <summary>A matrix leaf [rows, columns] from a two-dimensional array.</summary>
    public static Tensor From(float[,] values, IBackend? backend = null, bool requiresGradient = false)
    {
        var flat = new float[values.Length];
        Buffer.BlockCopy(values, 0, flat, 0, flat.Length * sizeof(float));
        return From(flat, new Shape(values.GetLength(0), values.GetLength(1)), backend, requiresGradient);
    }

    /// <summary>A leaf of zeros.</summary>
    public static Tensor Zeros(Shape shape, IBackend? backend = null, bool requiresGradient = false)
    {
        var tensor = Empty(shape, backend, requiresGradient);
        tensor.Backend.Fill(tensor.Data, 0);
        return tensor;
    }

    /// <summary>A leaf with undefined contents.</summary>
    internal static Tensor Empty(Shape shape, IBackend? backend = null, bool requiresGradient = false,
        bool lasting = false) =>
        new(shape, new Storage(backend ?? Device.Default, shape.Count, lasting: lasting), requiresGradient);

    /// <summary>
    /// The tensor that an op is about to compute: undefined contents, owned by the innermost
    /// <see cref="TensorScope"/>. An op fills it through its backend and then calls GradientFor
    /// once for each input.
    /// </summary>
    /// <param name="shape">Sizes.</param>
    /// <param name="backend">Device of the inputs.</param>
    /// <param name="operation">Name of the op: the calling method.</param>
    /// <param name="equation">
    /// What it computes, as a formula in the letters of the gradients' equations: "Y = X·Wᵀ".
    /// <see cref="Explain"/> shows it; null: the op is shown by its name.
    /// </param>
    public static Tensor Result(Shape shape, IBackend backend, [CallerMemberName] string operation = "",
        string? equation = null) =>
        Begin(new Tensor(shape, new Storage(backend, shape.Count)) { Operation = operation }, equation);

    /// <summary>A result that shares this tensor's memory under another shape.</summary>
    internal Tensor View(Shape shape, [CallerMemberName] string operation = "", string equation = "Y = X") =>
        Begin(ShareStorage(shape, operation), equation);

    private static Tensor Begin(Tensor result, string? equation)
    {
        Tape.Current?.Begin(result, equation);
        return TensorScope.Own(result);
    }

    /// <summary>Another tensor over the same memory, owned by the caller.</summary>
    internal Tensor ShareStorage(Shape shape, string operation = "") =>
        new(shape, HoldStorage()) { Operation = operation };

    /// <summary>
    /// A leaf over the same memory, owned by the innermost <see cref="TensorScope"/>, which has a
    /// gradient of its own where this one has.
    /// </summary>
    internal Tensor StandIn() => TensorScope.Own(new Tensor(Shape, HoldStorage(), RequiresGradient));

    /// <summary>Whether another tensor, or a recorded gradient, holds the same memory.</summary>
    internal bool SharesStorage => storage.IsShared;

    // ---------------------------------------------------------------- reading

    /// <summary>Copies the values to the host, row-major.</summary>
    public float[] ToArray()
    {
        var values = new float[Shape.Count];
        Backend.Download(values.AsSpan(), Data);
        return values;
    }

    /// <summary>The value of a tensor with one element.</summary>
    /// <exception cref="InvalidOperationException">There are more elements.</exception>
    public float Item()
    {
        if (Shape.Count != 1)
        {
            throw new InvalidOperationException(
                $"Item() reads a tensor of one element, this one has shape {Shape}. Use ToArray().");
        }
        Span<float> value = stackalloc float[1];
        Backend.Download(value, Data);
        return value[0];
    }

    /// <summary>
    /// The values of tensors with one element, on one device, which is waited for once.
    /// </summary>
    internal static float[] Items(params IReadOnlyList<Tensor> tensors) =>
        tensors.Count == 0 ? [] : tensors[0].Backend.DownloadFirsts([.. tensors.Select(tensor => tensor.Data)]);

    /// <summary>Overwrites the values; the shape stays.</summary>
    /// <exception cref="ShapeMismatchException">
    /// The number of values is not the shape's.
    /// </exception>
    public void Set(ReadOnlySpan<float> values)
    {
        if (values.Length != Shape.Count)
        {
            throw new ShapeMismatchException(
                $"Tensor.Set: {Description} holds {Shape.Count} values, got {values.Length}.");
        }
        Backend.Upload(Data, values);
    }

    // ---------------------------------------------------------------- autograd

    /// <summary>
    /// Records how this op result's gradient dY reaches one input's gradient dX. Call it once per
    /// input, in parameter order; it does nothing when the input needs no gradient or nothing is
    /// recorded (<see cref="NoGradient"/>), so a frozen input costs nothing.
    /// </summary>
    /// <param name="input">The input x.</param>
    /// <param name="equation">What the function adds, as a formula: "dX += dY·Wᵀ".</param>
    /// <param name="gradient">
    /// Is given dY and the sum dX, and adds to it; it runs at most once. It may use ops: they
    /// record nothing then, and their results end with the pass.
    /// </param>
    /// <param name="needs">
    /// Every tensor whose value the function reads: they are held until it has run.
    /// </param>
    /// <returns>This tensor.</returns>
    public Tensor GradientFor(Tensor input, string equation, Action<Tensor, GradientSum> gradient,
        params ReadOnlySpan<Tensor> needs)
    {
        if (input.RequiresGradient && !NoGradient.IsActive)
        {
            Record([input], equation, gradient, needs);
        }
        else
        {
            Tape.Current?.Add(this, null, [input], equation, gradient, needs);
        }
        return this;
    }

    /// <summary>
    /// Records one function for several inputs that share work, where
    /// <see cref="GradientFor(Tensor, string, Action{Tensor, GradientSum}, ReadOnlySpan{Tensor})"/>
    /// records one for each.
    /// </summary>
    /// <param name="inputs">
    /// The inputs; the function is given null for those that need no gradient.
    /// </param>
    /// <param name="equation">What it adds.</param>
    /// <param name="gradient">Adds to the gradients; it runs at most once.</param>
    /// <param name="needs">Every tensor that it reads.</param>
    /// <returns>This tensor.</returns>
    internal Tensor GradientFor(ReadOnlySpan<Tensor> inputs, string equation, JointGradientFunction gradient,
        params ReadOnlySpan<Tensor> needs)
    {
        foreach (var input in inputs)
        {
            if (input.RequiresGradient && !NoGradient.IsActive)
            {
                Record(inputs, equation, gradient, needs);
                return this;
            }
        }
        Tape.Current?.Add(this, null, inputs, equation, gradient, needs);
        return this;
    }

    private void Record(ReadOnlySpan<Tensor> inputs, string equation, Delegate gradient, ReadOnlySpan<Tensor> needs)
    {
        var edge = new Edge(inputs, equation, gradient, needs);
        Tape.Current?.Add(this, edge, inputs, equation, gradient, needs);
        if (Edges is null)
        {
            Edges = edge;
        }
        else
        {
            var last = Edges;
            while (last.Next is not null)
            {
                last = last.Next;
            }
            last.Next = edge;
        }
        RequiresGradient = true;
        GraphPart.Recorded(this);
    }

    /// <summary>Takes the edges away and lets go of what they held.</summary>
    internal void FreeGraph()
    {
        for (var edge = Edges; edge is not null; edge = edge.Next)
        {
            edge.Release();
        }
        Edges = null;
        IsGraphFreed = true;
    }

    /// <summary>
    /// The chain rule from here to every leaf that requires a gradient: adds d(this)/d(leaf) to
    /// each leaf's <see cref="Gradient"/>, then frees the graph.
    /// </summary>
    /// <param name="upstream">
    /// d(loss)/d(this), same shape; may be left out for a tensor of one element, where it is 1.
    /// </param>
    /// <exception cref="InvalidOperationException">
    /// Nothing here requires a gradient, or the graph was freed by an earlier call.
    /// </exception>
    public void Backward(Tensor? upstream = null) => Backpropagation.Run(this, upstream);

    /// <summary>
    /// What <see cref="Backward"/> would run from here, a line per gradient in that order: "MatMul
    /// [3, 5]: dX += dY·Wᵀ → leaf [3, 4]". Frozen inputs have none.
    /// </summary>
    /// <exception cref="InvalidOperationException">
    /// Part of the graph was freed by an earlier Backward.
    /// </exception>
    public string BackwardPlan() => Backpropagation.Describe(this);

    /// <summary>
    /// The same values outside the graph: gradients stop here. Shares the memory.
    /// </summary>
    public Tensor Detach() => View(Shape);

    /// <summary>
    /// Keeps the value, and the <see cref="Gradient"/> that Backward computes for it, readable
    /// after Backward and after the <see cref="TensorScope"/> ends; you dispose it then. Call it
    /// before Backward: it frees the gradients of all other intermediate results as it passes them.
    /// </summary>
    /// <returns>This tensor.</returns>
    public Tensor Keep()
    {
        IsKept = true;
        return this;
    }

    /// <summary>Forgets the gradient and gives its memory back.</summary>
    public void ZeroGradient()
    {
        Gradient?.Dispose();
        Gradient = null;
    }

    /// <summary>Adds a holder to the memory behind this tensor.</summary>
    /// <exception cref="ObjectDisposedException">The memory has gone back to the pool.</exception>
    internal Storage HoldStorage() => storage.TryRetain() ? storage : throw Freed();

    private ObjectDisposedException Freed() => new(Operation ?? nameof(Tensor),
        $"The value of this tensor ({Description}) went back to the memory pool: Backward() frees the intermediate "
            + "values of its graph, a TensorScope what was computed in it. " +
        "Read it before, or call Keep() on it; a gradient function names what it reads in `needs`.");

    /// <inheritdoc/>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref disposed, 1) == 0)
        {
            storage.Release();
            if (IsKept && IsGraphFreed)
            {
                ZeroGradient();
            }
        }
        GC.SuppressFinalize(this);
    }

    /// <summary>
    /// Name and shape, and the values as rows and columns, at most eight of each: for the debugger
    /// and for print.
    /// </summary>
    public override string ToString() => storage.IsFreed
        ? $"{Description} (freed)"
        : $"{Description}{(RequiresGradient ? ", requires gradient" : "")}\n{TensorText.Of(ToArray(), Shape)}";
}
