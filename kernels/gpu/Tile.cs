using ILGPU;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// The part of a tile of Y that one thread computes, in registers: a block of 4 × 4, or several.
/// The elements have names, because ILGPU does not unroll loops, and an array whose index is not
/// known at compile time would lie in memory.
/// </summary>
internal interface ITile
{
    /// <summary>Rows of the tile that a group computes.</summary>
    static abstract int Rows { get; }

    /// <summary>Columns of the tile that a group computes.</summary>
    static abstract int Columns { get; }

    /// <summary>How deep the panels of A and B are that lie in shared memory at a time.</summary>
    static abstract int Depth { get; }

    /// <summary>
    /// Into how many parts the threads of a group divide the depth, where the tile has too few
    /// blocks for all of them.
    /// </summary>
    static abstract int Slices { get; }

    /// <summary>The threads of a group that hold the tile after the sum of the slices: the first.</summary>
    static abstract int Holders { get; }

    /// <summary>
    /// How many groups a processor shall run at a time, so that some compute while others wait for
    /// memory.
    /// </summary>
    static abstract int GroupsAtATime { get; }

    /// <summary>The thread's first row of the tile.</summary>
    static abstract int Row(int thread);

    /// <summary>The thread's first column of the tile.</summary>
    static abstract int Column(int thread);

    /// <summary>Adds the product of a column of A and a row of B.</summary>
    /// <param name="panels">Shared memory.</param>
    /// <param name="a">Where the thread's part of the column of A starts.</param>
    /// <param name="b">Where its part of the row of B starts.</param>
    void MultiplyAdd(ArrayView<Float4> panels, int a, int b);

    /// <summary>
    /// Adds up what the slices have computed; the sum is in the threads of the first.
    /// </summary>
    void SumSlices(ArrayView<Float4> panels, int thread);

    /// <summary>
    /// Saves what this thread holds, among <see cref="Holders"/> threads that save theirs: Rows ·
    /// Columns / 4 Float4s together.
    /// </summary>
    /// <param name="memory">Where.</param>
    /// <param name="at">This thread's first place: the tile's first plus its number.</param>
    void Save(ArrayView<Float4> memory, int at);

    /// <summary>Adds what this thread, of whatever group, saved there.</summary>
    void AddSaved(ArrayView<Float4> memory, int at);

    /// <summary>Writes the block, or blocks, whose first element is (row, column) of Y.</summary>
    void Write(in ProductOutput y, int first, int row, int column);
}

/// <summary>128 × 128 elements: each thread has four blocks, 64 rows and columns apart.</summary>
internal struct LargeTile : ITile
{
    private Block topLeft, topRight, bottomLeft, bottomRight;

    public static int Rows => 128;
    public static int Columns => 128;
    public static int Depth => 8;
    public static int Slices => 1;
    public static int Holders => GroupOf.MaxThreads;
    public static int GroupsAtATime => 2;
    public static int Row(int thread) => SmallTile<Width64>.Row(thread);
    public static int Column(int thread) => SmallTile<Width64>.Column(thread);

    public void MultiplyAdd(ArrayView<Float4> panels, int a, int b)
    {
        Float4 top = panels[a], bottom = panels[a + 16];            // 64 floats on
        Float4 left = panels[b], right = panels[b + 16];
        topLeft.MultiplyAdd(top, left);
        topRight.MultiplyAdd(top, right);
        bottomLeft.MultiplyAdd(bottom, left);
        bottomRight.MultiplyAdd(bottom, right);
    }

    public readonly void SumSlices(ArrayView<Float4> panels, int thread) { }

    public readonly void Save(ArrayView<Float4> memory, int at)
    {
        topLeft.Save(memory, at, Holders);
        topRight.Save(memory, at + 4 * Holders, Holders);
        bottomLeft.Save(memory, at + 8 * Holders, Holders);
        bottomRight.Save(memory, at + 12 * Holders, Holders);
    }

    public void AddSaved(ArrayView<Float4> memory, int at)
    {
        topLeft.AddSaved(memory, at, Holders);
        topRight.AddSaved(memory, at + 4 * Holders, Holders);
        bottomLeft.AddSaved(memory, at + 8 * Holders, Holders);
        bottomRight.AddSaved(memory, at + 12 * Holders, Holders);
    }

    public readonly void Write(in ProductOutput y, int first, int row, int column)
    {
        topLeft.Write(y, first, row, column);
        topRight.Write(y, first, row, column + 64);
        bottomLeft.Write(y, first, row + 64, column);
        bottomRight.Write(y, first, row + 64, column + 64);
    }
}

/// <summary>The columns of a <see cref="SmallTile{TWidth}"/>.</summary>
internal interface IWidth
{
    static abstract int Columns { get; }
}

internal readonly struct Width64 : IWidth { public static int Columns => 64; }

internal readonly struct Width32 : IWidth { public static int Columns => 32; }

internal readonly struct Width16 : IWidth { public static int Columns => 16; }

internal readonly struct Width8 : IWidth { public static int Columns => 8; }

/// <summary>
/// 64 rows and 64 columns, or, for the sides of a small rank, 32, 16 or 8: each thread has one
/// block. Where the blocks are fewer than the threads, the threads share out the depth: nothing is
/// computed that lies outside of Y.
/// </summary>
internal struct SmallTile<TWidth> : ITile where TWidth : struct, IWidth
{
    private Block block;

    public static int Rows => 64;
    public static int Columns => TWidth.Columns;
    public static int Depth => 16;
    public static int Slices => 64 / Columns;
    public static int Holders => 16 * BlocksAcross;
    public static int GroupsAtATime => 3;

    // A warp has 8 blocks side by side and 4 below each other, or as many side by side as there are: it reads 128 bytes
    // of B's row at most.
    public static int Row(int thread) =>
        4 * (BlocksAcross <= 8 ? InSlice(thread) / BlocksAcross : thread / 64 * 4 + thread % 32 / 8);
    public static int Column(int thread) =>
        4 * (BlocksAcross <= 8 ? InSlice(thread) % BlocksAcross : thread / 32 % 2 * 8 + thread % 8);

    private static int BlocksAcross => Columns / 4;
    private static int InSlice(int thread) => thread % Holders;

    public void MultiplyAdd(ArrayView<Float4> panels, int a, int b) => block.MultiplyAdd(panels[a], panels[b]);

    /// <summary>By halves; each slice saves its block once, in a place of its own.</summary>
    public void SumSlices(ArrayView<Float4> panels, int thread)
    {
        var slice = thread / Holders;
        for (var half = Slices / 2; half > 0; half /= 2)
        {
            if (slice >= half && slice < 2 * half)
            {
                block.Save(panels, thread, GroupOf.MaxThreads);
            }
            Group.Barrier();
            if (slice < half)
            {
                block.AddSaved(panels, thread + half * Holders, GroupOf.MaxThreads);
            }
        }
    }

    public readonly void Save(ArrayView<Float4> memory, int at) => block.Save(memory, at, Holders);

    public void AddSaved(ArrayView<Float4> memory, int at) => block.AddSaved(memory, at, Holders);

    public readonly void Write(in ProductOutput y, int first, int row, int column)
    {
        if (y.IsMirrored)
        {
            block.Transposed.Write(y, first, column, row);
        }
        else
        {
            block.Write(y, first, row, column);
        }
    }
}
