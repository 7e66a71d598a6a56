namespace LoraScratch.Engine.IO;

/// <summary>
/// One entry of a safetensors header, already checked against the file: the bytes exist and the
/// shape fills them.
/// </summary>
internal sealed class TensorInfo
{
    internal TensorInfo(string name, DType dtype, long[] shape, long begin, long end)
    {
        (Name, DType, Begin, End) = (name, dtype, begin, end);
        Shape = Array.AsReadOnly(shape);
    }

    /// <summary>The tensor's name.</summary>
    public string Name { get; }

    /// <summary>The type of its elements.</summary>
    public DType DType { get; }

    /// <summary>Its dimensions, the slowest first (row-major). Empty for a scalar.</summary>
    public IReadOnlyList<long> Shape { get; }

    /// <summary>First byte, counted from the end of the header.</summary>
    public long Begin { get; }

    /// <summary>The byte after the last one.</summary>
    public long End { get; }

    /// <summary>Bytes in the file.</summary>
    public long ByteLength => End - Begin;

    /// <summary>Number of elements: the product of the dimensions, 1 for a scalar.</summary>
    public long ElementCount =>
        DType.Bits() >= 8 ? ByteLength / (DType.Bits() / 8)
        : checked((long)((UInt128)ByteLength * 8 / (uint)DType.Bits()));

    /// <summary>Name, type and shape, as in 'x' F32 [2, 3].</summary>
    public override string ToString() => $"{Describe.Name(Name)} {DType} {Describe.Shape(Shape)}";
}
