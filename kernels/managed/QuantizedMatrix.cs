namespace LoraScratch.Kernels;

/// <summary>
/// A weight of whole numbers as a matrix product reads it: a stored row is cut into groups of
/// <see cref="GroupSize"/> neighbours, each with a scale α and a zero ζ of its own, and element (i,
/// j) with the code q stands for
/// <code>ŵ = α·(q − ζ),   0 ≤ q &lt; 2^Bits</code>
/// computed in float32 in that order, by every kernel on every device. ζ is a float: a low-rank
/// update that is constant within a group can be added to it without leaving the codes (QA-LoRA).
/// <para>
/// <b>Layout.</b> Row after row, each a run of blocks of <see cref="PackedCodes.BlockSize"/> codes
/// in 2·Bits bytes; <see cref="PackedCodes"/> says which bits are whose. Groups and rows are whole
/// blocks, so nothing is filled up: a weight takes Bits + 64/GroupSize bits.
/// </para>
/// </summary>
/// <param name="Codes">[stored rows, stored columns · Bits / 8] bytes</param>
/// <param name="Grids">[stored rows, stored columns / GroupSize]</param>
/// <param name="Rows">Rows as the product sees them, after <see cref="T"/>.</param>
/// <param name="Columns">Columns as the product sees them, after <see cref="T"/>.</param>
/// <param name="Bits">2, 3, 4 or 8</param>
/// <param name="GroupSize">
/// A multiple of <see cref="PackedCodes.BlockSize"/> that divides the stored columns.
/// </param>
/// <param name="Transposed">True: element (i, j) is stored at row j, column i.</param>
internal readonly record struct QuantizedMatrix(
    DeviceBuffer<byte> Codes, DeviceBuffer<GroupGrid> Grids, int Rows, int Columns, int Bits, int GroupSize,
    bool Transposed = false)
{
    /// <summary>The transposed matrix over the same memory: nothing is copied.</summary>
    public QuantizedMatrix T => this with { Rows = Columns, Columns = Rows, Transposed = !Transposed };

    /// <summary>Rows in memory: the outputs of a layer.</summary>
    public int StoredRows => Transposed ? Columns : Rows;

    /// <summary>Columns in memory, along which groups lie: the inputs of a layer.</summary>
    public int StoredColumns => Transposed ? Rows : Columns;

    /// <summary>The shape and layout for error messages, such as "INT4 [3, 32]ᵀ".</summary>
    public override string ToString() => $"INT{Bits} [{Rows}, {Columns}]{(Transposed ? "ᵀ" : "")}";
}

/// <summary>What the codes of one group stand for: code q for Scale·(q − Zero).</summary>
/// <param name="scale">α, not 0</param>
/// <param name="zero">ζ, the code, between codes or outside of them, that stands for 0.</param>
internal readonly struct GroupGrid(float scale, float zero)
{
    /// <summary>α: the distance of neighbouring codes.</summary>
    public readonly float Scale = scale;

    /// <summary>ζ: the code that stands for 0.</summary>
    public readonly float Zero = zero;

    /// <summary>α·(q − ζ) in float32, as every kernel computes it.</summary>
    public float Value(int code) => Scale * (code - Zero);
}
