using System.Text.Json;
using System.Text.Unicode;

namespace LoraScratch.Engine.IO;

/// <summary>
/// Reads and checks the JSON header of a safetensors file. Nothing that it claims is believed: what
/// is allocated is bounded by the header's own length, and every range is held against the bytes
/// that the file really has.
/// </summary>
internal static class SafeTensorsHeader
{
    /// <summary>The format's limit for the header, in bytes.</summary>
    internal const int LongestHeader = 100_000_000;

    /// <summary>The key that holds strings about the whole file instead of a tensor.</summary>
    internal const string MetadataKey = "__metadata__";

    /// <summary>Parses and checks.</summary>
    /// <param name="file">The file's name, for messages.</param>
    /// <param name="json">The header: all of it, and nothing of the data.</param>
    /// <param name="dataLength">Bytes of the file after the header.</param>
    /// <returns>The tensors in the order of their data, and the metadata.</returns>
    /// <exception cref="InputException">The header breaks a rule of the format.</exception>
    internal static (OrderedDictionary<string, TensorInfo> Tensors, OrderedDictionary<string, string> Metadata) Parse(
        string file, ReadOnlySpan<byte> json, long dataLength)
    {
        if (!Utf8.IsValid(json))
        {
            throw new InputException($"{file}: the header is not valid UTF-8. The file is damaged or is no "
                + "safetensors file; copy or download it "
                + "again.");
        }
        var tensors = new List<TensorInfo>();
        var metadata = new OrderedDictionary<string, string>();
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 64 });
        try
        {
            ReadHeader(file, ref reader, tensors, metadata);
            reader.Read();                                  // only white space may follow; anything else throws
        }
        catch (JsonException)
        {
            throw new InputException(
                $"{file}: the header is not valid JSON: expected one object, found an error after byte "
                + $"{reader.BytesConsumed} of {json.Length}. The file is damaged or is no safetensors file; copy or "
                + "download it again.");
        }
        catch (InvalidOperationException)                   // the BCL's word for \uD800 without its partner
        {
            throw new InputException($"{file}: the header has a string with half a surrogate pair near byte "
                + $"{reader.TokenStartIndex}, which is no "
                + "text. Write the file again with sound names.");
        }
        return (SafeTensorsLayout.Check(file, tensors, dataLength), metadata);
    }

    private static void ReadHeader(
        string file, ref Utf8JsonReader reader, List<TensorInfo> tensors, OrderedDictionary<string, string> metadata)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new InputException(
                $"{file}: the header must be a JSON object, found {Kind(reader.TokenType)}. Is it a safetensors file?");
        }
        var names = new HashSet<string>();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            if (!names.Add(name))
            {
                throw new InputException($"{file}: the header names {Describe.Name(name)} twice, so it does not say "
                    + "which data is meant. Write "
                    + "the file again with unique names.");
            }
            reader.Read();
            if (name == MetadataKey)
            {
                ReadMetadata(file, ref reader, metadata);
            }
            else
            {
                tensors.Add(ReadTensor(file, name, ref reader));
            }
        }
    }

    private static void ReadMetadata(string file, ref Utf8JsonReader reader, OrderedDictionary<string, string> metadata)
    {
        if (reader.TokenType == JsonTokenType.Null)         // the reference reader takes null as absent
        {
            return;
        }
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new InputException($"{file}: {MetadataKey} must be an object of strings, found "
                + $"{Kind(reader.TokenType)}. Write the file again with "
                + "strings only.");
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var key = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
            {
                throw new InputException($"{file}: {MetadataKey} {Describe.Name(key)} must be a string, found "
                    + $"{Kind(reader.TokenType)}. Write the "
                    + "file again with strings only.");
            }
            if (!metadata.TryAdd(key, reader.GetString()!))
            {
                throw new InputException(
                    $"{file}: {MetadataKey} names {Describe.Name(key)} twice. Write the file again with unique keys.");
            }
        }
    }

    /// <summary>
    /// One entry. A field that the format does not know is skipped, as the reference reader does:
    /// later versions may add some.
    /// </summary>
    private static TensorInfo ReadTensor(string file, string name, ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw Refuse(file, name,
                $"its entry must be an object with dtype, shape and data_offsets, found {Kind(reader.TokenType)}");
        }
        DType? dtype = null;
        long[]? shape = null;
        long[]? offsets = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("dtype"u8))
            {
                RefuseSecond(file, name, "dtype", dtype);
                dtype = ReadDType(file, name, ref reader);
            }
            else if (reader.ValueTextEquals("shape"u8))
            {
                RefuseSecond(file, name, "shape", shape);
                shape = ReadNumbers(file, name, "shape", ref reader);
            }
            else if (reader.ValueTextEquals("data_offsets"u8))
            {
                RefuseSecond(file, name, "data_offsets", offsets);
                offsets = ReadNumbers(file, name, "data_offsets", ref reader);
            }
            else
            {
                reader.Skip();
            }
        }
        if (dtype is null || shape is null || offsets is null)
        {
            var missing = dtype is null ? "dtype" : shape is null ? "shape" : "data_offsets";
            throw Refuse(file, name, $"its entry has no {missing}; expected dtype, shape and data_offsets");
        }
        if (offsets.Length != 2)
        {
            throw Refuse(file, name,
                $"data_offsets must be two numbers, the first byte and the one after the last, found {offsets.Length}");
        }
        return new TensorInfo(name, dtype.Value, shape, offsets[0], offsets[1]);
    }

    private static DType ReadDType(string file, string name, ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.String)
        {
            throw Refuse(file, name, $"dtype must be a string, found {Kind(reader.TokenType)}");
        }
        var text = reader.GetString()!;
        return DTypes.TryParse(text, out var dtype)
            ? dtype
            : throw Refuse(file, name,
                $"unknown dtype {Describe.Name(text)}; the format knows {string.Join(", ", Enum.GetNames<DType>())}");
    }

    private static long[] ReadNumbers(string file, string name, string field, ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw Refuse(file, name, $"{field} must be an array of whole numbers, found {Kind(reader.TokenType)}");
        }
        var numbers = new List<long>(4);
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetUInt64(out var number))
            {
                throw Refuse(file, name, $"{field} must hold whole numbers from 0 on, found {Value(ref reader)}");
            }
            if (number > long.MaxValue)
            {
                throw Refuse(file, name, $"{field} overflows: {number} is more than any file can hold");
            }
            numbers.Add((long)number);
        }
        return [.. numbers];
    }

    private static void RefuseSecond(string file, string name, string field, object? first)
    {
        if (first is not null)
        {
            throw Refuse(file, name, $"its entry gives {field} twice, so it does not say which is meant");
        }
    }

    internal static InputException Refuse(string file, string tensor, string trouble) => new(
        $"{file}: tensor {Describe.Name(tensor)}: {trouble}. The file is damaged or was written wrongly; copy, "
            + "download or write it again.");

    private static string Value(ref Utf8JsonReader reader) => reader.TokenType == JsonTokenType.Number
        ? Describe.Name(System.Text.Encoding.UTF8.GetString(reader.ValueSpan[..Math.Min(reader.ValueSpan.Length, 40)]))
        : Kind(reader.TokenType);

    private static string Kind(JsonTokenType token) => token switch
    {
        JsonTokenType.StartObject => "an object",
        JsonTokenType.StartArray => "an array",
        JsonTokenType.String => "a string",
        JsonTokenType.Number => "a number",
        JsonTokenType.Null => "null",
        JsonTokenType.True or JsonTokenType.False => "true or false",
        _ => "nothing",
    };
}
