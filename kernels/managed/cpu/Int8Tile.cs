using System.Diagnostics;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// The innermost part of an integer product: a few rows of X pass by a panel of W.
/// </summary>
internal unsafe interface IInt8Tile
{
    /// <summary>The most rows of X at a time.</summary>
    const int MaxRows = 6;

    /// <summary>
    /// Bytes of a code of X as this tile reads them: 1, or 2 where codes have to be widened before.
    /// </summary>
    static abstract int BytesOfCode { get; }

    /// <summary>
    /// s[i, j] = Σₖ x[i, k]·w[j, k] for the rows i and the 16 outputs j of a panel.
    /// </summary>
    /// <param name="s">[rows, 16], rows <paramref name="sStride"/> apart</param>
    /// <param name="sStride">Elements between rows of s.</param>
    /// <param name="x">[rows, 4·quads] codes of <see cref="BytesOfCode"/> bytes</param>
    /// <param name="xStride">Bytes between rows of x.</param>
    /// <param name="rows">1 to <see cref="MaxRows"/></param>
    /// <param name="panel">[quads, 16, 4]</param>
    /// <param name="quads">Fours of inputs.</param>
    static abstract void Multiply(int* s, nint sStride, byte* x, nint xStride, int rows, sbyte* panel, int quads);
}

