using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// One step of a <see cref="PackedProduct"/>: A times a part of B, [depth, columns], that is packed
/// into panels. The last step of some columns adds the second product, each tile of it while the
/// tile of Y is still in the first-level cache.
/// </summary>
internal readonly unsafe struct Slab<TTile, TB> where TTile : ITile where TB : unmanaged, IRightFactor
{
    // A is packed if it costs less than it saves. Where at most so many tiles read a number of it, that is only so for
    // small depths, at which the pointers to the rows would tell; otherwise for all that are not deep, and if the rows
    // do not lie whole. And it is packed if the first-level cache would hold more rows than it has ways in the same few
    // places (a way of it is 4 KiB, and it has at least eight).
    private const int FewTiles = 4, FewDepths = 16, FloatsInWay = 1024, Ways = 8;

    private readonly ProductTask task;
    private readonly PackedFactor<TB> b;
    private readonly PackedFactor<FloatFactor> d;
    private readonly int column, k;

    /// <param name="task">The product.</param>
    /// <param name="b">Its B.</param>
    /// <param name="memory">Room for <see cref="Length"/> floats.</param>
    /// <param name="column">First column of the part.</param>
    /// <param name="columns">Columns of the part.</param>
    /// <param name="k">First row of the part.</param>
    /// <param name="depth">Rows of the part.</param>
    public Slab(in ProductTask task, in TB b, float* memory, int column, int columns, int k, int depth)
    {
        Debug.Assert(GroupColumns % TB.Multiple == 0);
        this.task = task;
        (this.column, Columns, this.k) = (column, columns, k);
        this.b = new(b, memory, column, columns, k, depth, TTile.Columns);
        d = new(new(task.Second.D), memory + Panels.Length(columns, TTile.Columns, depth), column, columns, 0,
            k + depth == task.K ? task.Second.Depth : 0, TTile.Columns);
    }

    /// <summary>
    /// Columns of B in one piece of work, while they stay in the second-level cache: whole panels,
    /// and a multiple of what <typeparamref name="TB"/> is cut at.
    /// </summary>
    public static int GroupColumns => 48 / TTile.Columns * TTile.Columns;

    /// <summary>Columns of the part.</summary>
    public int Columns { get; }

    /// <summary>Rows of the part.</summary>
    public int Depth => b.Depth;

    /// <summary>Pieces of the work of packing.</summary>
    public int PackBlocks => b.PackBlocks + d.PackBlocks;

    /// <summary>Floats that the panels of so many columns of B, and of D, take.</summary>
    public static long Length(in ProductTask task, int columns, int depth) =>
        Panels.Length(columns, TTile.Columns, depth) + Panels.Length(columns, TTile.Columns, task.Second.Depth);

    /// <summary>
    /// Whether tiles read A where it lies, where a piece of work has so many columns.
    /// </summary>
    public static bool ReadsInPlace(in Operand a, int depth, int columns)
    {
        var few = columns <= FewTiles * TTile.Columns;
        return a.ColumnStride == 1
            ? depth >= (few ? FewDepths : PackedProduct.Deep) && (TTile.Rows <= Ways || a.RowStride % FloatsInWay != 0)
            : few && depth >= FewDepths && a.ColumnStride % FloatsInWay != 0;
    }

    /// <inheritdoc cref="ReadsInPlace"/>
    public bool ReadsAInPlace(int columns) => ReadsInPlace(task.A, b.Depth, columns);

    /// <summary>Packs one piece.</summary>
    public void Pack(int block)
    {
        if (block < b.PackBlocks)
        {
            b.Pack(block);
        }
        else
        {
            d.Pack(block - b.PackBlocks);
        }
    }

    /// <summary>Computes the part of Y for some rows and some columns of this slab.</summary>
    /// <param name="firstColumn">Counted from the slab's first, where a panel begins.</param>
    /// <param name="packedA">
    /// These rows of A at the slab's depths, packed; null: they are read in place, or packed here.
    /// </param>
    public void Multiply(int firstRow, int rows, int firstColumn, int endColumn, float* packedA, Scratch scratch)
    {
        var inPlace = packedA == null && ReadsAInPlace(endColumn - firstColumn);
        // packing C again for every few columns would cost more than the pointers to its rows
        var cInPlace = (inPlace || packedA != null) && task.Second.C.ColumnStride == 1;
        var lengthOfA = packedA == null ? LeftRows<TTile>.Length(rows, b.Depth, inPlace) : 0;
        var panels = scratch.ForPanels(lengthOfA + LeftRows<TTile>.Length(rows, d.Depth, cInPlace));
        var a = new LeftRows<TTile>(task.A.From(task.A.At(firstRow, k)), rows, b.Depth, inPlace,
            packedA == null ? panels : packedA);
        var c = new LeftRows<TTile>(task.Second.C.From(firstRow), rows, d.Depth, cInPlace, panels + lengthOfA);
        if (packedA == null)
        {
            a.Pack();
        }
        c.Pack();
        for (var at = firstColumn; at < endColumn; at += TTile.Columns)
        {
            var width = Math.Min(TTile.Columns, Columns - at);
            for (var row = 0; row < rows; row += TTile.Rows)
            {
                var tile = new TileOfY(firstRow + row, column + at, Math.Min(TTile.Rows, rows - row), width,
                    b.Panel(at), d.Panel(at));
                if (!a.IsInPlace(row))
                {
                    MultiplyTile(tile, a.Packed(row), c, row);
                }
                else if (task.A.ColumnStride == 1)
                {
                    MultiplyTile(tile, a.Rows(row), c, row);
                }
                else
                {
                    MultiplyTile(tile, a.Columns(row), c, row);
                }
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void MultiplyTile<TLeft>(in TileOfY tile, TLeft a, in LeftRows<TTile> c, int row)
        where TLeft : struct, ILeftPanel
    {
        var y = task.Y.At(tile.Row, tile.Column);
        var z = k > 0 ? task.Y : task.Z;
        var first = z.AtOrNull(tile.Row, tile.Column);
        if (tile.Rows == TTile.Rows && tile.Columns == TTile.Columns && task.Y.ColumnStride == 1)
        {
            Multiply(y, task.Y.RowStride, first, z.RowStride, tile, a, c, row);
        }
        else
        {
            MultiplyBeside(task.Y.From(y), z.From(first), tile, a, c, row);
        }
    }

    /// <summary>
    /// A tile that reaches over the edge of Y, or whose rows do not lie whole: computed beside Y,
    /// and scaled and added there as within it, so that where an element lies changes no bit. Its
    /// memory on the stack would cost the other tiles time if it were inlined.
    /// </summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private void MultiplyBeside<TLeft>(in Operand y, in Operand z, in TileOfY tile, TLeft a, in LeftRows<TTile> c,
        int row) where TLeft : struct, ILeftPanel
    {
        var beside = stackalloc float[TTile.Rows * TTile.Columns];
        if (z.First == null)
        {
            Multiply(beside, TTile.Columns, null, 0, tile, a, c, row);
        }
        else
        {
            TileBeside.Load(beside, TTile.Columns, z, tile.Rows, tile.Columns);
            Multiply(beside, TTile.Columns, beside, TTile.Columns, tile, a, c, row);
        }
        TileBeside.Store(y, beside, TTile.Columns, tile.Rows, tile.Columns);
    }

    /// <summary>Y = Z + scale · A·B + scale · C·D for one tile.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Multiply<TLeft>(float* y, nint yStride, float* z, nint zStride, in TileOfY tile, TLeft a,
        in LeftRows<TTile> c, int row) where TLeft : struct, ILeftPanel
    {
        TTile.Multiply(y, yStride, z, zStride, a, tile.B, b.Depth, task.Scale);
        if (d.Depth == 0)
        {
            return;
        }
        if (c.IsInPlace(row))
        {
            TTile.Multiply(y, yStride, y, yStride, c.Rows(row), tile.D, d.Depth, task.Second.Scale);
        }
        else
        {
            TTile.Multiply(y, yStride, y, yStride, c.Packed(row), tile.D, d.Depth, task.Second.Scale);
        }
    }

    /// <summary>A tile's place and size in Y, and the panels that it is the product with.</summary>
    private readonly struct TileOfY(int row, int column, int rows, int columns, float* b, float* d)
    {
        public readonly int Row = row, Column = column, Rows = rows, Columns = columns;

        public readonly float* B = b, D = d;
    }
}
