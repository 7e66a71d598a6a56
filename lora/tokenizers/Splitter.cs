namespace LoraScratch.Lora.Tokenizers;

/// <summary>What becomes of that at which a text is split.</summary>
internal enum Delimiter
{
    /// <summary>It is left out.</summary>
    Removed,
    /// <summary>Each is a word by itself.</summary>
    Isolated,
    /// <summary>Each ends the word before it.</summary>
    MergedWithPrevious,
    /// <summary>Each begins the word behind it.</summary>
    MergedWithNext,
    /// <summary>Neighbours are one word.</summary>
    Contiguous,
}

/// <summary>Makes words of the parts of a text, which come in order.</summary>
/// <param name="text">The text.</param>
/// <param name="delimiter">What becomes of the delimiters.</param>
/// <param name="words">Receives the words.</param>
internal ref struct Splitter(ReadOnlyMemory<char> text, Delimiter delimiter, List<ReadOnlyMemory<char>> words)
{
    // the word in progress, text[start..end], and what its last part was
    private int start, end;
    private bool wasDelimiter;

    /// <summary>The next part, text[from..to].</summary>
    public void Add(int from, int to, bool isDelimiter)
    {
        if (from == to)
        {
            return;
        }
        // a delimiter goes to one side only: of two in a row each is by itself
        var joins = end > start && delimiter switch
        {
            Delimiter.MergedWithPrevious => isDelimiter && !wasDelimiter,
            Delimiter.MergedWithNext => !isDelimiter && wasDelimiter,
            Delimiter.Contiguous => isDelimiter == wasDelimiter,
            _ => false,
        };
        if (!joins)
        {
            Finish();
            start = from;
        }
        end = to;
        wasDelimiter = isDelimiter;
        if (isDelimiter && delimiter == Delimiter.Removed)
        {
            (start, end) = (to, to);
        }
    }

    /// <summary>Closes the last word.</summary>
    public void Finish()
    {
        if (end > start)
        {
            words.Add(text[start..end]);
        }
        start = end;
    }
}
