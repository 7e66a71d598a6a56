using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Lora.Export;

/// <summary>
/// The layers of a model as nodes of a graph, by their paths. An adapter must have been merged; in
/// what form a linear layer has its weight makes the difference:
/// <code>
/// float32         y = x·Wᵀ + b              MatMul, Add
/// low-rank        y = (x·Dᵀ)·Uᵀ + b         both factors in turn
/// groups          y = x·Ŵᵀ + b              Ŵ = α·(q − ζ) of codes of 8 bits: Cast, Sub, Mul, then as float32
/// dynamic INT8    y = β·α·(S − ζ·C) + b     S of MatMulInteger, as DynamicInt8Linear has it
/// </code>
/// DequantizeLinear would not do for the groups, whose zeros are no whole numbers once QA-LoRA has
/// been merged into them; nor DynamicQuantizeLinear for the inputs: its one scale for a whole batch
/// would let a text's answer depend on its neighbours.
/// </summary>
internal sealed class OnnxLayers(OnnxGraph graph, EncoderForSequenceClassification model)
{
    private const int MiddleCode = 128;

    private readonly Dictionary<string, Module> modules = model.NamedModules().ToDictionary(entry => entry.Path,
        entry => entry.Module is LayerWithLoRA adapted ? adapted.Base : entry.Module);

    // by the input: layers that read the same one round it once
    private readonly Dictionary<string, (string Codes, string Scale, string Zero)> rounded = [];

    /// <summary>Whether the model has a layer of this path.</summary>
    public bool Has(string path) => modules.ContainsKey(path);

    /// <summary>The weight of an embedding, [count, width].</summary>
    public string Table(string path) =>
        graph.Tensor(TensorToWrite.Of($"{path}.weight", ((Embedding)modules[path]).Weight));

    /// <summary>A normalisation of the last dimension.</summary>
    public string Norm(string path, string x)
    {
        var norm = (LayerNorm)modules[path];
        return graph.Add(path, "LayerNormalization", [x, Parameter($"{path}.weight", norm.Weight),
            Parameter($"{path}.bias", norm.Bias)], ("axis", -1), ("epsilon", norm.Epsilon));
    }

    /// <summary>A linear layer, whatever its weight is.</summary>
    /// <param name="path">Of the layer.</param>
    /// <param name="x">[…, in]</param>
    /// <returns>[…, out]</returns>
    public string Linear(string path, string x)
    {
        if (modules[path] is LowRankLinear)
        {
            return Linear($"{path}.up", Linear($"{path}.down", x));
        }
        var layer = (WeightLayer)modules[path];
        var product = layer switch
        {
            QuantizedLinear quantized => graph.Add(path, "MatMul", [x, Decoded(path, quantized.Weight)]),
            DynamicInt8Linear whole => IntegerProduct(path, whole.Weight, x),
            _ => graph.Add(path, "MatMul", [x, graph.Tensor(Transposed(path, (Parameter)layer.Weight))]),
        };
        return layer.Bias is null ? product
            : graph.Add(path, "Add", [product, Parameter($"{path}.bias", layer.Bias)]);
    }

    /// <summary>The function of a name, as <see cref="Activations"/> has it.</summary>
    public string Activation(string at, string name, string x)
    {
        string Apply(string operation, params string[] from) => graph.Add(at, operation, from);
        switch (name)
        {
            case "relu":
                return Apply("Relu", x);
            case "tanh":
                return Apply("Tanh", x);
            case "gelu":                                            // ½·x·(1 + erf(x/√2))
                var error = Apply("Erf", Apply("Div", x, graph.Float(MathF.Sqrt(2))));
                return Apply("Mul", Apply("Mul", x, Apply("Add", error, graph.Float(1))), graph.Float(0.5f));
            default:                                                // ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))
                var cube = Apply("Mul", Apply("Mul", Apply("Mul", x, x), x), graph.Float(0.044715f));
                var angle = Apply("Mul", Apply("Add", x, cube), graph.Float(MathF.Sqrt(2 / MathF.PI)));
                return Apply("Mul", Apply("Mul", x, Apply("Add", Apply("Tanh", angle), graph.Float(1))),
                    graph.Float(0.5f));
        }
    }

