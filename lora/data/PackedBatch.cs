namespace LoraScratch.Lora.Data;

/// <summary>
/// Examples side by side without padding: the tokens of all rows are one sequence, and attention
/// stays within the bounds of each row.
/// </summary>
/// <param name="TokenIds">[tokens] The rows, concatenated.</param>
/// <param name="Positions">[tokens] The position of each token in its text, from 0.</param>
/// <param name="Offsets">[rows + 1] Row r is tokens Offsets[r] to Offsets[r + 1] − 1.</param>
/// <param name="Labels">
/// [rows] The index of the class of each row, or <see cref="TextExample.NoLabel"/>.
/// </param>
internal sealed record PackedBatch(int[] TokenIds, int[] Positions, int[] Offsets, int[] Labels)
{
    /// <summary>[tokens] 1 for the tokens of a pair's second text, 0 for the others.</summary>
    public int[] TokenTypes { get; init; } = new int[TokenIds.Length];

    /// <summary>
    /// [rows] The indices of each row's classes, where any number may hold; else empty.
    /// </summary>
    public IReadOnlyList<int[]> Classes { get; init; } = [];

    /// <summary>
    /// [rows] The number of each row's example in the data, from which random choices about it are
    /// drawn; empty where nobody asked.
    /// </summary>
    public int[] RowIndices { get; init; } = [];

    /// <summary>Number of examples.</summary>
    public int Rows => Labels.Length;

    /// <summary>Number of tokens of all rows.</summary>
    public int Tokens => TokenIds.Length;

    /// <summary>Packs examples in the order given.</summary>
    /// <param name="examples">At least one, none of them empty.</param>
    public static PackedBatch Of(ReadOnlySpan<EncodedExample> examples)
    {
        var offsets = new int[examples.Length + 1];
        for (var row = 0; row < examples.Length; row++)
        {
            offsets[row + 1] = checked(offsets[row] + examples[row].TokenIds.Length);
        }
        var batch = new PackedBatch(new int[offsets[^1]], new int[offsets[^1]], offsets, new int[examples.Length])
        {
            Classes = examples.Length > 0 && examples[0].Classes is not null
                ? [.. examples.ToArray().Select(example => example.Classes!)] : [],
        };
        for (var row = 0; row < examples.Length; row++)
        {
            examples[row].TokenIds.CopyTo(batch.TokenIds, offsets[row]);
            for (var i = offsets[row]; i < offsets[row + 1]; i++)
            {
                batch.Positions[i] = i == offsets[row] ? 0 : i - offsets[row] + examples[row].PositionOffset;
            }
            batch.TokenTypes.AsSpan((offsets[row] + examples[row].SecondSegment)..offsets[row + 1]).Fill(1);
            batch.Labels[row] = examples[row].Label;
        }
        return batch;
    }
}
