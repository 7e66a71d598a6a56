using LoraScratch.Kernels;

namespace LoraScratch.Engine;

/// <summary>
/// Whole numbers on a device that ops index with: token ids, class labels. The host's copy serves
/// the range checks.
/// </summary>
public class Indices : IDisposable
{
    private readonly int[] values;

    /// <summary>Uploads the numbers.</summary>
    /// <param name="values">Each ≥ 0.</param>
    /// <param name="backend">Where to put them; default <see cref="Device.Default"/>.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is negative.</exception>
    public Indices(ReadOnlySpan<int> values, IBackend? backend = null)
    {
        this.values = values.ToArray();
        Largest = -1;
        for (var i = 0; i < values.Length; i++)
        {
            if (values[i] < 0)
            {
                throw new ArgumentOutOfRangeException(nameof(values), $"Index {i} is {values[i]}; indices start at 0.");
            }
            Largest = Math.Max(Largest, values[i]);
        }
        Backend = backend ?? Device.Default;
        Data = Backend.Allocate<int>(values.Length);
        Backend.Upload(Data, values);
    }

    /// <summary>The device that holds them.</summary>
    public IBackend Backend { get; }

    /// <summary>How many there are.</summary>
    public int Count => values.Length;

    /// <summary>The largest of them; −1 when there are none.</summary>
    public int Largest { get; }

    /// <summary>The numbers on the device.</summary>
    internal DeviceBuffer<int> Data { get; }

    /// <summary>The numbers on the host.</summary>
    public ReadOnlySpan<int> Values => values;

    /// <summary>Throws where an index is not below the size of what it indexes.</summary>
    internal void RequireBelow(string op, int size, string what)
    {
        if (Largest >= size)
        {
            var at = Array.IndexOf(values, Largest);
            throw new ArgumentOutOfRangeException("indices",
                $"{op}: index {Largest} at position {at} is outside [0, {size}), the {what}.");
        }
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        Data.Dispose();
        GC.SuppressFinalize(this);
    }
}

/// <summary>
/// Where each sequence of a packed batch begins: sequence s has the rows offsets[s] …
/// offsets[s+1]−1 of one [tokens, hidden] matrix.
/// </summary>
public sealed class SequenceOffsets : Indices
{
    /// <summary>Uploads the offsets.</summary>
    /// <param name="offsets">
    /// [sequences + 1]: 0, then strictly rising, up to the number of tokens.
    /// </param>
    /// <param name="backend">Where to put them.</param>
    /// <exception cref="ArgumentException">They do not start at 0 or do not rise.</exception>
    public SequenceOffsets(ReadOnlySpan<int> offsets, IBackend? backend = null) : base(Checked(offsets), backend)
    {
        for (var s = 1; s < offsets.Length; s++)
        {
            Longest = Math.Max(Longest, offsets[s] - offsets[s - 1]);
        }
    }

    /// <summary>Number of sequences.</summary>
    public int Sequences => Count - 1;

    /// <summary>Number of rows of all sequences together.</summary>
    public int Tokens => Values[^1];

    /// <summary>Rows of the longest sequence.</summary>
    public int Longest { get; }

    private static ReadOnlySpan<int> Checked(ReadOnlySpan<int> offsets)
    {
        if (offsets.Length < 2 || offsets[0] != 0)
        {
            throw new ArgumentException("Offsets of a packed batch are 0 followed by the end of each sequence, got "
                + $"[{string.Join(", ", offsets.ToArray().Take(8))}].", nameof(offsets));
        }
        for (var s = 1; s < offsets.Length; s++)
        {
            var length = offsets[s] - offsets[s - 1];
            if (length <= 0)
            {
                throw new ArgumentException($"Sequence {s - 1} of the packed batch has {length} tokens (offsets "
                    + $"{offsets[s - 1]} to {offsets[s]}); every sequence needs at least one.", nameof(offsets));
            }
        }
        return offsets;
    }
}

/// <summary>
/// Some rows of a packed batch, such as the first of each sequence: those that a computation is
/// asked for.
/// </summary>
internal sealed class SequenceRows : Indices
{
    /// <summary>Uploads the rows.</summary>
    /// <param name="rows">At least one, strictly rising, below the number of tokens.</param>
    /// <param name="sequences">The batch; a sequence may have none of the rows.</param>
    /// <param name="backend">Where to put them.</param>
    /// <exception cref="ArgumentException">
    /// There are none, they do not rise, or one is outside the batch.
    /// </exception>
    public SequenceRows(ReadOnlySpan<int> rows, SequenceOffsets sequences, IBackend? backend = null)
        : base(Checked(rows, sequences.Tokens), backend)
    {
        var offsets = new int[sequences.Count];
        for (int s = 1, row = 0; s < offsets.Length; s++)
        {
            while (row < rows.Length && rows[row] < sequences.Values[s])
            {
                row++;
            }
            offsets[s] = row;
            Longest = Math.Max(Longest, row - offsets[s - 1]);
        }
        Offsets = new Indices(offsets, backend);
    }

    /// <summary>[sequences + 1]: how many of the rows lie before each sequence.</summary>
    public Indices Offsets { get; }

    /// <summary>The largest number of them in one sequence.</summary>
    public int Longest { get; }

    /// <inheritdoc/>
    public override void Dispose()
    {
        Offsets.Dispose();
        base.Dispose();
    }

    private static ReadOnlySpan<int> Checked(ReadOnlySpan<int> rows, int tokens)
    {
        if (rows.Length == 0)
        {
            throw new ArgumentException("No row of the packed batch is chosen; at least one is needed.", nameof(rows));
        }
        for (var i = 0; i < rows.Length; i++)
        {
            if (rows[i] <= (i == 0 ? -1 : rows[i - 1]) || rows[i] >= tokens)
            {
                throw new ArgumentException($"Row {i} of those chosen of the packed batch is {rows[i]}; they rise and "
                    + $"lie in [0, {tokens}).", nameof(rows));
            }
        }
        return rows;
    }
}