    /// <summary>
    /// Ŵᵀ [in, out] of codes of a few bits, the very floats that our products decode.
    /// </summary>
    private string Decoded(string path, GroupQuantizedWeight weight)
    {
        long[] grid = [weight.OutFeatures, weight.Groups, 1];
        var codes = graph.Tensor(TensorToWrite.Bytes($"{path}.weight.codes", DType.U8,
            [weight.OutFeatures, weight.Groups, weight.Format.GroupSize], weight.Codes()));
        var grids = weight.Grids();
        string Grid(string name, Converter<Kernels.GroupGrid, float> value) => graph.Tensor(
            TensorToWrite.Floats($"{path}.weight.{name}", grid, Array.ConvertAll(grids, value)));
        var steps = graph.Add(path, "Sub", [graph.Add(path, "Cast", [codes], ("to", 1)),
            Grid("zeros", group => group.Zero)]);
        var values = graph.Add(path, "Mul", [Grid("scales", group => group.Scale), steps]);
        return graph.Add(path, "Transpose", [graph.Add(path, "Reshape",
            [values, graph.Integers(weight.OutFeatures, weight.InFeatures)])], ("perm", new[] { 1, 0 }));
    }

    /// <summary>
    /// β·α·(S − ζ·C). The weight's codes are written 128 higher, without a sign: the instructions
    /// that multiply codes with a sign cut large sums on processors without VNNI, those for codes
    /// without one do not.
    /// </summary>
    private string IntegerProduct(string path, ChannelQuantizedWeight weight, string x)
    {
        var (codes, scale, zero) = Rounded(x);
        var (inputs, outputs, signed) = (weight.InFeatures, weight.OutFeatures, weight.Codes());
        var bytes = new byte[signed.Length];                        // [in, out]
        var sums = new long[outputs];
        for (var i = 0; i < signed.Length; i++)
        {
            bytes[i % inputs * outputs + i / inputs] = (byte)(signed[i] + MiddleCode);
            sums[i / inputs] += signed[i];
        }
        var product = graph.Add(path, "MatMulInteger", [codes, graph.Tensor(TensorToWrite.Bytes(
            $"{path}.weight.codes", DType.U8, [inputs, outputs], bytes)), graph.Byte(0), graph.Byte(MiddleCode)]);
        var shift = graph.Add(path, "Mul", [zero, graph.Tensor(TensorToWrite.Integers($"{path}.weight.sums",
            [outputs], sums, DType.I32))]);
        var whole = graph.Add(path, "Cast", [graph.Add(path, "Sub", [product, shift])], ("to", 1));
        var scales = graph.Add(path, "Mul", [scale, graph.Tensor(TensorToWrite.Floats($"{path}.weight.scales",
            [outputs], weight.Scales()))]);
        return graph.Add(path, "Mul", [whole, scales]);
    }

    /// <summary>
    /// The rows of an input as codes q, with β and ζ of each row: see
    /// <see cref="DynamicInt8Linear"/>.
    /// </summary>
    private (string Codes, string Scale, string Zero) Rounded(string x)
    {
        if (rounded.TryGetValue(x, out var known))
        {
            return known;
        }
        var at = $"{x}/rounded";
        string Apply(string operation, params string[] from) => graph.Add(at, operation, from);
        string Extreme(string operation, string ofBoth) => graph.Add(at, ofBoth,
            [graph.Add(at, operation, [x], ("axes", new[] { -1 }), ("keepdims", 1)), graph.Float(0)]);
        var (lowest, highest) = (Extreme("ReduceMin", "Min"), Extreme("ReduceMax", "Max"));
        var (zero, most) = (graph.Float(0), graph.Float(byte.MaxValue));
        var scale = Apply("Max", Apply("Sub", Apply("Div", highest, most), Apply("Div", lowest, most)),
            graph.Float(Kernels.Int8Matrix.SmallestScale));
        var shift = Apply("Clip", Apply("Round", Apply("Div", Apply("Neg", lowest), scale)), zero, most);
        var steps = Apply("Round", Apply("Mul", x, Apply("Reciprocal", scale)));
        var codes = graph.Add(at, "Cast", [Apply("Clip", Apply("Add", steps, shift), zero, most)], ("to", 2));
        return rounded[x] = (codes, scale, graph.Add(at, "Cast", [shift], ("to", 6)));
    }

    private string Parameter(string name, Parameter parameter) => graph.Tensor(TensorToWrite.Of(name, parameter));

    /// <summary>Wᵀ [in, out], fetched and turned when its turn to be written comes.</summary>
    private static TensorToWrite Transposed(string path, Parameter weight)
    {
        var (rows, columns) = (weight.Shape[0], weight.Shape[1]);
        float[]? values = null;
        return TensorToWrite.Floats($"{path}.weight", [columns, rows], (first, destination) =>
        {
            values ??= RowMajor.Transposed(weight.ToArray(), rows, columns);
            values.AsSpan((int)first, destination.Length).CopyTo(destination);
            if (first + destination.Length == values.Length)
            {
                values = null;
            }
        });
    }
}
