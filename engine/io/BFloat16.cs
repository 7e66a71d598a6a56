namespace LoraScratch.Engine.IO;

/// <summary>
/// The upper 16 bits of a float: its sign, all 8 exponent bits and 7 of the 23 mantissa bits. The
/// range of a float, 2 to 3 decimal digits.
/// </summary>
/// <param name="Bits">The 16 bits.</param>
internal readonly record struct BFloat16(ushort Bits)
{
    /// <summary>The exact value; the 16 lower mantissa bits are zero.</summary>
    public static explicit operator float(BFloat16 value) => BitConverter.UInt32BitsToSingle((uint)value.Bits << 16);

    /// <summary>
    /// Rounds to the nearest value, ties to the even mantissa; above the largest finite value to
    /// infinity. A NaN stays a NaN, keeps sign and upper payload and becomes quiet.
    /// </summary>
    public static explicit operator BFloat16(float value)
    {
        var bits = BitConverter.SingleToUInt32Bits(value);
        if (float.IsNaN(value))
        {
            return new((ushort)(bits >> 16 | 0x0040));     // a payload in the lower half alone would be cut to infinity
        }
        var even = bits >> 16 & 1;
        // half a unit, and a carry at a tie only if the mantissa is odd
        return new((ushort)(bits + 0x7FFF + even >> 16));
    }
}