/// <summary>
/// Six rows by two registers: 12 registers of sums, 2 of W and one or two of what is multiplied and
/// added, out of the 16 that every processor with AVX has. One row alone reads four quads at a time
/// into sums of their own, because its two registers would wait for each other's additions.
/// </summary>
internal readonly unsafe struct Int8Tile<V, R> : IInt8Tile where V : struct where R : struct, IInt8Register<V>
{
    // two rows one after the other are faster than six, four of which nobody wants
    private const int FewestRowsTogether = 3;

    public static int BytesOfCode => R.BytesOfCode;

    public static void Multiply(int* s, nint sStride, byte* x, nint xStride, int rows, sbyte* panel, int quads)
    {
        Debug.Assert(rows is > 0 and <= IInt8Tile.MaxRows);
        if (rows == IInt8Tile.MaxRows)
        {
            SixRows(s, sStride, x, xStride, rows, panel, quads);
        }
        else if (rows >= FewestRowsTogether)
        {
            var sums = stackalloc int[IInt8Tile.MaxRows * Int8Matrix.PanelOutputs];
            SixRows(sums, Int8Matrix.PanelOutputs, x, xStride, rows, panel, quads);
            for (var i = 0; i < rows; i++)
            {
                new ReadOnlySpan<int>(sums + i * Int8Matrix.PanelOutputs,
                    Int8Matrix.PanelOutputs).CopyTo(new Span<int>(s + i * sStride, Int8Matrix.PanelOutputs));
            }
        }
        else
        {
            for (var i = 0; i < rows; i++)
            {
                OneRow(s + i * sStride, x + i * xStride, panel, quads);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void SixRows(int* s, nint sStride, byte* x, nint xStride, int rows, sbyte* panel, int quads)
    {
        // Past the last row the last one again.
        byte* x0 = x, x1 = x + Math.Min(1, rows - 1) * xStride, x2 = x + Math.Min(2, rows - 1) * xStride;
        byte* x3 = x + Math.Min(3, rows - 1) * xStride, x4 = x + Math.Min(4, rows - 1) * xStride,
            x5 = x + Math.Min(5, rows - 1) * xStride;
        var end = (nint)quads * Int8Matrix.Quad * R.BytesOfCode;
        for (var first = 0; first < Int8Matrix.PanelOutputs; first += 2 * R.Outputs)
        {
            V s0l = default, s0r = default, s1l = default, s1r = default, s2l = default, s2r = default;
            V s3l = default, s3r = default, s4l = default, s4r = default, s5l = default, s5r = default;
            var w = panel + first * Int8Matrix.Quad;
            for (nint k = 0; k < end; k += Int8Matrix.Quad * R.BytesOfCode)
            {
                V left = R.Load(w), right = R.Load(w + R.Outputs * Int8Matrix.Quad);
                var codes = R.Of(x0 + k);
                s0l = R.MultiplyAdd(s0l, codes, left);
                s0r = R.MultiplyAdd(s0r, codes, right);
                codes = R.Of(x1 + k);
                s1l = R.MultiplyAdd(s1l, codes, left);
                s1r = R.MultiplyAdd(s1r, codes, right);
                codes = R.Of(x2 + k);
                s2l = R.MultiplyAdd(s2l, codes, left);
                s2r = R.MultiplyAdd(s2r, codes, right);
                codes = R.Of(x3 + k);
                s3l = R.MultiplyAdd(s3l, codes, left);
                s3r = R.MultiplyAdd(s3r, codes, right);
                codes = R.Of(x4 + k);
                s4l = R.MultiplyAdd(s4l, codes, left);
                s4r = R.MultiplyAdd(s4r, codes, right);
                codes = R.Of(x5 + k);
                s5l = R.MultiplyAdd(s5l, codes, left);
                s5r = R.MultiplyAdd(s5r, codes, right);
                w += Int8Matrix.PanelOutputs * Int8Matrix.Quad;
            }
            Store(s + first, s0l, s0r);
            Store(s + sStride + first, s1l, s1r);
            Store(s + 2 * sStride + first, s2l, s2r);
            Store(s + 3 * sStride + first, s3l, s3r);
            Store(s + 4 * sStride + first, s4l, s4r);
            Store(s + 5 * sStride + first, s5l, s5r);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void OneRow(int* s, byte* x, sbyte* panel, int quads)
    {
        const int QuadOfPanel = Int8Matrix.PanelOutputs * Int8Matrix.Quad;
        var parts = stackalloc int[4 * Int8Matrix.PanelOutputs];
        var step = Int8Matrix.Quad * R.BytesOfCode;
        for (var first = 0; first < Int8Matrix.PanelOutputs; first += 2 * R.Outputs)
        {
            V s0l = default, s0r = default, s1l = default, s1r = default, s2l = default, s2r = default, s3l = default,
                s3r = default;
            sbyte* left = panel + first * Int8Matrix.Quad, right = left + R.Outputs * Int8Matrix.Quad;
            var from = x;
            for (var fours = quads / 4; fours > 0; fours--)
            {
                var codes = R.Of(from);
                s0l = R.MultiplyAdd(s0l, codes, R.Load(left));
                s0r = R.MultiplyAdd(s0r, codes, R.Load(right));
                codes = R.Of(from + step);
                s1l = R.MultiplyAdd(s1l, codes, R.Load(left + QuadOfPanel));
                s1r = R.MultiplyAdd(s1r, codes, R.Load(right + QuadOfPanel));
                codes = R.Of(from + 2 * step);
                s2l = R.MultiplyAdd(s2l, codes, R.Load(left + 2 * QuadOfPanel));
                s2r = R.MultiplyAdd(s2r, codes, R.Load(right + 2 * QuadOfPanel));
                codes = R.Of(from + 3 * step);
                s3l = R.MultiplyAdd(s3l, codes, R.Load(left + 3 * QuadOfPanel));
                s3r = R.MultiplyAdd(s3r, codes, R.Load(right + 3 * QuadOfPanel));
                from += 4 * step;
                left += 4 * QuadOfPanel;
                right += 4 * QuadOfPanel;
            }
            for (var rest = quads % 4; rest > 0; rest--)
            {
                var codes = R.Of(from);
                s0l = R.MultiplyAdd(s0l, codes, R.Load(left));
                s0r = R.MultiplyAdd(s0r, codes, R.Load(right));
                from += step;
                left += QuadOfPanel;
                right += QuadOfPanel;
            }
            Store(parts + first, s0l, s0r);
            Store(parts + Int8Matrix.PanelOutputs + first, s1l, s1r);
            Store(parts + 2 * Int8Matrix.PanelOutputs + first, s2l, s2r);
            Store(parts + 3 * Int8Matrix.PanelOutputs + first, s3l, s3r);
        }
        for (var i = 0; i < Int8Matrix.PanelOutputs; i++)
        {
            s[i] = parts[i] + parts[Int8Matrix.PanelOutputs + i] + parts[2 * Int8Matrix.PanelOutputs + i]
                + parts[3 * Int8Matrix.PanelOutputs + i];
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Store(int* s, V left, V right)
    {
        R.Store(s, left);
        R.Store(s + R.Outputs, right);
    }
}

/// <summary>
/// For every other processor: row by row, in the registers of <see cref="Vector{T}"/>, or number by
/// number where there are none. A product of two codes has room in 16 bits, 255·127 = 32385, but a
/// sum of two has not, so that products are widened before they are added.
/// </summary>
internal readonly unsafe struct PortableInt8Tile : IInt8Tile
{
    public static int BytesOfCode => 1;

    public static void Multiply(int* s, nint sStride, byte* x, nint xStride, int rows, sbyte* panel, int quads)
    {
        for (var row = 0; row < rows; row++)
        {
            if (Vector.IsHardwareAccelerated && Vector<sbyte>.Count <= Int8Matrix.PanelOutputs * Int8Matrix.Quad)
            {
                MultiplyRow(s + row * sStride, x + row * xStride, panel, quads);
            }
            else
            {
                MultiplyRowByNumbers(s + row * sStride, x + row * xStride, panel, quads);
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MultiplyRow(int* s, byte* x, sbyte* panel, int quads)
    {
        // of as many codes of W as a register holds, each summed over all quads
        var products = stackalloc int[Vector<sbyte>.Count];
        for (var first = 0; first < Int8Matrix.PanelOutputs; first += Vector<sbyte>.Count / Int8Matrix.Quad)
        {
            Vector<int> s0 = default, s1 = default, s2 = default, s3 = default;
            var w = panel + first * Int8Matrix.Quad;
            for (var quad = 0; quad < quads; quad++)
            {
                Vector.Widen(Vector.AsVectorByte(Vector.Create(((uint*)x)[quad])), out var lowCodes, out var highCodes);
                Vector.Widen(Vector.Load(w), out var low, out var high);
                Vector.Widen(Vector.AsVectorInt16(lowCodes) * low, out var p0, out var p1);
                Vector.Widen(Vector.AsVectorInt16(highCodes) * high, out var p2, out var p3);
                (s0, s1, s2, s3) = (s0 + p0, s1 + p1, s2 + p2, s3 + p3);
                w += Int8Matrix.PanelOutputs * Int8Matrix.Quad;
            }
            s0.Store(products);
            s1.Store(products + Vector<int>.Count);
            s2.Store(products + 2 * Vector<int>.Count);
            s3.Store(products + 3 * Vector<int>.Count);
            for (var i = 0; i < Vector<sbyte>.Count / Int8Matrix.Quad; i++)
            {
                s[first + i] = products[4 * i] + products[4 * i + 1] + products[4 * i + 2] + products[4 * i + 3];
            }
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void MultiplyRowByNumbers(int* s, byte* x, sbyte* panel, int quads)
    {
        for (var output = 0; output < Int8Matrix.PanelOutputs; output++)
        {
            var sum = 0;
            var w = panel + output * Int8Matrix.Quad;
            for (var k = 0; k < quads * Int8Matrix.Quad; k += Int8Matrix.Quad)
            {
                sum += x[k] * w[0] + x[k + 1] * w[1] + x[k + 2] * w[2] + x[k + 3] * w[3];
                w += Int8Matrix.PanelOutputs * Int8Matrix.Quad;
            }
            s[output] = sum;
        }
    }
}
