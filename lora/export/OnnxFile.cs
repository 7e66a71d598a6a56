using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Export;

/// <summary>
/// A graph as an ONNX file (ModelProto). The small messages are made first; the tensors are fetched
/// one after the other while the file is written, so that a model needs no second copy in memory.
/// </summary>
internal sealed class OnnxFile
{
    /// <summary>Bytes of a message at most, and so of a file with its weights.</summary>
    public const long MaxBytes = int.MaxValue;

    private const long FormatVersion = 8;           // IR version, that of opset 17

    private readonly ProtobufMessage head = new(), start = new(), end = new();
    private readonly List<(ProtobufMessage Head, TensorToWrite Tensor)> tensors = [];

    /// <param name="graph">The computation.</param>
    /// <param name="properties">What else a reader may want to know, by name.</param>
    public OnnxFile(OnnxGraph graph, params (string Key, string Value)[] properties)
    {
        foreach (var node in graph.Nodes)
        {
            start.Add(1, node);                                                         // node
        }
        start.Add(2, "model");                                                          // name
        foreach (var tensor in graph.Tensors)
        {
            tensors.Add((Head(tensor), tensor));                                        // initializer
        }
        foreach (var value in graph.Inputs)
        {
            end.Add(11, Describe(value));                                               // input
        }
        foreach (var value in graph.Outputs)
        {
            end.Add(12, Describe(value));                                               // output
        }
        head.Add(1, FormatVersion).Add(2, "LoraScratch");                               // ir_version, producer_name
        head.Add(8, new ProtobufMessage().Add(1, "").Add(2, (long)OnnxGraph.Opset));    // opset_import: domain, version
        foreach (var (key, value) in properties)
        {
            head.Add(14, new ProtobufMessage().Add(1, key).Add(2, value));              // metadata_props: key, value
        }
        var graphBytes = start.Length + tensors.Sum(entry => entry.Head.Length + entry.Tensor.ByteLength) + end.Length;
        head.Append(ProtobufMessage.Header(7, graphBytes));                             // graph
        Bytes = head.Length + graphBytes;
    }

    /// <summary>How large the file will be.</summary>
    public long Bytes { get; }

    /// <summary>Refuses a file that no reader would take.</summary>
    /// <param name="path">Where it was to go, for the message.</param>
    /// <param name="most">Bytes at most.</param>
    /// <exception cref="InputException">It is larger.</exception>
    public void RequireSize(string path, long most = MaxBytes)
    {
        if (Bytes > most)
        {
            throw new InputException(string.Create(CultureInfo.InvariantCulture,
                $"{path}: the model takes {Bytes:N0} bytes, and an ONNX file with its weights may have {most:N0} (a "
                    + $"message of Protocol Buffers). Quantise it first ('lora quantize'), or export a folder."));
        }
    }

    /// <summary>Writes the file.</summary>
    /// <param name="path">What messages call it.</param>
    /// <param name="stream">Where it goes.</param>
    /// <exception cref="InputException">A weight is no number that the file can hold.</exception>
    public void WriteTo(string path, Stream stream)
    {
        head.WriteTo(stream);
        start.WriteTo(stream);
        foreach (var (tensorHead, tensor) in tensors)
        {
            tensorHead.WriteTo(stream);
            tensor.WriteTo(path, stream);
        }
        end.WriteTo(stream);
    }

    /// <summary>Everything of a tensor but its bytes, which end it.</summary>
    private static ProtobufMessage Head(TensorToWrite tensor)
    {
        var message = new ProtobufMessage();
        foreach (var size in tensor.Shape)
        {
            message.Add(1, size);                                                       // dims
        }
        message.Add(2, TypeOf(tensor.DType)).Add(8, tensor.Name);                       // data_type, name
        message.Append(ProtobufMessage.Header(9, tensor.ByteLength));                   // raw_data
        return ProtobufMessage.Header(5, message.Length + tensor.ByteLength).Append(message);
    }

    private static ProtobufMessage Describe(OnnxValue value)
    {
        var shape = new ProtobufMessage();
        foreach (var size in value.Shape)
        {
            shape.Add(1, size is string name ? new ProtobufMessage().Add(2, name)       // dim: dim_param
                : new ProtobufMessage().Add(1, (long)(int)size));                       // dim: dim_value
        }
        var tensor = new ProtobufMessage().Add(1, TypeOf(value.DType)).Add(2, shape);   // elem_type, shape
        return new ProtobufMessage().Add(1, value.Name).Add(2, new ProtobufMessage().Add(1, tensor));  // name, type
    }

    /// <summary>TensorProto.DataType</summary>
    private static long TypeOf(DType dtype) => dtype switch
    {
        DType.F32 => 1,
        DType.U8 => 2,
        DType.I32 => 6,
        DType.I64 => 7,
        _ => throw new ArgumentOutOfRangeException(nameof(dtype), dtype, "A type that no graph of ours has."),
    };
}
