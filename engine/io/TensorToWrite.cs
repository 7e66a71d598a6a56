using System.Buffers;

namespace LoraScratch.Engine.IO;

/// <summary>
/// Copies the elements from <paramref name="firstElement"/> on, counted row-major, into
/// <paramref name="destination"/>.
/// </summary>
/// <param name="firstElement">The first element that is wanted.</param>
/// <param name="destination">Takes as many elements as it is long; they always exist.</param>
internal delegate void FloatSource(long firstElement, Span<float> destination);

/// <summary>
/// A tensor on its way into a file: name, type, shape, and where its values come from. The values
/// are fetched in pieces while the file is written, so a model on its way to the disk needs no
/// second copy in memory.
/// </summary>
internal sealed class TensorToWrite
{
    private readonly Action<string, Stream> write;

    private TensorToWrite(string name, DType dtype, ReadOnlySpan<long> shape, Action<string, Stream> write)
    {
        ArgumentNullException.ThrowIfNull(name);
        foreach (var dimension in shape)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(dimension, nameof(shape));
        }
        if (dtype.TotalBits(shape) is not { } bits || bits % 8 != 0)
        {
            throw new ArgumentException($"Tensor {Describe.Name(name)}: {Describe.Shape(shape.ToArray())} of {dtype} "
                + "is no whole number of bytes.");
        }
        (Name, DType, Shape, this.write) = (name, dtype, shape.ToArray(), write);
        ByteLength = checked((long)(bits / 8));
    }

    internal string Name { get; }

    internal DType DType { get; }

    internal long[] Shape { get; }

    internal long ByteLength { get; }

    /// <summary>Floats from memory.</summary>
    /// <param name="shape">Its dimensions; [] for a scalar.</param>
    /// <param name="values">Row-major.</param>
    /// <param name="dtype">
    /// F32, or F16, BF16, F64: rounded to the nearest value, and refused where a finite value would
    /// become infinite.
    /// </param>
    /// <exception cref="ArgumentException">The shape does not fit the number of values.</exception>
    public static TensorToWrite Floats(string name, ReadOnlySpan<long> shape, ReadOnlyMemory<float> values,
        DType dtype = DType.F32)
    {
        CheckCount(name, shape, values.Length);
        return Floats(name, shape,
            (first, destination) => values.Span.Slice((int)first, destination.Length).CopyTo(destination), dtype);
    }

    /// <summary>Floats from a source that is asked for them piece by piece, in order.</summary>
    /// <inheritdoc cref="Floats(string, ReadOnlySpan{long}, ReadOnlyMemory{float}, DType)"/>
    public static TensorToWrite Floats(string name, ReadOnlySpan<long> shape, FloatSource source,
        DType dtype = DType.F32)
    {
        if (dtype is not (DType.F32 or DType.F16 or DType.BF16 or DType.F64))
        {
            throw new ArgumentException($"Tensor {Describe.Name(name)}: floats are written as F32, F16, BF16 or F64, "
                + $"not {dtype}.", nameof(dtype));
        }
        var count = Count(shape);
        var described = $"tensor {Describe.Name(name)} {dtype} {Describe.Shape(shape.ToArray())}";
        return new(name, dtype, shape,
            (path, stream) => WritePieces<float>(stream, dtype, count, (first, values, bytes) =>
        {
            source(first, values);
            if (NumberConversion.FromFloat(dtype, values, bytes) is int wrong)
            {
                throw new InputException($"{path}: {described}: element {first + wrong} is {values[wrong]}, beyond "
                    + $"the range of {dtype}. Write it "
                    + "as F32.");
            }
        }));
    }

    /// <summary>
    /// A tensor of the engine. It is fetched from its device when its turn comes, so that the host
    /// never holds more than one.
    /// </summary>
    /// <param name="tensor">Must keep its memory until the writer is done.</param>
    /// <param name="dtype">F32, or F16, BF16, F64: rounded to the nearest value.</param>
    public static TensorToWrite Of(string name, Tensor tensor, DType dtype = DType.F32)
    {
        float[]? values = null;
        return Floats(name, [.. tensor.Shape.Sizes.ToArray().Select(size => (long)size)], (first, destination) =>
        {
            values ??= tensor.ToArray();
            values.AsSpan((int)first, destination.Length).CopyTo(destination);
            if (first + destination.Length == values.Length)
            {
                values = null;
            }
        }, dtype);
    }

    /// <summary>Integers from memory.</summary>
    /// <param name="shape">Its dimensions; [] for a scalar.</param>
    /// <param name="values">Row-major.</param>
    /// <param name="dtype">I64, or BOOL, I8 … U64: a value beyond its range is refused.</param>
    /// <exception cref="ArgumentException">The shape does not fit the number of values.</exception>
    public static TensorToWrite Integers(string name, ReadOnlySpan<long> shape, ReadOnlyMemory<long> values,
        DType dtype = DType.I64)
    {
        if (!NumberConversion.HasIntegerValues(dtype))
        {
            throw new ArgumentException(
                $"Tensor {Describe.Name(name)}: integers are written as BOOL or I8 … U64, not {dtype}.", nameof(dtype));
        }
        CheckCount(name, shape, values.Length);
        var described = $"tensor {Describe.Name(name)} {dtype} {Describe.Shape(shape.ToArray())}";
        return new(name, dtype, shape,
            (path, stream) => WritePieces<long>(stream, dtype, values.Length, (first, piece, bytes) =>
        {
            values.Span.Slice((int)first, piece.Length).CopyTo(piece);
            if (NumberConversion.FromInteger(dtype, piece, bytes) is int wrong)
            {
                throw new InputException($"{path}: {described}: element {first + wrong} is {piece[wrong]}, beyond "
                    + $"the range of {dtype}. Write it "
                    + "as I64.");
            }
        }));
    }

    /// <summary>
    /// Bytes as they shall lie in the file, little-endian, for every type that the format knows.
    /// </summary>
    /// <exception cref="ArgumentException">The shape does not fit the number of bytes.</exception>
    public static TensorToWrite Bytes(string name, DType dtype, ReadOnlySpan<long> shape, ReadOnlyMemory<byte> bytes)
    {
        var tensor = new TensorToWrite(name, dtype, shape, (_, stream) => stream.Write(bytes.Span));
        return tensor.ByteLength == bytes.Length
            ? tensor
            : throw new ArgumentException(
                $"Tensor {Describe.Name(name)}: {Describe.Shape(shape.ToArray())} of {dtype} takes {tensor.ByteLength} "
                + $"bytes, got {bytes.Length}.");
    }

    /// <summary>
    /// A tensor of an open file, byte for byte, under its own or a new name. The file must stay
    /// open until the writer is done.
    /// </summary>
    /// <exception cref="InputException">The file has no such tensor.</exception>
    public static TensorToWrite Copy(SafeTensorsFile file, string name, string? newName = null)
    {
        if (!file.Tensors.TryGetValue(name, out var tensor))
        {
            throw Describe.NoSuchTensor(file.Path, name, file.Tensors.Keys);
        }
        return new(newName ?? name, tensor.DType, [.. tensor.Shape], (_, stream) =>
        {
            const int piece = 1 << 20;
            for (long first = 0; first < tensor.ByteLength; first += piece)
            {
                stream.Write(file.Bytes(name, first, (int)Math.Min(piece, tensor.ByteLength - first)));
            }
        });
    }

    /// <summary>Writes exactly <see cref="ByteLength"/> bytes.</summary>
    internal void WriteTo(string path, Stream stream) => write(path, stream);

    private delegate void Convert<T>(long first, Span<T> values, Span<byte> bytes);

    private static void WritePieces<T>(Stream stream, DType dtype, long count, Convert<T> convert)
    {
        var width = dtype.Bits() / 8;
        var length = (int)Math.Min(NumberConversion.PieceLength, count);
        var values = ArrayPool<T>.Shared.Rent(length);
        var bytes = ArrayPool<byte>.Shared.Rent(length * width);
        try
        {
            for (long first = 0; first < count; first += length)
            {
                var piece = (int)Math.Min(length, count - first);
                convert(first, values.AsSpan(0, piece), bytes.AsSpan(0, piece * width));
                stream.Write(bytes, 0, piece * width);
            }
        }
        finally
        {
            ArrayPool<T>.Shared.Return(values);
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    private static void CheckCount(string name, ReadOnlySpan<long> shape, int count)
    {
        if (Count(shape) != count)
        {
            throw new ArgumentException($"Tensor {Describe.Name(name)}: shape {Describe.Shape(shape.ToArray())} has "
                + $"{Count(shape)} elements, got "
                + $"{count}.");
        }
    }

    private static long Count(ReadOnlySpan<long> shape)
    {
        var count = 1L;
        foreach (var dimension in shape)
        {
            count = checked(count * dimension);
        }
        return count;
    }
}
