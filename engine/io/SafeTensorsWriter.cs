using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace LoraScratch.Engine.IO;

/// <summary>
/// Writes a safetensors file as the reference writer does: tensors sorted by type (the wider first,
/// so that every one begins at a multiple of its own width), then by name; the header padded with
/// spaces to a multiple of 8. The same tensors give the same bytes, in whatever order they come.
/// </summary>
internal static class SafeTensorsWriter
{
    private const int HeaderAlignment = 8;
    private static readonly UTF8Encoding StrictUtf8 =
        new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    // The relaxed encoder escapes only what JSON demands; HTML's letters mean nothing here.
    private static readonly JsonWriterOptions JsonOptions =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes the file whole or not at all; see <see cref="AtomicFile"/>.</summary>
    /// <param name="path">The file; an old one is replaced.</param>
    /// <param name="tensors">The tensors, in any order.</param>
    /// <param name="metadata">
    /// Strings about the whole file, such as format = pt. None if null.
    /// </param>
    /// <exception cref="InputException">
    /// The file cannot be written, or a value does not fit its type; nothing has changed.
    /// </exception>
    /// <exception cref="ArgumentException">
    /// A name occurs twice, is reserved or is no text; or the header exceeds the format's limit.
    /// </exception>
    public static void Write(string path, IEnumerable<TensorToWrite> tensors,
        IReadOnlyDictionary<string, string>? metadata = null)
        => AtomicFile.Write(path, stream => Write(path, stream, tensors, metadata));

    /// <summary>
    /// The same with a stream of the caller's making, so that a test can let the disk be full at
    /// any byte.
    /// </summary>
    internal static void Write(
        string path, IEnumerable<TensorToWrite> tensors, IReadOnlyDictionary<string, string>? metadata,
        Func<string, Stream> create)
        => AtomicFile.Write(path, stream => Write(path, stream, tensors, metadata), create);

    private static void Write(string path, Stream stream, IEnumerable<TensorToWrite> tensors,
        IReadOnlyDictionary<string, string>? metadata)
    {
        var sorted = Sort(tensors);
        var header = Header(sorted, metadata);
        Span<byte> length = stackalloc byte[sizeof(ulong)];
        BinaryPrimitives.WriteUInt64LittleEndian(length, (ulong)header.Length);
        stream.Write(length);
        stream.Write(header);
        foreach (var tensor in sorted)
        {
            tensor.WriteTo(path, stream);
        }
    }

    private static TensorToWrite[] Sort(IEnumerable<TensorToWrite> tensors)
    {
        var named = tensors.Select(tensor => (Tensor: tensor, Utf8: NameBytes(tensor.Name))).ToArray();
        Array.Sort(named, (left, right) =>
        {
            var byType = right.Tensor.DType.CompareTo(left.Tensor.DType);
            return byType != 0 ? byType : left.Utf8.AsSpan().SequenceCompareTo(right.Utf8);
        });
        var seen = new HashSet<string>();
        foreach (var (tensor, _) in named)
        {
            if (tensor.Name == SafeTensorsHeader.MetadataKey)
            {
                throw new ArgumentException(
                    $"No tensor may be named {SafeTensorsHeader.MetadataKey}: the format keeps that name for strings.",
                    nameof(tensors));
            }
            if (!seen.Add(tensor.Name))
            {
                throw new ArgumentException(
                    $"Two tensors are named {Describe.Name(tensor.Name)}; names must be unique.", nameof(tensors));
            }
        }
        return [.. named.Select(entry => entry.Tensor)];
    }

    private static byte[] NameBytes(string name)
    {
        try
        {
            return StrictUtf8.GetBytes(name);
        }
        catch (EncoderFallbackException)
        {
            throw new ArgumentException(
                $"The tensor name {Describe.Name(name)} has half a surrogate pair, which UTF-8 cannot hold.");
        }
    }

    private static byte[] Header(TensorToWrite[] sorted, IReadOnlyDictionary<string, string>? metadata)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, JsonOptions))
        {
            json.WriteStartObject();
            if (metadata is not null)
            {
                WriteMetadata(json, metadata);
            }
            long begin = 0;
            foreach (var tensor in sorted)
            {
                var end = checked(begin + tensor.ByteLength);
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", tensor.DType.ToString());
                WriteNumbers(json, "shape", tensor.Shape);
                WriteNumbers(json, "data_offsets", [begin, end]);
                json.WriteEndObject();
                begin = end;
            }
            json.WriteEndObject();
        }
        var padding = (HeaderAlignment - buffer.WrittenCount % HeaderAlignment) % HeaderAlignment;
        buffer.GetSpan(HeaderAlignment)[..padding].Fill((byte)' ');
        buffer.Advance(padding);
        return buffer.WrittenCount <= SafeTensorsHeader.LongestHeader
            ? buffer.WrittenSpan.ToArray()
            : throw new ArgumentException(
                $"The header takes {buffer.WrittenCount} bytes, the format allows {SafeTensorsHeader.LongestHeader}. "
                + "Split the tensors over several files.");
    }

    /// <summary>
    /// Sorted by key: a dictionary has no order of its own, and the bytes must not depend on it.
    /// </summary>
    private static void WriteMetadata(Utf8JsonWriter json, IReadOnlyDictionary<string, string> metadata)
    {
        json.WriteStartObject(SafeTensorsHeader.MetadataKey);
        foreach (var (key, value) in metadata.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            json.WriteString(key, value);
        }
        json.WriteEndObject();
    }

    private static void WriteNumbers(Utf8JsonWriter json, string name, ReadOnlySpan<long> numbers)
    {
        json.WriteStartArray(name);
        foreach (var number in numbers)
        {
            json.WriteNumberValue(number);
        }
        json.WriteEndArray();
    }
}
