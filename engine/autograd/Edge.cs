using System.Diagnostics;
using LoraScratch.Kernels;

namespace LoraScratch.Engine;

/// <summary>
/// The gradient of a tensor while it is being summed. It comes into being with the first share,
/// which its kernel writes; the later ones are added. A dY that is passed on unchanged lends it its
/// memory.
/// </summary>
/// <param name="tensor">The tensor x whose gradient dX this is.</param>
public readonly struct GradientSum(Tensor tensor)
{
    /// <summary>
    /// dX for a kernel that adds to it: before the first share an empty one, whose memory is
    /// undefined and is written by that kernel. It counts as written once it was asked for, so hand
    /// it to the kernel at once.
    /// </summary>
    [DebuggerBrowsable(DebuggerBrowsableState.Never)]
    internal Accumulator Data
    {
        get
        {
            if (tensor.Gradient is not null)
            {
                return OwnGradient().Data;
            }
            tensor.Gradient = Empty();
            return new Accumulator(tensor.Gradient.Data, IsEmpty: true);
        }
    }

    /// <summary>
    /// dX += scale · A·B, where dX is a [Rows, Columns] matrix, or a batch of them one after the
    /// other.
    /// </summary>
    /// <exception cref="ShapeMismatchException">
    /// The product does not have the shape of x.
    /// </exception>
    public void AddProduct(Matrix a, Matrix b, float scale = 1)
    {
        if (a.Columns != b.Rows || a.Batch * a.Rows != tensor.Shape.Rows || b.Columns != tensor.Shape.Columns
            || a.Batch != b.Batch)
        {
            throw CannotTake(a, b);
        }
        var dX = Data;
        var matrix = new Matrix(dX.Buffer, a.Rows, b.Columns, b.Columns, batch: a.Batch,
            batchStride: a.Rows * b.Columns);
        if (dX.IsEmpty)
        {
            tensor.Backend.Product(matrix, a, b, scale);
        }
        else
        {
            tensor.Backend.AddProduct(matrix, a, b, scale);
        }
    }

    /// <summary>dX += A·Ŵ with a packed weight.</summary>
    /// <exception cref="ShapeMismatchException">
    /// The product does not have the shape of x.
    /// </exception>
    internal void AddProduct(Matrix a, QuantizedMatrix b)
    {
        if (a.Columns != b.Rows || a.Rows != tensor.Shape.Rows || b.Columns != tensor.Shape.Columns || a.Batch != 1)
        {
            throw CannotTake(a, b);
        }
        var dX = Data;
        var matrix = new Matrix(dX.Buffer, a.Rows, b.Columns);
        if (dX.IsEmpty)
        {
            tensor.Backend.Product(matrix, a, b);
        }
        else
        {
            tensor.Backend.AddProduct(matrix, a, b);
        }
    }

    /// <summary>dX += scale · dY, elementwise in row-major order.</summary>
    /// <exception cref="ShapeMismatchException">dY does not have as many elements as x.</exception>
    public void Add(Tensor dY, float scale = 1)
    {
        if (dY.Shape.Count != tensor.Shape.Count)
        {
            throw new ShapeMismatchException($"The gradient of {tensor.Description} cannot take dY {dY.Shape}: it "
                + $"needs {tensor.Shape.Count} elements.");
        }
        if (tensor.Gradient is not null)
        {
            tensor.Backend.AddScaled(OwnGradient().Data, scale, dY.Data);
        }
        // a leaf's gradient outlives dY and may be changed by its owner
        else if (scale == 1 && tensor.Edges is not null)
        {
            tensor.Gradient = dY.ShareStorage(tensor.Shape);
        }
        else
        {
            tensor.Gradient = Empty();
            tensor.Backend.Scale(tensor.Gradient.Data, scale, dY.Data);
        }
    }

    // the gradient of a leaf stays when those of the results around it have gone
    private Tensor Empty() => Tensor.Empty(tensor.Shape, tensor.Backend, lasting: tensor.Edges is null);

    private ShapeMismatchException CannotTake(object a, object b) =>
        new($"The gradient of {tensor.Description} cannot take the product {a} · {b}: it needs a "
            + $"[{tensor.Shape.Rows}, {tensor.Shape.Columns}] matrix.");

    /// <summary>
    /// dX in memory of its own: a dY that lent its memory may have to be read yet.
    /// </summary>
    internal Tensor OwnGradient()
    {
        var gradient = tensor.Gradient!;
        if (gradient.SharesStorage)
        {
            tensor.Gradient = Empty();
            tensor.Backend.Copy(tensor.Gradient.Data, gradient.Data);
            gradient.Dispose();
        }
        return tensor.Gradient!;
    }
}

/// <summary>
/// Adds an op's shares to the gradients of several inputs at once, where computing them apart would
/// repeat work.
/// </summary>
/// <param name="dY">Gradient of the op's result.</param>
/// <param name="dX">One gradient per input, in order; null for a frozen input.</param>
internal delegate void JointGradientFunction(Tensor dY, ReadOnlySpan<GradientSum?> dX);

/// <summary>
/// How the gradient of one op result reaches one input, or several that are computed together.
/// </summary>
internal sealed class Edge
{
    private readonly Delegate gradient;

    // Most edges have one input and need one value: fields instead of arrays keep the graph small.
    private readonly Tensor input;
    private readonly Tensor[]? inputs;
    private readonly Storage? held;
    private readonly Storage[] alsoHeld = [];

    public Edge(ReadOnlySpan<Tensor> inputs, string equation, Delegate gradient, ReadOnlySpan<Tensor> needs)
    {
        input = inputs[0];
        this.inputs = inputs.Length > 1 ? inputs.ToArray() : null;
        Equation = equation;
        this.gradient = gradient;
        if (needs.Length > 0)
        {
            held = needs[0].HoldStorage();
        }
        if (needs.Length > 1)
        {
            alsoHeld = new Storage[needs.Length - 1];
            for (var i = 1; i < needs.Length; i++)
            {
                alsoHeld[i - 1] = needs[i].HoldStorage();
            }
        }
    }

    public ReadOnlySpan<Tensor> Inputs => inputs ?? new ReadOnlySpan<Tensor>(in input);

    /// <summary>The formula of what <see cref="Apply"/> adds.</summary>
    public string Equation { get; }

    /// <summary>The edge recorded after this one for the same result.</summary>
    public Edge? Next { get; set; }

    public void Apply(Tensor dY)
    {
        if (gradient is Action<Tensor, GradientSum> single)
        {
            if (input.RequiresGradient)         // else it was frozen after the forward pass
            {
                single(dY, new GradientSum(input));
            }
            return;
        }
        var sums = new GradientSum?[Inputs.Length];
        for (var i = 0; i < sums.Length; i++)
        {
            sums[i] = Inputs[i].RequiresGradient ? new GradientSum(Inputs[i]) : null;
        }
        ((JointGradientFunction)gradient)(dY, sums);
    }

    /// <summary>
    /// Lets go of the values that the gradient needed; called once, when the edge is taken out of
    /// the graph.
    /// </summary>
    public void Release()
    {
        held?.Release();
        foreach (var storage in alsoHeld)
        {
            storage.Release();
        }
    }
}
