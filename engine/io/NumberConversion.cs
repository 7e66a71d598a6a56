using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace LoraScratch.Engine.IO;

/// <summary>
/// Converts between the little-endian bytes of a file and numbers. A value that would silently
/// become another one is reported by its index: every method here returns null, or the first
/// element that cannot be converted.
/// </summary>
internal static class NumberConversion
{
    /// <summary>
    /// Elements converted at a time; their bytes stay within an int and, more or less, within a
    /// cache.
    /// </summary>
    internal const int PieceLength = 1 << 16;

    /// <summary>2¹¹².</summary>
    private const float ScaleOfHalf = 5.192296858534828e33f;

    internal static bool HasIntegerValues(DType dtype) =>
        dtype is DType.BOOL or DType.U8 or DType.I8 or DType.I16 or DType.U16
        or DType.I32 or DType.U32 or DType.I64 or DType.U64;

    internal static bool HasFloatValues(DType dtype) =>
        HasIntegerValues(dtype) || dtype is DType.F16 or DType.BF16 or DType.F32 or DType.F64;

    /// <summary>Start and count of each piece of <paramref name="length"/> elements.</summary>
    internal static IEnumerable<(int Start, int Count)> Pieces(int length)
    {
        for (var start = 0; start < length; start += Math.Min(PieceLength, length - start))
        {
            yield return (start, Math.Min(PieceLength, length - start));
        }
    }

    internal static int? ToFloat(DType dtype, ReadOnlySpan<byte> bytes, Span<float> destination)
    {
        switch (dtype)
        {
            case DType.F32:
                bytes.CopyTo(MemoryMarshal.AsBytes(destination));
                return null;
            case DType.F16:
                FromHalf(bytes, destination);
                return null;
            case DType.BF16:
                for (var i = 0; i < destination.Length; i++)
                {
                    destination[i] = (float)At<BFloat16>(bytes, i);
                }
                return null;
            case DType.F64:
                return Narrow(bytes, destination);
            default:
                return FromInteger(dtype, bytes, destination);
        }
    }

    /// <summary>Rounds floats to values that a type of the file has.</summary>
    /// <returns>The index of one beyond its range; null: none is.</returns>
    internal static int? Round(DType dtype, Span<float> values)
    {
        Span<byte> bytes = stackalloc byte[sizeof(double)];
        for (var i = 0; i < values.Length; i++)
        {
            if (FromFloat(dtype, values.Slice(i, 1), bytes) is not null)
            {
                return i;
            }
            ToFloat(dtype, bytes[..(dtype == DType.F32 ? sizeof(float) : dtype == DType.F64 ? sizeof(double)
                : sizeof(ushort))], values.Slice(i, 1));
        }
        return null;
    }

    /// <summary>
    /// Floats to the bytes of <paramref name="dtype"/>, F32, F16, BF16 or F64, rounded to the
    /// nearest value.
    /// </summary>
    internal static int? FromFloat(DType dtype, ReadOnlySpan<float> source, Span<byte> bytes)
    {
        for (var i = 0; i < source.Length; i++)
        {
            var value = source[i];
            var overflows = false;
            switch (dtype)
            {
                case DType.F32:
                    Put(bytes, i, value);
                    break;
                case DType.F16:
                    var half = (Half)value;
                    Put(bytes, i, half);
                    overflows = Half.IsInfinity(half);
                    break;
                case DType.BF16:
                    var upper = (BFloat16)value;
                    Put(bytes, i, upper);
                    overflows = float.IsInfinity((float)upper);
                    break;
                case DType.F64:
                    Put(bytes, i, (double)value);
                    break;
                default:
                    throw new ArgumentOutOfRangeException(nameof(dtype), dtype,
                        "Floats are written as F32, F16, BF16 or F64.");
            }
            if (overflows && float.IsFinite(value))
            {
                return i;
            }
        }
        return null;
    }

