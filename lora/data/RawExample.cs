using System.Text;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Data;

/// <summary>A row as its file has it, before labels are resolved.</summary>
/// <param name="Text">The text, not blank.</param>
/// <param name="Label">The label as it is written, or null if the row has none.</param>
/// <param name="Origin">Where it stands.</param>
internal readonly record struct RawExample(string Text, string? Label, string Origin)
{
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

    /// <summary>Refuses a text without a visible character.</summary>
    public RawExample Checked(string name) => string.IsNullOrWhiteSpace(Text)
        ? throw new InputException($"{name}, {Origin}: the text is empty. Remove the row or give it a text.")
        : this;
}
