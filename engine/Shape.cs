using System.Diagnostics.CodeAnalysis;

namespace LoraScratch.Engine;

/// <summary>
/// The sizes of a tensor's dimensions, outermost first: [batch, rows, columns]. [] is a single
/// number.
/// </summary>
public sealed class Shape : IEquatable<Shape>
{
    private readonly int[] sizes;

    /// <summary>A shape of the given sizes, each ≥ 0.</summary>
    /// <exception cref="ArgumentOutOfRangeException">
    /// A size is negative, or there would be more than 2³¹−1 elements.
    /// </exception>
    public Shape(params ReadOnlySpan<int> sizes)
    {
        this.sizes = sizes.ToArray();
        long count = 1;
        foreach (var size in sizes)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(size);
            count *= size;
            if (count > int.MaxValue)
            {
                throw new ArgumentOutOfRangeException(nameof(sizes),
                    $"A tensor of shape {this} has more than {int.MaxValue} elements; split it.");
            }
        }
        Count = (int)count;
    }

    /// <summary>The shape of a single number, [].</summary>
    public static Shape Scalar { get; } = new();

    /// <summary>Number of dimensions.</summary>
    public int Rank => sizes.Length;

    /// <summary>Number of elements.</summary>
    public int Count { get; }

    /// <summary>Size of a dimension; ^1 is the innermost.</summary>
    public int this[Index dimension] => sizes[dimension];

    /// <summary>The sizes, outermost first.</summary>
    public ReadOnlySpan<int> Sizes => sizes;

    /// <summary>
    /// Size of the innermost dimension: the columns of the tensor seen as a matrix (1 for a single
    /// number).
    /// </summary>
    public int Columns => sizes.Length == 0 ? 1 : sizes[^1];

    /// <summary>Product of all other sizes: the rows of the tensor seen as a matrix.</summary>
    public int Rows
    {
        get
        {
            var rows = 1;
            for (var i = 0; i < sizes.Length - 1; i++)
            {
                rows *= sizes[i];
            }
            return rows;
        }
    }

    /// <summary>
    /// The same leading dimensions with another innermost size: what a product with a [Columns,
    /// columns] matrix has.
    /// </summary>
    public Shape WithColumns(int columns)
    {
        if (sizes.Length > 0 && columns == Columns)
        {
            return this;
        }
        Span<int> changed = stackalloc int[Math.Max(1, sizes.Length)];
        sizes.CopyTo(changed);
        changed[^1] = columns;
        return new Shape(changed);
    }

    /// <inheritdoc/>
    public bool Equals([NotNullWhen(true)] Shape? other) =>
        other is not null && sizes.AsSpan().SequenceEqual(other.sizes);

    /// <inheritdoc/>
    public override bool Equals(object? other) => Equals(other as Shape);

    /// <inheritdoc/>
    public override int GetHashCode() => sizes.Aggregate(17, HashCode.Combine);

    /// <summary>True where both have the same sizes.</summary>
    public static bool operator ==(Shape a, Shape b) => a.Equals(b);

    /// <summary>True where some size differs.</summary>
    public static bool operator !=(Shape a, Shape b) => !a.Equals(b);

    /// <summary>"[3, 5]"</summary>
    public override string ToString() => $"[{string.Join(", ", sizes)}]";

    /// <summary>
    /// Throws where two inputs of an op that must agree in shape and device do not.
    /// </summary>
    internal static void RequireEqual(string op, string nameA, Tensor a, string nameB, Tensor b)
    {
        if (a.Shape != b.Shape)
        {
            throw new ShapeMismatchException($"{op}: {nameA} {a.Shape} and {nameB} {b.Shape} must have the same "
                + "shape; the engine does not broadcast.");
        }
        Device.RequireSame(op, nameA, a.Backend, nameB, b.Backend);
    }

    /// <summary>
    /// Throws where a row vector does not have one element for each column of x, or is on another
    /// device.
    /// </summary>
    internal static void RequireRowVector(string op, Tensor x, string name, Tensor vector)
    {
        if (vector.Shape.Rank != 1 || vector.Shape.Count != x.Shape.Columns)
        {
            throw new ShapeMismatchException(
                $"{op}: x {x.Shape} needs {name} of shape [{x.Shape.Columns}], got {vector.Shape}.");
        }
        Device.RequireSame(op, "x", x.Backend, name, vector.Backend);
    }
}

/// <summary>
/// Inputs whose shapes do not fit the op; the message names the op, each input with its shape, and
/// the clash.
/// </summary>
public sealed class ShapeMismatchException(string message) : ArgumentException(message);
