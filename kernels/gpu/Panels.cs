using ILGPU;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// Where a panel of a factor comes from: lines (the rows of A, or the columns of B) by depth.
/// Panels lie in shared memory depth by depth, the elements of all lines side by side, whatever way
/// the factor is stored.
/// </summary>
internal interface IPanelSource
{
    /// <summary>
    /// Whether what lies side by side in memory is a line (A as it is, or Bᵀ); otherwise it is the
    /// lines at one depth (Aᵀ, or B as it is).
    /// </summary>
    static abstract bool AlongDepth { get; }

    /// <summary>Lines of the factor.</summary>
    int Lines { get; }

    /// <summary>
    /// Index of an element; line or depth, what lies side by side, is a multiple of 4.
    /// </summary>
    int Index(int batch, int line, int k);

    /// <summary>By how much the index grows with so much depth.</summary>
    int Step(int depth);

    /// <summary>
    /// Four elements that are neighbours in memory, 0 for those outside of the factor.
    /// </summary>
    /// <param name="index">Of the first.</param>
    /// <param name="lines">How many lines are left, from the first element's on.</param>
    /// <param name="depth">How much depth is left.</param>
    Float4 Read(int index, int lines, int depth);
}

/// <summary>What lies side by side in memory.</summary>
internal interface IDirection
{
    static abstract bool AlongDepth { get; }
}

internal readonly struct AlongDepth : IDirection { static bool IDirection.AlongDepth => true; }

internal readonly struct AlongLines : IDirection { static bool IDirection.AlongDepth => false; }

/// <summary>
/// Reads four elements by one instruction; indices, strides and offset are counted in fours, and no
/// four lie partly outside.
/// </summary>
internal readonly struct VectorSource<TDirection>(ArrayView<Float4> values, int offset, int batchStride, int stride,
    int lines) : IPanelSource
    where TDirection : struct, IDirection
{
    public static bool AlongDepth => TDirection.AlongDepth;

    public int Lines => lines;

    public int Index(int batch, int line, int k) =>
        offset + batch * batchStride + (TDirection.AlongDepth ? line * stride + k / 4 : k * stride + line / 4);

    public int Step(int depth) => TDirection.AlongDepth ? depth / 4 : depth * stride;

    public Float4 Read(int index, int lines, int depth)
    {
        if (depth > 0)
        {
            return values[index];
        }
        return default;
    }
}

/// <summary>
/// Reads four elements one by one: for sizes, strides and offsets that are no multiples of 4.
/// </summary>
internal readonly struct ScalarSource<TDirection>(ArrayView<float> values, int offset, int batchStride, int stride,
    int lines) : IPanelSource
    where TDirection : struct, IDirection
{
    public static bool AlongDepth => TDirection.AlongDepth;

    public int Lines => lines;

    public int Index(int batch, int line, int k) =>
        offset + batch * batchStride + (TDirection.AlongDepth ? line * stride + k : k * stride + line);

    public int Step(int depth) => TDirection.AlongDepth ? depth : depth * stride;

    public Float4 Read(int index, int lines, int depth)
    {
        var count = TDirection.AlongDepth ? depth : depth > 0 ? lines : 0;
        return new(At(index, count), At(index + 1, count - 1), At(index + 2, count - 2), At(index + 3, count - 3));
    }

    private float At(int index, int count)
    {
        if (count > 0)
        {
            return values[index];
        }
        return 0;
    }
}

/// <summary>
/// What one thread brings of a factor's panels: four elements of each, from global memory to a
/// register and from there to shared memory.
/// <para>
/// Bank conflicts: where four lines at one depth are neighbours, a thread writes them by one
/// instruction next to its neighbour's. Where four depths of a line are, it writes four times; then
/// two threads have eight depths of one line, the next two those of the next line, and a warp
/// writes 16 lines at depths k and k + 4. Because a depth takes lines + 4 floats, depth k + 4
/// starts 16 banks after depth k for each number of lines (8, 16, 32, 64, 128), so that the 32
/// threads write to 32 banks. (With 8 lines the only warp that writes has depths k … k + 12, two to
/// a bank.)
/// </para>
/// <para>
/// Everything that the loop over the panels needs is a variable that the loop changes: what does
/// not change, ILGPU would compute again each time around.
/// </para>
/// </summary>
internal struct PanelCarrier<TSource> where TSource : struct, IPanelSource
{
    /// <summary>
    /// Floats between the two places that a panel has in shared memory in turn: one bit, so that
    /// the other place is found by one instruction.
    /// </summary>
    public const int OtherPlace = 4096;

    private readonly TSource source;
    private readonly int panelLines, panelDepth, lines;
    private int index, depth, place;

    /// <summary>A thread's share; a small panel leaves threads without one.</summary>
    /// <param name="source">The factor.</param>
    /// <param name="thread">Which thread of the group.</param>
    /// <param name="panelLines">Lines of a panel.</param>
    /// <param name="panelDepth">Depth of a panel.</param>
    /// <param name="batch">Which matrix of the batch.</param>
    /// <param name="line">The panels' first line.</param>
    /// <param name="start">The first panel's depth.</param>
    /// <param name="end">Where the depth ends.</param>
    /// <param name="place">The float of shared memory where the first panel starts.</param>
    public PanelCarrier(TSource source, int thread, int panelLines, int panelDepth, int batch, int line, int start,
        int end, int place)
    {
        var lineInPanel = TSource.AlongDepth ? thread / 2 % panelLines : thread % (panelLines / 4) * 4;
        var k = TSource.AlongDepth ? (thread / (2 * panelLines) * 2 + thread % 2) * 4 : thread / (panelLines / 4);
        (this.source, this.panelLines, this.panelDepth) = (source, panelLines, panelDepth);
        index = source.Index(batch, line + lineInPanel, start + k);
        lines = source.Lines - line - lineInPanel;
        depth = k < panelDepth && lines > 0 ? end - start - k : 0;
        this.place = k < panelDepth ? place + k * Pitch(panelLines) + lineInPanel : int.MinValue;
    }

    /// <summary>Floats from one depth of a panel to the next.</summary>
    public static int Pitch(int panelLines) => panelLines + 4;

    /// <summary>Reads the four elements of the next panel.</summary>
    public Float4 Read()
    {
        var four = source.Read(index, lines, depth);
        index += source.Step(panelDepth);
        depth -= panelDepth;
        return four;
    }

    /// <summary>Writes them to shared memory, to the two places in turn.</summary>
    public void Write(ArrayView<Float4> panels, Float4 four)
    {
        if (place >= 0)
        {
            if (TSource.AlongDepth)
            {
                var floats = panels.Cast<float>();
                floats[place] = four.X;
                floats[place + Pitch(panelLines)] = four.Y;
                floats[place + 2 * Pitch(panelLines)] = four.Z;
                floats[place + 3 * Pitch(panelLines)] = four.W;
            }
            else
            {
                panels[place / 4] = four;
            }
        }
        place ^= OtherPlace;
    }
}
