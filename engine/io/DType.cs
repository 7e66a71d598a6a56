using System.Collections.Frozen;

namespace LoraScratch.Engine.IO;

/// <summary>
/// The element types of a safetensors file, spelled as the file spells them. The order is the
/// format's own, alignment ascending; the writer sorts by it.
/// </summary>
internal enum DType
{
    /// <summary>A truth value in one byte: 0 or 1.</summary>
    BOOL,
    /// <summary>4-bit float, two in a byte.</summary>
    F4,
    /// <summary>6-bit float: 2 exponent bits, 3 mantissa bits.</summary>
    F6_E2M3,
    /// <summary>6-bit float: 3 exponent bits, 2 mantissa bits.</summary>
    F6_E3M2,
    /// <summary>Unsigned 8-bit integer.</summary>
    U8,
    /// <summary>Signed 8-bit integer.</summary>
    I8,
    /// <summary>8-bit float: 5 exponent bits, 2 mantissa bits.</summary>
    F8_E5M2,
    /// <summary>8-bit float: 4 exponent bits, 3 mantissa bits.</summary>
    F8_E4M3,
    /// <summary>8-bit power of two, the scale of a block of smaller floats.</summary>
    F8_E8M0,
    /// <summary>8-bit float, 4 exponent bits, 3 mantissa bits, one NaN, no negative zero.</summary>
    F8_E4M3FNUZ,
    /// <summary>8-bit float, 5 exponent bits, 2 mantissa bits, one NaN, no negative zero.</summary>
    F8_E5M2FNUZ,
    /// <summary>Signed 16-bit integer.</summary>
    I16,
    /// <summary>Unsigned 16-bit integer.</summary>
    U16,
    /// <summary>IEEE 754 half precision, <see cref="Half"/>.</summary>
    F16,
    /// <summary>The upper half of a float, <see cref="BFloat16"/>.</summary>
    BF16,
    /// <summary>Signed 32-bit integer.</summary>
    I32,
    /// <summary>Unsigned 32-bit integer.</summary>
    U32,
    /// <summary>IEEE 754 single precision, float.</summary>
    F32,
    /// <summary>Complex number: two floats, the real part first.</summary>
    C64,
    /// <summary>IEEE 754 double precision.</summary>
    F64,
    /// <summary>Signed 64-bit integer.</summary>
    I64,
    /// <summary>Unsigned 64-bit integer.</summary>
    U64,
}

/// <summary>What the format says about each <see cref="DType"/>.</summary>
internal static class DTypes
{
    // Not Enum.TryParse: it would also take "17" and "F32, I8".
    private static readonly FrozenDictionary<string, DType> ByName = Enum.GetValues<DType>()
        .ToFrozenDictionary(dtype => dtype.ToString());

    /// <summary>Bits of one element.</summary>
    public static int Bits(this DType dtype) => dtype switch
    {
        DType.F4 => 4,
        DType.F6_E2M3 or DType.F6_E3M2 => 6,
        DType.BOOL or DType.U8 or DType.I8 => 8,
        DType.F8_E5M2 or DType.F8_E4M3 or DType.F8_E8M0 or DType.F8_E4M3FNUZ or DType.F8_E5M2FNUZ => 8,
        DType.I16 or DType.U16 or DType.F16 or DType.BF16 => 16,
        DType.I32 or DType.U32 or DType.F32 => 32,
        DType.C64 or DType.F64 or DType.I64 or DType.U64 => 64,
        _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "Unknown element type."),
    };

    /// <summary>The type that a file calls <paramref name="name"/>, exactly so.</summary>
    internal static bool TryParse(string name, out DType dtype) => ByName.TryGetValue(name, out dtype);

    /// <summary>
    /// The bytes that <paramref name="shape"/> takes, or null if the product of the dimensions, or
    /// of the bits, overflows. The product runs from the left and stops at the first overflow, as
    /// in the reference reader: [0, 2⁶³] is empty, [2⁶³, 2, 0] overflows.
    /// </summary>
    /// <returns>Bits, because a type may be smaller than a byte.</returns>
    internal static ulong? TotalBits(this DType dtype, ReadOnlySpan<long> shape)
    {
        var bits = (UInt128)1;
        foreach (var dimension in shape)
        {
            bits *= (ulong)dimension;
            if (bits > ulong.MaxValue)
            {
                return null;
            }
        }
        bits *= (uint)dtype.Bits();
        return bits > ulong.MaxValue ? null : (ulong)bits;
    }
}
