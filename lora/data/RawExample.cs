using System.Text;
using LoraScratch.Engine;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Data;

/// <summary>A row as its file has it, before labels are resolved.</summary>
/// <param name="Text">The text; null where a JSON object has null.</param>
/// <param name="Label">
/// The label as it is written; null where a JSON object has null, or where labels are not read.
/// </param>
/// <param name="Origin">Where it stands.</param>
internal readonly record struct RawExample(string? Text, string? Label, string Origin)
{
    /// <summary>
    /// The second text of a pair; null where a JSON object has null, or where there are no pairs.
    /// </summary>
    public string? TextPair { get; init; }

    /// <summary>
    /// The names of the classes that hold, where any number of them may; else null.
    /// </summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>See <see cref="TextExample.Line"/>.</summary>
    public int? Line { get; init; }

    /// <summary>See <see cref="TextExample.Cells"/>.</summary>
    public IReadOnlyList<object?>? Cells { get; init; }

    /// <summary>Decodes bytes of a row, or says which line is not UTF-8.</summary>
    public static string Decode(ReadOnlySpan<byte> bytes, string name, string origin)
    {
        try
        {
            return StrictUtf8.Decode(bytes);
        }
        catch (DecoderFallbackException e)
        {
            throw new InputException($"{name}, {origin}: not valid UTF-8 (byte "
                + $"0x{e.BytesUnknown?.FirstOrDefault():X2} at position {e.Index}). "
                + "Save the file as UTF-8.");
        }
    }

    /// <summary>What a cell lacks: null, empty or blank; null if nothing.</summary>
    public static string? Fault(string? cell) => cell switch
    {
        null => "null",
        "" => "empty",
        _ when string.IsNullOrWhiteSpace(cell) => "blank",
        _ => null,
    };
}
