using System.Globalization;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Export;

/// <summary>
/// A computation as ONNX has it: nodes in the order in which they run, each an operator on named
/// values, and the tensors that belong to the model. Operators, their inputs and their attributes:
/// https://onnx.ai/onnx/operators; the messages: onnx.proto of the same project.
/// </summary>
internal sealed class OnnxGraph
{
    /// <summary>
    /// The version of the operators: the first with LayerNormalization, so that nearly every
    /// runtime of today takes the file.
    /// </summary>
    public const int Opset = 17;

    // AttributeProto.type
    private const int FloatAttribute = 1, IntegerAttribute = 2, IntegersAttribute = 7;

    private readonly HashSet<string> names = new(StringComparer.Ordinal);
    private readonly List<ProtobufMessage> nodes = [];
    private readonly OrderedDictionary<string, TensorToWrite> tensors = [];
    private readonly List<OnnxValue> inputs = [], outputs = [];

    /// <summary>The nodes, NodeProto.</summary>
    public IReadOnlyList<ProtobufMessage> Nodes => nodes;

    /// <summary>The model's own tensors: weights and constants.</summary>
    public IEnumerable<TensorToWrite> Tensors => tensors.Values;

    /// <summary>What a caller gives.</summary>
    public IReadOnlyList<OnnxValue> Inputs => inputs;

    /// <summary>What a caller gets.</summary>
    public IReadOnlyList<OnnxValue> Outputs => outputs;

    /// <summary>Declares an input.</summary>
    /// <returns>Its name.</returns>
    public string Input(OnnxValue value)
    {
        inputs.Add(value);
        names.Add(value.Name);
        return value.Name;
    }

    /// <summary>Gives a value the name of an output.</summary>
    public void Output(OnnxValue value, string from)
    {
        outputs.Add(value);
        names.Add(value.Name);
        nodes.Add(Node("Identity", [from], value.Name, []));
    }

    /// <summary>Adds a node.</summary>
    /// <param name="at">The part of the model that it belongs to, for its name.</param>
    /// <param name="operation">The operator.</param>
    /// <param name="from">The values that it reads.</param>
    /// <param name="attributes">Whole numbers, lists of them, or floats, by name.</param>
    /// <returns>The name of its result.</returns>
    public string Add(string at, string operation, string[] from, params (string Name, object Value)[] attributes)
    {
        var name = $"{at}/{operation}";
        for (var i = 1; !names.Add(name); i++)
        {
            name = string.Create(CultureInfo.InvariantCulture, $"{at}/{operation}_{i}");
        }
        nodes.Add(Node(operation, from, name, attributes));
        return name;
    }

    /// <summary>Adds a tensor of the model; one of that name is not added again.</summary>
    /// <returns>Its name.</returns>
    public string Tensor(TensorToWrite tensor)
    {
        if (tensors.TryAdd(tensor.Name, tensor))
        {
            names.Add(tensor.Name);
        }
        return tensor.Name;
    }

    /// <summary>A constant list of whole numbers.</summary>
    public string Integers(params long[] values) => Tensor(TensorToWrite.Integers(
        string.Create(CultureInfo.InvariantCulture, $"int64/[{string.Join(',', values)}]"), [values.Length], values));

    /// <summary>A constant whole number.</summary>
    public string Integer(long value) => Tensor(TensorToWrite.Integers(
        string.Create(CultureInfo.InvariantCulture, $"int64/{value}"), [], new[] { value }));

    /// <summary>A constant whole number of 8 bits without a sign.</summary>
    public string Byte(byte value) => Tensor(TensorToWrite.Bytes(
        string.Create(CultureInfo.InvariantCulture, $"uint8/{value}"), DType.U8, [], new[] { value }));

    /// <summary>A constant float.</summary>
    public string Float(float value) => Tensor(TensorToWrite.Floats(
        string.Create(CultureInfo.InvariantCulture, $"float/{value:R}"), [], new[] { value }));

    private static ProtobufMessage Node(string operation, string[] from, string to,
        (string Name, object Value)[] attributes)
    {
        var node = new ProtobufMessage();
        foreach (var input in from)
        {
            node.Add(1, input);                                     // input
        }
        node.Add(2, to).Add(3, to).Add(4, operation);               // output, name, op_type
        foreach (var (name, value) in attributes)
        {
            node.Add(5, Attribute(name, value));                    // attribute
        }
        return node;
    }

    private static ProtobufMessage Attribute(string name, object value)
    {
        var attribute = new ProtobufMessage().Add(1, name);         // name
        switch (value)
        {
            case float number:
                return attribute.Add(2, number).Add(20, FloatAttribute);                // f, type
            case int number:
                return attribute.Add(3, (long)number).Add(20, IntegerAttribute);        // i, type
            default:
                foreach (var number in (int[])value)
                {
                    attribute.Add(8, (long)number);                                     // ints
                }
                return attribute.Add(20, IntegersAttribute);                            // type
        }
    }
}

/// <summary>An input or output of a graph.</summary>
/// <param name="Name">What a caller calls it.</param>
/// <param name="DType">I64 or F32.</param>
/// <param name="Shape">
/// A number for each dimension, or the name of one that may be any number: "batch".
/// </param>
internal sealed record OnnxValue(string Name, DType DType, params IReadOnlyList<object> Shape)
{
    /// <summary>"logits [batch, 2]"</summary>
    public override string ToString() => $"{Name} [{string.Join(", ", Shape)}]";
}
