using ILGPU;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// What the forward and the backward passes of attention share. A group owns <see cref="Own"/> rows
/// (queries, or keys) of one sequence and head and a strip of <see cref="Strip"/> columns of their
/// results, and meets the other rows of the sequence <see cref="Others"/> at a time: a tile of
/// scores in shared memory is all that ever exists of the [length, length] matrix. Nobody else
/// writes a group's results, and the tiles come in a fixed order: the same bits in every run.
/// </summary>
/// <param name="ownOffsets">[sequences + 1], of the own rows</param>
/// <param name="otherOffsets">[sequences + 1], of the other rows</param>
/// <param name="tokens">[queries]: the token of each, where not every token asks</param>
/// <param name="someAsk">0 where every token asks: <paramref name="tokens"/> is not read</param>
/// <param name="blocks">Blocks of own rows in the longest sequence.</param>
/// <param name="strips">Strips in the width of a head.</param>
/// <param name="heads">Number of heads.</param>
/// <param name="width">Columns of a head.</param>
/// <param name="mask">The dropout of the probabilities.</param>
/// <param name="dropsOut">0 where that is none.</param>
internal readonly struct AttentionTiles(ArrayView<int> ownOffsets, ArrayView<int> otherOffsets, ArrayView<int> tokens,
    int someAsk, int blocks, int strips, int heads, int width, DropoutMask mask, int dropsOut)
{
    public const int Own = 32, Others = 64, Strip = 64;

    /// <summary>Threads of a group: one for every 4 × 4 elements of a tile.</summary>
    public const int Threads = Own / 4 * (Others / 4);

    /// <summary>
    /// Elements from one row of a tile in shared memory to the next: odd, so that the rows start in
    /// different banks.
    /// </summary>
    public const int Stride = Others + 1;

    /// <summary>Elements of a tile of own rows by other rows, or by a strip's columns.</summary>
    public const int Tile = Own * Stride;

    /// <summary>
    /// Elements of the memory that matrices are read into: rows of a strip, or pieces of own and
    /// other rows.
    /// </summary>
    public const int Panel = Others * Stride;

    private const int Depth = 32, DepthStride = Depth + 1;          // of the pieces that scores are summed up from

    private const int AcrossRows = Own / 4, AcrossColumns = Others / 4;

    public int Heads => heads;

    /// <summary>The group's sequence, head, rows and columns.</summary>
    public AttentionPlace Place(int group)
    {
        var block = group % blocks;
        var strip = group / blocks % strips;
        var head = group / blocks / strips % heads;
        var sequence = group / blocks / strips / heads;
        int first = ownOffsets[sequence], otherFirst = otherOffsets[sequence];
        return new(first, ownOffsets[sequence + 1] - first, otherFirst, otherOffsets[sequence + 1] - otherFirst, head,
            block * Own, strip * Strip);
    }

    /// <summary>
    /// The dropout factors of four keys from the given position (a multiple of 4) on, for a query.
    /// </summary>
    public Float4 Factors(int query, int head, int key)
    {
        if (dropsOut == 0)
        {
            return new Float4(1, 1, 1, 1);
        }
        var token = (ulong)(someAsk == 0 ? query : tokens[query]);
        return mask.At((((token * (ulong)heads + (ulong)head) << 16) + (ulong)key) >> 2);
    }

    /// <summary>
    /// scores[i, j] = ⟨x[own row i, head], z[other row j, head]⟩; every thread of the group sees
    /// them afterwards.
    /// </summary>
    public void Score(ArrayView<float> scores, ArrayView<float> panel, ArrayView<float> x, ArrayView<float> z,
        AttentionPlace place, int others)
    {
        var otherPanel = panel.SubView(Own * DepthStride);
        int ownRows = Smaller(place.Length - place.Own, Own), otherRows = Smaller(place.OtherLength - others, Others);
        for (var column = 0; column < width; column += Depth)
        {
            var depth = Smaller(width - column, Depth);
            Read<Depth32>(panel, x, place.First + place.Own, ownRows, place.Head * width + column, depth);
            Read<Depth32>(otherPanel, z, place.OtherFirst + others, otherRows, place.Head * width + column, depth);
            Group.Barrier();
            AddProduct(scores, column == 0 ? 0 : 1, ownRows, panel, DepthStride, otherRows, otherPanel, DepthStride, 1,
                depth);
            Group.Barrier();
        }
    }

    /// <summary>
    /// sums[i, c] += Σⱼ tile[i, j]·z[other row j, head, c of the strip]; all threads must have
    /// written the tile.
    /// </summary>
    public void AddWeighted(ArrayView<float> sums, ArrayView<float> tile, ArrayView<float> panel, ArrayView<float> z,
        AttentionPlace place, int others)
    {
        int ownRows = Smaller(place.Length - place.Own, Own), otherRows = Smaller(place.OtherLength - others, Others),
            columns = StripColumns(place);
        Read<Strip64>(panel, z, place.OtherFirst + others, otherRows, place.Head * width + place.Strip, columns);
        Group.Barrier();
        AddProduct(sums, 1, ownRows, tile, Stride, columns, panel, 1, Stride, otherRows);
        Group.Barrier();
    }

    /// <summary>
    /// Where in a matrix of [own rows, heads·width] the group's first result lies.
    /// </summary>
    public int At(AttentionPlace place) => (place.First + place.Own) * RowLength + place.Head * width + place.Strip;

    /// <summary>heads·width</summary>
    public int RowLength => heads * width;

    /// <summary>How many columns the group's strip has.</summary>
    public int StripColumns(AttentionPlace place) => Smaller(width - place.Strip, Strip);

    public static int Smaller(int a, int b) => a < b ? a : b;

    /// <summary>panel[i, c] = x[row + i, column + c]</summary>
    private void Read<TColumns>(ArrayView<float> panel, ArrayView<float> x, int row, int rows, int column, int columns)
        where TColumns : struct, IPanelColumns
    {
        var start = row * RowLength + column;
        for (var at = Group.IdxX; at < rows * TColumns.Count; at += Group.DimX)
        {
            int i = at / TColumns.Count, c = at % TColumns.Count;
            if (c < columns)
            {
                panel[i * (TColumns.Count + 1) + c] = x[start + i * RowLength + c];
            }
        }
    }

    /// <summary>
    /// y[i, j] = keep·y[i, j] + Σₖ a[i, k]·b[k, j]. A thread computes 4 × 4 elements, 8 rows and 16
    /// columns apart: neighbours read neighbouring banks. Rows and columns up to the next multiple
    /// of those are computed of whatever lies there, and never read.
    /// </summary>
    private static void AddProduct(ArrayView<float> y, int keep, int rows, ArrayView<float> a, int aRow, int columns,
        ArrayView<float> b, int bColumn, int bRow, int depth)
    {
        for (var piece = Group.IdxX; piece < Threads; piece += Group.DimX)
        {
            int row = piece / AcrossColumns, column = piece % AcrossColumns;
            if (row >= rows || column >= columns)
            {
                continue;
            }
            var block = new Block();
            var atA = row * aRow;
            var atB = column * bColumn;
            for (var k = 0; k < depth; k++)
            {
                block.MultiplyAdd(
                    new(a[atA], a[atA + AcrossRows * aRow], a[atA + 2 * AcrossRows * aRow],
                        a[atA + 3 * AcrossRows * aRow]),
                    new(b[atB], b[atB + AcrossColumns * bColumn], b[atB + 2 * AcrossColumns * bColumn],
                        b[atB + 3 * AcrossColumns * bColumn]));
                atA++;
                atB += bRow;
            }
            var at = row * Stride + column;
            Put(y, at, keep, block.Row0);
            Put(y, at + AcrossRows * Stride, keep, block.Row1);
            Put(y, at + 2 * AcrossRows * Stride, keep, block.Row2);
            Put(y, at + 3 * AcrossRows * Stride, keep, block.Row3);
        }
    }

    private static void Put(ArrayView<float> y, int at, int keep, Float4 row)
    {
        y[at] = (keep != 0 ? y[at] : 0) + row.X;
        y[at + AcrossColumns] = (keep != 0 ? y[at + AcrossColumns] : 0) + row.Y;
        y[at + 2 * AcrossColumns] = (keep != 0 ? y[at + 2 * AcrossColumns] : 0) + row.Z;
        y[at + 3 * AcrossColumns] = (keep != 0 ? y[at + 3 * AcrossColumns] : 0) + row.W;
    }

    /// <summary>
    /// Columns of a panel, known when a kernel is compiled: dividing by them is a shift.
    /// </summary>
    private interface IPanelColumns
    {
        static abstract int Count { get; }
    }

    private readonly struct Depth32 : IPanelColumns
    {
        public static int Count => Depth;
    }

    private readonly struct Strip64 : IPanelColumns
    {
        public static int Count => Strip;
    }
}

/// <summary>What a group of an attention kernel works on.</summary>
/// <param name="first">The sequence's first row among those of the own kind.</param>
/// <param name="length">Its number of those.</param>
/// <param name="otherFirst">Its first row among those of the other kind.</param>
/// <param name="otherLength">Its number of those.</param>
/// <param name="head">The head.</param>
/// <param name="own">The first own row, counted in the sequence.</param>
/// <param name="strip">The first own column, counted in the head.</param>
internal readonly struct AttentionPlace(int first, int length, int otherFirst, int otherLength, int head, int own,
    int strip)
{
    public readonly int First = first, Length = length, OtherFirst = otherFirst, OtherLength = otherLength,
        Head = head, Own = own, Strip = strip;
}
