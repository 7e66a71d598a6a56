using LoraScratch.Engine;

namespace LoraScratch.Lora.Data;

/// <summary>
/// Reads lines of bytes from a stream; never holds more than the longest line allowed and one
/// block.
/// </summary>
/// <param name="stream">The bytes; not closed.</param>
/// <param name="name">The name of the source, for messages.</param>
/// <param name="maxLineBytes">The longest line allowed.</param>
internal sealed class LineReader(Stream stream, string name, int maxLineBytes)
{
    private const int BlockBytes = 1 << 16;

    private byte[] buffer = new byte[BlockBytes];
    private int start, end;
    private bool atEnd;

    /// <summary>The number of the line last read, from 1.</summary>
    public int Line { get; private set; }

    /// <summary>
    /// Reads the next line without its line feed; a carriage return before it stays. A byte order
    /// mark at the very start is skipped.
    /// </summary>
    /// <param name="line">Valid until the next call.</param>
    /// <exception cref="InputException">
    /// The line is longer than allowed, or the compressed data is damaged.
    /// </exception>
    public bool TryRead(out ReadOnlySpan<byte> line)
    {
        var searched = 0;
        while (true)
        {
            var feed = buffer.AsSpan(start + searched, end - start - searched).IndexOf((byte)'\n');
            searched = feed < 0 ? end - start : searched + feed;
            if (searched > maxLineBytes)
            {
                throw new InputException(
                    $"{name}, line {Line + 1}: the line is longer than {maxLineBytes:N0} bytes, the most that is read. "
                    + "Is this a text file with one example per line?");
            }
            if (feed >= 0)
            {
                line = Take(searched, 1);
                return true;
            }
            if (atEnd)
            {
                line = Take(searched, 0);
                return searched > 0;
            }
            Fill();
        }
    }

    private ReadOnlySpan<byte> Take(int length, int feed)
    {
        ReadOnlySpan<byte> line = buffer.AsSpan(start, length);
        start += length + feed;
        if (Line++ == 0 && line.StartsWith("\uFEFF"u8))
        {
            line = line[3..];
        }
        return line;
    }

    private void Fill()
    {
        if (start > 0)
        {
            buffer.AsSpan(start, end - start).CopyTo(buffer);
            (start, end) = (0, end - start);
        }
        if (end == buffer.Length)
        {
            Array.Resize(ref buffer, (int)Math.Min(2L * buffer.Length, (long)maxLineBytes + BlockBytes));
        }
        try
        {
            var read = stream.Read(buffer.AsSpan(end));
            end += read;
            atEnd = read == 0;
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
        {
            throw new InputException($"{name}, after line {Line}: the compressed data is damaged or cut off. Copy or "
                + "download the file again.");
        }
    }
}
