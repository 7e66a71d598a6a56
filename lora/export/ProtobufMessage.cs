using System.Buffers.Binary;
using System.Text;

namespace LoraScratch.Lora.Export;

/// <summary>
/// A message of Protocol Buffers, field by field as it lies in a file: each field is a tag (its
/// number and how its value is written) and the value.
/// <para>
/// ONNX files need four kinds of values and ten kinds of messages, which is less code than what
/// protoc generates of onnx.proto needs to be called; and the weights, nearly all of a file, are
/// written from where they lie, where a generated class would hold a copy of them all.
/// Source: https://protobuf.dev/programming-guides/encoding.
/// </para>
/// </summary>
internal sealed class ProtobufMessage
{
    // how a value is written: the lowest three bits of its tag
    private const int Variable = 0, Counted = 2, FourBytes = 5;

    private readonly MemoryStream bytes = new();

    /// <summary>Bytes so far.</summary>
    public long Length => bytes.Length;

    /// <summary>Tag and length in front of a field's bytes, which somebody else writes.</summary>
    /// <param name="field">Its number.</param>
    /// <param name="length">How many bytes follow.</param>
    public static ProtobufMessage Header(int field, long length) => new ProtobufMessage().Begin(field, length);

    /// <summary>A whole number: int64, int32, or the number of an enum's value.</summary>
    public ProtobufMessage Add(int field, long value)
    {
        WriteVariable((ulong)field << 3 | Variable);
        WriteVariable((ulong)value);
        return this;
    }

    /// <summary>A float.</summary>
    public ProtobufMessage Add(int field, float value)
    {
        Span<byte> four = stackalloc byte[sizeof(float)];
        BinaryPrimitives.WriteSingleLittleEndian(four, value);
        WriteVariable((ulong)field << 3 | FourBytes);
        bytes.Write(four);
        return this;
    }

    /// <summary>A string, in UTF-8.</summary>
    public ProtobufMessage Add(int field, string value)
    {
        var text = Encoding.UTF8.GetBytes(value);
        Begin(field, text.Length);
        bytes.Write(text);
        return this;
    }

    /// <summary>A message within this one.</summary>
    public ProtobufMessage Add(int field, ProtobufMessage value)
    {
        Begin(field, value.Length);
        value.WriteTo(bytes);
        return this;
    }

    /// <summary>The fields of another message behind these.</summary>
    public ProtobufMessage Append(ProtobufMessage other)
    {
        other.WriteTo(bytes);
        return this;
    }

    /// <summary>Writes all fields.</summary>
    public void WriteTo(Stream stream) => bytes.WriteTo(stream);

    private ProtobufMessage Begin(int field, long length)
    {
        WriteVariable((ulong)field << 3 | Counted);
        WriteVariable((ulong)length);
        return this;
    }

    /// <summary>Seven bits a byte, the lowest first; the eighth says that more follow.</summary>
    private void WriteVariable(ulong value)
    {
        for (; value > 0x7F; value >>= 7)
        {
            bytes.WriteByte((byte)(value | 0x80));
        }
        bytes.WriteByte((byte)value);
    }
}
