using System.Buffers.Binary;
using System.Collections.ObjectModel;

namespace LoraScratch.Engine.IO;

/// <summary>
/// A safetensors file, memory-mapped: opening reads the header only, and a tensor's bytes are read
/// from the disk when they are asked for. The layout: 8 bytes little-endian N, N bytes of JSON,
/// then the data, row-major and little-endian. The file must not be cut while it is open: the
/// operating system answers a read past its new end by ending the process.
/// </summary>
public sealed unsafe class SafeTensorsFile : IDisposable
{
    private const int LengthBytes = 8;
    private readonly IDisposable memory;
    private readonly byte* data;
    private bool disposed;

    /// <param name="path">What messages call the file.</param>
    /// <param name="start">Its first byte.</param>
    /// <param name="length">All of its bytes.</param>
    /// <param name="memory">
    /// What the bytes belong to; goes with this object, also where the header is refused.
    /// </param>
    private SafeTensorsFile(string path, byte* start, long length, IDisposable memory)
    {
        (Path, this.memory) = (path, memory);
        try
        {
            var headerLength = HeaderLength(path, new(start, (int)Math.Min(length, 64)), length);
            start += LengthBytes;
            data = start + headerLength;
            var (tensors, metadata) =
                SafeTensorsHeader.Parse(path, new(start, headerLength), length - LengthBytes - headerLength);
            Tensors = new ReadOnlyDictionary<string, TensorInfo>(tensors);
            Metadata = new ReadOnlyDictionary<string, string>(metadata);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The path or name as it was given to <c>Open</c>.</summary>
    public string Path { get; }

    /// <summary>Every tensor by name, in the order of the data.</summary>
    internal IReadOnlyDictionary<string, TensorInfo> Tensors { get; }

    /// <summary>The names of the tensors, in the order of the data.</summary>
    public IReadOnlyCollection<string> Names => [.. Tensors.Keys];

    /// <summary>
    /// The strings that the writer left about the whole file, such as format = pt. Empty if there
    /// are none.
    /// </summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Opens the file and checks its whole header.</summary>
    /// <param name="path">A .safetensors file.</param>
    /// <exception cref="InputException">
    /// The file is missing, cannot be read, or breaks a rule of the format; the message says which.
    /// </exception>
    public static SafeTensorsFile Open(string path)
    {
        RequireLittleEndian();
        if (Directory.Exists(path))
        {
            throw new InputException($"{path}: expected a safetensors file, found a folder. Name the file in it.");
        }
        try
        {
            using var handle = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            var file = new MappedFile(path, handle);
            return new SafeTensorsFile(path, file.Start, file.Length, file);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new InputException($"{path}: no such file. Check the path.");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException(
                $"{path}: cannot be read: {e.Message} Check the file's permissions and the disk.");
        }
    }

    /// <summary>
    /// Writes tensors as F32, as the reference writer does: whole, or not at all.
    /// </summary>
    /// <typeparam name="T">Tensors, or a model's parameters.</typeparam>
    /// <param name="path">The file; an old one is replaced.</param>
    /// <param name="tensors">
    /// Under their names, in any order: <c>model.NamedParameters()</c>, say.
    /// </param>
    /// <param name="metadata">
    /// Strings about the whole file; null: format = pt, which transformers expects.
    /// </param>
    /// <exception cref="InputException">
    /// The file cannot be written; nothing has changed.
    /// </exception>
    /// <exception cref="ArgumentException">A name occurs twice, or is reserved.</exception>
    public static void Write<T>(string path, IEnumerable<(string Name, T Value)> tensors,
        IReadOnlyDictionary<string, string>? metadata = null) where T : Tensor =>
        SafeTensorsWriter.Write(path, tensors.Select(entry => TensorToWrite.Of(entry.Name, entry.Value)),
            metadata ?? new Dictionary<string, string> { ["format"] = "pt" });

    /// <summary>The dimensions of a tensor, the slowest first; empty for a scalar.</summary>
    /// <exception cref="InputException">There is no such tensor.</exception>
    public IReadOnlyList<long> ShapeOf(string name) => Tensors.TryGetValue(name, out var tensor)
        ? tensor.Shape
        : throw Describe.NoSuchTensor(Path, name, Tensors.Keys);

    /// <summary>
    /// Reads a tensor of the engine, of any type whose values are floats.
    /// </summary>
    /// <param name="name">Its name in the file.</param>
    /// <param name="destination">Of the shape that the file has.</param>
    /// <exception cref="InputException">
    /// No such tensor, another shape, or a type without float values.
    /// </exception>
    public void Read(string name, Tensor destination)
    {
        var shape = ShapeOf(name);
        if (!shape.SequenceEqual(destination.Shape.Sizes.ToArray().Select(size => (long)size)))
        {
            throw new InputException($"{Path}: tensor {Describe.Name(name)} has shape {Describe.Shape(shape)}; "
                + $"expected {destination.Shape}.");
        }
        var values = new float[destination.Shape.Count];
        Read(name, values);
        destination.Set(values);
    }

    /// <summary>
    /// Opens a file that lies in memory, an embedded resource for one. It is read in place, and its
    /// whole header is checked.
    /// </summary>
    /// <param name="name">What messages call it.</param>
    /// <param name="memory">The bytes, made from a pointer; goes with this object.</param>
    /// <exception cref="InputException">
    /// It breaks a rule of the format; the message says which.
    /// </exception>
    internal static SafeTensorsFile Open(string name, UnmanagedMemoryStream memory)
    {
        RequireLittleEndian();
        memory.Position = 0;
        return new SafeTensorsFile(name, memory.PositionPointer, memory.Length, memory);
    }

    /// <summary>
    /// Copies a whole tensor as floats. F32, F16, BF16, BOOL and integers of 8 and 16 bits arrive
    /// exactly, F64 rounded to the nearest float.
    /// </summary>
    /// <param name="name">The tensor.</param>
    /// <param name="destination">As many floats as the tensor has elements, row-major.</param>
    /// <exception cref="InputException">
    /// No such tensor, another number of elements, a type without float values (F4, F6, F8, C64),
    /// an F64 value beyond the range of a float, or a wider integer that no float equals.
    /// </exception>
    public void Read(string name, Span<float> destination) =>
        Read(WholeTensor(name, destination.Length), 0, destination);

    /// <summary>
    /// Copies a part of a tensor as floats, so that a large one needs no second copy of itself.
    /// </summary>
    /// <param name="name">The tensor.</param>
    /// <param name="firstElement">Where to begin, counted row-major.</param>
    /// <param name="destination">As many floats as are wanted.</param>
    /// <exception cref="InputException">As for the whole tensor.</exception>
    public void Read(string name, long firstElement, Span<float> destination)
        => Read(Part(name, firstElement, destination.Length), firstElement, destination);

    /// <summary>Copies a whole tensor of integers or truth values.</summary>
    /// <param name="name">The tensor.</param>
    /// <param name="destination">As many numbers as the tensor has elements, row-major.</param>
    /// <exception cref="InputException">
    /// No such tensor, another number of elements, not an integer type, or a value beyond the
    /// range.
    /// </exception>
    public void ReadInt64(string name, Span<long> destination) =>
        ReadIntegers(WholeTensor(name, destination.Length), destination);

    /// <inheritdoc cref="ReadInt64"/>
    public void ReadInt32(string name, Span<int> destination) =>
        ReadIntegers(WholeTensor(name, destination.Length), destination);

    /// <summary>
    /// The bytes of a tensor as they lie in the file, without a copy. The span must not outlive
    /// this object.
    /// </summary>
    /// <exception cref="InputException">
    /// No such tensor, or more than 2 GiB: take those in parts.
    /// </exception>
    public ReadOnlySpan<byte> Bytes(string name)
    {
        var tensor = Find(name);
        return tensor.ByteLength <= int.MaxValue
            ? Slice(tensor, 0, (int)tensor.ByteLength)
            : throw new InputException($"{Path}: tensor {tensor} has {tensor.ByteLength} bytes, a span holds "
                + $"{int.MaxValue}. Read it in parts.");
    }

    /// <summary>
    /// A part of a tensor's bytes, without a copy. The span must not outlive this object.
    /// </summary>
    /// <param name="name">The tensor.</param>
    /// <param name="firstByte">Where to begin, counted from the tensor's first byte.</param>
    /// <param name="length">How many bytes.</param>
    /// <exception cref="InputException">No such tensor.</exception>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The part reaches beyond the tensor.
    /// </exception>
    public ReadOnlySpan<byte> Bytes(string name, long firstByte, int length)
    {
        var tensor = Find(name);
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        ArgumentOutOfRangeException.ThrowIfNegative(firstByte);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstByte, tensor.ByteLength - length);
        return Slice(tensor, firstByte, length);
    }

    /// <summary>Unmaps the file. Spans taken from it are void from here on.</summary>
    public void Dispose()
    {
        disposed = true;
        memory.Dispose();
    }

    private void Read(TensorInfo tensor, long firstElement, Span<float> destination)
    {
        if (!NumberConversion.HasFloatValues(tensor.DType))
        {
            throw new InputException($"{Path}: tensor {tensor} cannot be read as floats: {tensor.DType} is listed, "
                + "not decoded. Convert the file "
                + "to F32, F16 or BF16 first.");
        }
        var width = tensor.DType.Bits() / 8;
        foreach (var (start, count) in NumberConversion.Pieces(destination.Length))
        {
            var bytes = Slice(tensor, (firstElement + start) * width, count * width);
            if (NumberConversion.ToFloat(tensor.DType, bytes, destination.Slice(start, count)) is int wrong)
            {
                throw new InputException($"{Path}: tensor {tensor}: element {firstElement + start + wrong} has no "
                    + "float value: it is beyond the "
                    + "range of a float or is an integer that floats skip. Read it as integers, or scale the tensor "
                    + "when it is written.");
            }
        }
    }

    private void ReadIntegers<T>(TensorInfo tensor, Span<T> destination) where T : unmanaged,
        System.Numerics.IBinaryInteger<T>
    {
        if (!NumberConversion.HasIntegerValues(tensor.DType))
        {
            throw new InputException(
                $"{Path}: tensor {tensor}: expected integers, found {tensor.DType}. Read it as floats.");
        }
        var width = tensor.DType.Bits() / 8;
        foreach (var (start, count) in NumberConversion.Pieces(destination.Length))
        {
            var bytes = Slice(tensor, (long)start * width, count * width);
            if (NumberConversion.ToInteger(tensor.DType, bytes, destination.Slice(start, count)) is int wrong)
            {
                throw new InputException($"{Path}: tensor {tensor}: element {(long)start + wrong} does not fit a "
                    + $"{typeof(T).Name}. Check that it "
                    + "is the tensor that you mean.");
            }
        }
    }

    private TensorInfo WholeTensor(string name, int length)
    {
        var tensor = Find(name);
        return tensor.ElementCount == length
            ? tensor
            : throw new InputException($"{Path}: tensor {tensor} has {tensor.ElementCount} elements, {length} were "
                + "expected. Does the file belong "
                + "to this model?");
    }

    private TensorInfo Part(string name, long firstElement, int length)
    {
        var tensor = Find(name);
        ArgumentOutOfRangeException.ThrowIfNegative(firstElement);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(firstElement, tensor.ElementCount - length);
        return tensor;
    }

    private TensorInfo Find(string name) => Tensors.TryGetValue(name, out var tensor)
        ? tensor
        : throw Describe.NoSuchTensor(Path, name, Tensors.Keys);

    private ReadOnlySpan<byte> Slice(TensorInfo tensor, long firstByte, int length)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        return new(data + tensor.Begin + firstByte, length);
    }

