using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Explaining;

/// <summary>
/// An adapted linear layer on one batch, op by op, with the names of LoRA's equations.
/// </summary>
internal static class LayerTape
{
    /// <summary>
    /// Runs and explains an expression with the layer in it. X, W, b, A and B get these names; x̃
    /// or its pooled groups, H and Y as well, and of a quantised layer Z = xŴᵀ + b.
    /// </summary>
    /// <param name="layer">Not merged.</param>
    /// <param name="x">[N, in]</param>
    /// <param name="expression">Uses the layer on x.</param>
    /// <param name="upstream">dY, where the expression is the layer itself.</param>
    /// <param name="names">Names of further leaves.</param>
    public static Explanation Run(LayerWithLoRA layer, Tensor x, Func<Tensor> expression, Tensor? upstream = null,
        params IReadOnlyList<(string Name, Tensor Value)> names)
    {
        var leaves = new List<(string, Tensor)> { ("X", x), ("A", layer.Lora.A), ("B", layer.Lora.B) };
        if (layer.Base.Weight is Parameter weight)
        {
            leaves.Add(("W", weight));
        }
        if (layer.Base.Bias is { } bias)
        {
            leaves.Add(("b", bias));
        }
        var explanation = Explain.Run(expression, [.. leaves, .. names], upstream);
        Rename(explanation);
        return explanation;
    }

    /// <summary>Names each result by what it is computed from.</summary>
    private static void Rename(Explanation explanation)
    {
        var (a, b) = (explanation["A"], explanation["B"]);
        foreach (var operation in explanation.Operations)
        {
            var name = operation.Name switch
            {
                nameof(Ops.Dropout) when operation.Inputs[0].Name == "X" => "X̃",
                nameof(Ops.GroupSum) => "P",
                nameof(Ops.QuantizedLinear) when operation.Inputs[0].Name == "X" => "Z",
                nameof(Ops.MatMul) when operation.Inputs.Contains(a) => "H",
                nameof(Ops.AddMatMul) or nameof(Ops.LinearPlusMatMul) when operation.Inputs.Contains(b) => "Y",
                nameof(Ops.Subtract) => "E",
                nameof(Ops.Square) => "S",
                nameof(Ops.Mean) => "mean",
                nameof(Ops.Scale) => "loss",
                _ => null,
            };
            if (name is not null && !explanation.Tensors.Any(tensor => tensor.Name == name))
            {
                operation.Result.Name = name;
            }
        }
    }

    /// <summary>The layer's numbers, with the dropout mask that the explained pass drew.</summary>
    public static LayerNumbers Numbers(LayerWithLoRA layer, Explanation explanation)
    {
        var x = explanation["X"];
        var lora = layer.Lora;
        var weight = layer.Base.Weight;
        var w = weight switch
        {
            Parameter parameter => parameter.ToArray(),
            GroupQuantizedWeight packed => packed.Dequantize(),
            _ => throw new NotSupportedException($"There is no LoRA on {weight.Form} weights."),
        };
        var pooled = lora as QALoRALayer;
        return new LayerNumbers(LayerNumbers.From(x.Values, x.Shape),
            DenseMatrix.From(w, weight.Shape[0], weight.Shape[1]),
            layer.Base.Bias is { } bias ? Array.ConvertAll(bias.ToArray(), value => (double)value)
                : new double[weight.Shape[0]],
            LayerNumbers.From(explanation["A"].Values, explanation["A"].Shape),
            LayerNumbers.From(explanation["B"].Values, explanation["B"].Shape), lora.Scaling, Mask(explanation),
            pooled?.GroupSize ?? 1, pooled is null ? 1 : (float)pooled.PoolingFactor);
    }

    /// <summary>What the engine computed.</summary>
    public static LayerResults Results(Explanation explanation) => new(explanation["H"].Values, explanation["Y"].Values,
        explanation["A"].Gradient!, explanation["B"].Gradient!, explanation["X"].Gradient!);

    /// <summary>
    /// The mask that a dropout drew, by its seed: M/(1 − p); null where there was none.
    /// </summary>
    public static DenseMatrix? Mask(Explanation explanation)
    {
        var dropout = explanation.Operations.FirstOrDefault(operation => operation.Name == nameof(Ops.Dropout));
        if (dropout is null)
        {
            return null;
        }
        var seed = ulong.Parse(Constant("seed"), CultureInfo.InvariantCulture);
        var probability = float.Parse(Constant("probability"), CultureInfo.InvariantCulture);
        using var scope = new TensorScope();
        using var ones = Tensor.Zeros(dropout.Result.Shape);
        ones.Backend.Fill(ones.Data, 1);
        var factors = ones.Dropout(probability, seed).ToArray();
        // 1/(1 − p) in double, not rounded to float32
        return new DenseMatrix(dropout.Result.Shape.Rows, dropout.Result.Shape.Columns,
            Array.ConvertAll(factors, factor => factor == 0 ? 0 : 1 / (1 - (double)probability)));

        string Constant(string name) => dropout.Constants.First(constant => constant.Name == name).Text;
    }
}
