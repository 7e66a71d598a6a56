using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>
/// SentencePiece's map from strings to strings, the "precompiled_charsmap": the size of a double
/// array in bytes, the array over the UTF-8 bytes of the keys (as the library Darts-clone lays it
/// out), and the replacements, each closed by a zero byte.
/// </summary>
/// <remarks>
/// A unit has the label of the byte that leads to it (bits 0 to 7), whether a key ends there (8),
/// and the offset to its children (10 to 30, in units of 256 if bit 9 is set): the child of the
/// unit at place p by byte b is at p ^ offset ^ b. Where a key ends, b = 0 leads to a unit with bit
/// 31 and the place of the replacement.
/// </remarks>
internal sealed class CharacterMap
{
    private const uint IsValue = 1u << 31, LabelMask = IsValue | 0xFF;

    private readonly Setting setting;
    private readonly uint[] units;
    private readonly byte[] replacements;
    private readonly string hash;

    private CharacterMap(Setting setting, byte[] bytes, int size)
    {
        this.setting = setting with { Value = null };                   // the file's text is not kept
        units = MemoryMarshal.Cast<byte, uint>(bytes.AsSpan(4, size)).ToArray();
        if (!BitConverter.IsLittleEndian)
        {
            BinaryPrimitives.ReverseEndianness(units, units);
        }
        replacements = bytes[(4 + size)..];
        hash = Convert.ToHexStringLower(SHA256.HashData(bytes));
    }

    /// <summary>Reads a map in base 64.</summary>
    /// <exception cref="InputException">It is none.</exception>
    public static CharacterMap Read(Setting setting)
    {
        byte[] bytes;
        try
        {
            bytes = Convert.FromBase64String(setting.Text());
        }
        catch (FormatException)
        {
            throw Damaged(setting);
        }
        if (bytes.Length < 8 || BinaryPrimitives.ReadUInt32LittleEndian(bytes) is var size && size is 0
            || size % 4 != 0 || size > bytes.Length - 4)
        {
            throw Damaged(setting);
        }
        return new CharacterMap(setting, bytes, (int)size);
    }

    /// <summary>
    /// What the shortest beginning of a text that is a key becomes; null if no beginning is one.
    /// </summary>
    /// <param name="text">A few characters.</param>
    /// <exception cref="InputException">The map leads out of itself.</exception>
    public string? Of(ReadOnlySpan<char> text)
    {
        Span<byte> bytes = stackalloc byte[3 * text.Length];
        bytes = bytes[..Encoding.UTF8.GetBytes(text, bytes)];
        var place = Offset(units[0]);
        foreach (var b in bytes)
        {
            if (b == 0)
            {
                return null;
            }
            place ^= b;
            var unit = UnitAt(place);
            if ((unit & LabelMask) != b)
            {
                return null;
            }
            place ^= Offset(unit);
            if ((unit >> 8 & 1) != 0)
            {
                return Replacement(UnitAt(place) & ~IsValue);
            }
        }
        return null;
    }

    /// <inheritdoc/>
    public override string ToString() => hash;

    private static uint Offset(uint unit) => unit >> 10 << ((unit >> 9 & 1) == 1 ? 8 : 0);

    private static InputException Damaged(Setting setting) => new($"{setting.File}: {setting.Name} is damaged: it is "
        + "no map of characters as SentencePiece writes it, in base 64. Copy or download the file again.");

    private uint UnitAt(uint place) => place < units.Length ? units[place] : throw Damaged(setting);

    private string Replacement(uint at)
    {
        if (at > replacements.Length)
        {
            throw Damaged(setting);
        }
        var rest = replacements.AsSpan((int)at);
        var end = rest.IndexOf((byte)0);
        return Encoding.UTF8.GetString(end < 0 ? rest : rest[..end]);
    }
}