    private static void RequireLittleEndian()
    {
        if (!BitConverter.IsLittleEndian)
        {
            throw new PlatformNotSupportedException(
                "safetensors files are little-endian and read as they are; this processor is big-endian.");
        }
    }

    private static int HeaderLength(string path, ReadOnlySpan<byte> beginning, long fileLength)
    {
        if (fileLength < LengthBytes)
        {
            throw new InputException($"{path}: the file has {fileLength} bytes, a safetensors file begins with 8 "
                + "bytes that give the length of "
                + "its header. The file is empty or truncated; copy or download it again.");
        }
        var length = BinaryPrimitives.ReadUInt64LittleEndian(beginning);
        if (length > SafeTensorsHeader.LongestHeader)
        {
            throw new InputException(OtherFile.IsPickle(beginning)
                ? $"{path}: this is no safetensors file but a pickled file of PyTorch (.bin, .pt). "
                    + OtherFile.Conversion(System.IO.Path.GetFileName(path), "model.safetensors")
                : OtherFile.NameOf(beginning) is { } other ? $"{path}: this is no safetensors file but {other}"
                : $"{path}: the header is too large: its first 8 bytes claim {length} bytes, the format allows "
                    + $"{SafeTensorsHeader.LongestHeader}. It is no safetensors file, or its beginning is damaged; "
                    + "copy or download it again.");
        }
        if ((long)length > fileLength - LengthBytes)
        {
            throw new InputException($"{path}: the header is cut: its first 8 bytes claim {length} bytes, only "
                + $"{fileLength - LengthBytes} follow. "
                + "The file is truncated or is no safetensors file; copy or download it again.");
        }
        return (int)length;
    }
}
