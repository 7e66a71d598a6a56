using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// What a tile reads of A: its rows' numbers, one depth after the other, where A lies or from a
/// copy in the order of reading.
/// </summary>
internal interface ILeftPanel
{
    /// <summary>A[row, k] at the present depth k.</summary>
    /// <param name="row">A constant, so that the JIT sees one load.</param>
    float At(int row);

    /// <summary>Goes to the next depth.</summary>
    void Next();
}

/// <summary>
/// The numbers of one depth side by side: a packed panel, or columns of A that lie whole.
/// </summary>
/// <param name="first">A[0, 0]</param>
/// <param name="step">Elements from one depth to the next.</param>
internal unsafe struct SideBySide(float* first, nint step) : ILeftPanel
{
    private readonly nint step = step;
    private float* at = first;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly float At(int row) => at[row];

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Next() => at += step;
}

/// <summary>
/// The numbers of one row side by side: rows of A that lie whole, up to twelve. Four pointers and
/// the distance reach all of them by the processor's own addressing.
/// </summary>
/// <param name="first">A[0, 0]</param>
/// <param name="stride">Elements from one row to the next.</param>
internal unsafe struct RowByRow(float* first, nint stride) : ILeftPanel
{
    private readonly nint stride = stride;
    private float* row0 = first, row3 = first + (3 * stride), row6 = first + (6 * stride), row9 = first + (9 * stride);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public readonly float At(int row) => row switch
    {
        0 => row0[0],
        1 => row0[stride],
        2 => row0[2 * stride],
        3 => row3[0],
        4 => row3[stride],
        5 => row3[2 * stride],
        6 => row6[0],
        7 => row6[stride],
        8 => row6[2 * stride],
        9 => row9[0],
        10 => row9[stride],
        _ => row9[2 * stride],
    };

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Next()
    {
        row0++;
        row3++;
        row6++;
        row9++;
    }
}
