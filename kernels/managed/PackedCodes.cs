using System.Diagnostics;

namespace LoraScratch.Kernels;

/// <summary>
/// How codes of 2, 3, 4 or 8 bits lie in memory: 16 of them in a block of 2·bits bytes, least
/// significant bit first.
/// <code>
/// bits   code i of a block
/// 2      bits 2i, 2i + 1 of the 32
/// 3      its low two bits like a code of 2 bits; its high bit is bit i of the 16 that follow
/// 4      four bits of word i mod 2 of 32 bits, from bit 4·⌊i/2⌋ on
/// 8      byte i
/// </code>
/// With SIMD a block is one load, which brings the word to every lane, a shift by another distance
/// in each lane, and a mask: that the codes of 4 bits take turns between two words is what a 64-bit
/// load gives neighbouring lanes of 32 bits.
/// </summary>
internal static class PackedCodes
{
    /// <summary>Codes in a block.</summary>
    public const int BlockSize = 16;

    /// <summary>Bytes of so many codes, whole blocks.</summary>
    public static long Bytes(long count, int bits) => count / 8 * bits;

    /// <summary>Packs codes.</summary>
    /// <param name="packed"><see cref="Bytes"/> of them, overwritten.</param>
    /// <param name="codes">Whole blocks, each below 2^bits.</param>
    /// <param name="bits">2, 3, 4 or 8</param>
    public static void Pack(Span<byte> packed, ReadOnlySpan<byte> codes, int bits)
    {
        Debug.Assert(codes.Length % BlockSize == 0 && packed.Length == Bytes(codes.Length, bits));
        packed.Clear();
        for (var i = 0; i < codes.Length; i++)
        {
            var block = packed.Slice(i / BlockSize * 2 * bits, 2 * bits);
            var (at, shift) = Place(i % BlockSize, bits);
            block[at] |= (byte)((bits == 3 ? codes[i] & 3 : codes[i]) << shift);
            if (bits == 3)
            {
                var (high, highShift) = HighBit(i % BlockSize);
                block[high] |= (byte)(codes[i] >> 2 << highShift);
            }
        }
    }

    /// <summary>Reads codes.</summary>
    /// <param name="codes">Whole blocks, overwritten.</param>
    /// <param name="packed"><see cref="Bytes"/> of them.</param>
    /// <param name="bits">2, 3, 4 or 8</param>
    public static void Unpack(Span<byte> codes, ReadOnlySpan<byte> packed, int bits)
    {
        Debug.Assert(codes.Length % BlockSize == 0 && packed.Length == Bytes(codes.Length, bits));
        for (var i = 0; i < codes.Length; i++)
        {
            var block = packed.Slice(i / BlockSize * 2 * bits, 2 * bits);
            var (at, shift) = Place(i % BlockSize, bits);
            var code = block[at] >> shift & LowMask(bits);
            if (bits == 3)
            {
                var (high, highShift) = HighBit(i % BlockSize);
                code |= (block[high] >> highShift & 1) << 2;
            }
            codes[i] = (byte)code;
        }
    }

    /// <summary>
    /// In which byte of a block code i starts, and at which of its bits: all of the code, or the
    /// low two bits of three.
    /// </summary>
    public static (int Byte, int Shift) Place(int i, int bits)
    {
        if (bits == 8)
        {
            return (i, 0);
        }
        return bits == 4 ? (i % 2 * 4 + i / 4, i / 2 % 2 * 4) : (i / 4, i % 4 * 2);
    }

    /// <summary>Where the high bit of the three of code i is.</summary>
    public static (int Byte, int Shift) HighBit(int i) => (4 + i / 8, i % 8);

    /// <summary>The bits that stand at <see cref="Place"/>.</summary>
    public static int LowMask(int bits) => bits == 3 ? 3 : (1 << bits) - 1;
}