    internal static int? ToInteger<T>(DType dtype, ReadOnlySpan<byte> bytes, Span<T> destination) where T : unmanaged,
        IBinaryInteger<T>
        => dtype switch
        {
            DType.BOOL or DType.U8 => ToInteger<byte, T>(bytes, destination),
            DType.I8 => ToInteger<sbyte, T>(bytes, destination),
            DType.I16 => ToInteger<short, T>(bytes, destination),
            DType.U16 => ToInteger<ushort, T>(bytes, destination),
            DType.I32 => ToInteger<int, T>(bytes, destination),
            DType.U32 => ToInteger<uint, T>(bytes, destination),
            DType.I64 => ToInteger<long, T>(bytes, destination),
            DType.U64 => ToInteger<ulong, T>(bytes, destination),
            _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "Not an integer type."),
        };

    /// <summary>Integers to the bytes of an integer type of the file.</summary>
    internal static int? FromInteger(DType dtype, ReadOnlySpan<long> source, Span<byte> bytes) => dtype switch
    {
        DType.BOOL => FromInteger(source, bytes, byte.MinValue, (byte)1),
        DType.U8 => FromInteger(source, bytes, byte.MinValue, byte.MaxValue),
        DType.I8 => FromInteger(source, bytes, sbyte.MinValue, sbyte.MaxValue),
        DType.I16 => FromInteger(source, bytes, short.MinValue, short.MaxValue),
        DType.U16 => FromInteger(source, bytes, ushort.MinValue, ushort.MaxValue),
        DType.I32 => FromInteger(source, bytes, int.MinValue, int.MaxValue),
        DType.U32 => FromInteger(source, bytes, uint.MinValue, uint.MaxValue),
        DType.I64 => FromInteger(source, bytes, long.MinValue, long.MaxValue),
        DType.U64 => FromInteger(source, bytes, ulong.MinValue, (ulong)long.MaxValue),
        _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "Integers are written as BOOL or I8 … U64."),
    };

    /// <summary>
    /// Half precision to float, eight at a time: exact, with a NaN's sign and payload. A half's
    /// exponent and mantissa, read as a float's, are its value times 2⁻¹¹² (the biases are 15 and
    /// 127), subnormal ones included; the exponent of infinity and NaN becomes a float's.
    /// </summary>
    private static void FromHalf(ReadOnlySpan<byte> bytes, Span<float> destination)
    {
        const int width = 8;
        var i = 0;
        for (; i <= destination.Length - width; i += width)
        {
            var (lower, upper) = Vector128.Widen(Vector128.Create(bytes.Slice(i * sizeof(ushort))).AsUInt16());
            Widened(lower).CopyTo(destination[i..]);
            Widened(upper).CopyTo(destination[(i + width / 2)..]);
        }
        for (; i < destination.Length; i++)
        {
            destination[i] = Widened(Vector128.CreateScalar((uint)At<ushort>(bytes, i))).ToScalar();
        }

        static Vector128<float> Widened(Vector128<uint> half)
        {
            var magnitude = (half & Vector128.Create(0x7FFFu)) << 13;
            var scaled = (magnitude.AsSingle() * ScaleOfHalf).AsUInt32();
            var endless = Vector128.GreaterThanOrEqual(magnitude, Vector128.Create(0x7C00u << 13));
            var sign = (half & Vector128.Create(0x8000u)) << 16;
            return (scaled | endless & Vector128.Create(0x7F800000u) | sign).AsSingle();
        }
    }

    private static int? Narrow(ReadOnlySpan<byte> bytes, Span<float> destination)
    {
        for (var i = 0; i < destination.Length; i++)
        {
            var value = At<double>(bytes, i);
            destination[i] = (float)value;
            if (float.IsInfinity(destination[i]) && double.IsFinite(value))
            {
                return i;
            }
        }
        return null;
    }

    private static int? FromInteger(DType dtype, ReadOnlySpan<byte> bytes, Span<float> destination)
    {
        Span<long> wide = stackalloc long[256];
        for (var start = 0; start < destination.Length; start += wide.Length)
        {
            var count = Math.Min(wide.Length, destination.Length - start);
            var width = dtype.Bits() / 8;
            if (ToInteger(dtype, bytes.Slice(start * width, count * width), wide[..count]) is int tooLarge)
            {
                return start + tooLarge;
            }
            for (var i = 0; i < count; i++)
            {
                var value = (float)wide[i];
                if ((Int128)value != wide[i])              // long would saturate at 2⁶³ and hide the difference
                {
                    return start + i;
                }
                destination[start + i] = value;
            }
        }
        return null;
    }

    private static int? ToInteger<TFrom, T>(ReadOnlySpan<byte> bytes, Span<T> destination)
        where TFrom : unmanaged, IBinaryInteger<TFrom> where T : unmanaged, IBinaryInteger<T>
    {
        for (var i = 0; i < destination.Length; i++)
        {
            var value = At<TFrom>(bytes, i);
            destination[i] = T.CreateTruncating(value);
            if (TFrom.CreateTruncating(destination[i]) != value
                || TFrom.IsNegative(value) != T.IsNegative(destination[i]))
            {
                return i;
            }
        }
        return null;
    }

    private static int? FromInteger<TTo>(ReadOnlySpan<long> source, Span<byte> bytes, TTo smallest, TTo largest)
        where TTo : unmanaged, IBinaryInteger<TTo>
    {
        var (low, high) = (long.CreateTruncating(smallest), long.CreateTruncating(largest));
        for (var i = 0; i < source.Length; i++)
        {
            if (source[i] < low || source[i] > high)
            {
                return i;
            }
            Put(bytes, i, TTo.CreateTruncating(source[i]));
        }
        return null;
    }

    // Unaligned on purpose: other writers do not pad the header, so the data may begin at any byte.
    private static T At<T>(ReadOnlySpan<byte> bytes, int index) where T : unmanaged
        => MemoryMarshal.Read<T>(bytes.Slice(index * Unsafe.SizeOf<T>(), Unsafe.SizeOf<T>()));

    private static void Put<T>(Span<byte> bytes, int index, T value) where T : unmanaged
        => MemoryMarshal.Write(bytes[(index * Unsafe.SizeOf<T>())..], value);
}
