using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace LoraScratch.Lora.Pages;

/// <summary>
/// A matrix as the pages' script reads it: the numbers themselves, or of a large one the bytes of
/// float32, little-endian, in base64: half as long, and exact as well.
/// </summary>
internal sealed class PageMatrixConverter : JsonConverter<PageMatrix>
{
    private const int MaxNumbers = 256;

    /// <inheritdoc/>
    public override PageMatrix Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        throw new NotSupportedException("Pages are written here, and read by their scripts.");

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, PageMatrix value, JsonSerializerOptions options)
    {
        writer.WriteStartObject();
        writer.WriteNumber("rows", value.Rows);
        writer.WriteNumber("columns", value.Columns);
        if (value.Values.Length <= MaxNumbers)
        {
            writer.WriteStartArray("values");
            foreach (var number in value.Values)
            {
                if (float.IsFinite(number))
                {
                    writer.WriteNumberValue(number);
                }
                else
                {
                    writer.WriteStringValue(float.IsNaN(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity");
                }
            }
            writer.WriteEndArray();
        }
        else
        {
            writer.WriteBase64String("bytes", LittleEndian(value.Values));
        }
        writer.WriteEndObject();
    }

    private static byte[] LittleEndian(float[] values)
    {
        if (BitConverter.IsLittleEndian)
        {
            return MemoryMarshal.AsBytes<float>(values).ToArray();
        }
        var bytes = new byte[values.Length * sizeof(float)];
        for (var i = 0; i < values.Length; i++)
        {
            System.Buffers.Binary.BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), values[i]);
        }
        return bytes;
    }
}
