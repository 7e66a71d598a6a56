using LoraScratch.Engine;
using LoraScratch.Tests.Kernels;

namespace LoraScratch.Tests.Engine;

public static partial class OpCases
{
    // ---------------------------------------------------------------- packed weights

    /// <summary>Every number of bits; few rows, which are decoded in registers, and many.</summary>
    private static IEnumerable<OpCase> Quantized()
    {
        foreach (var (rows, inFeatures, outFeatures, bits, groupSize) in new[]
        {
            (1, 16, 1, 4, 16), (3, 32, 5, 4, 16), (2, 64, 33, 4, 32), (5, 48, 7, 2, 48), (17, 32, 18, 3, 32),
            (4, 80, 3, 8, 16), (18, 48, 9, 4, 16),
        })
        {
            var weight = new RandomWeight(outFeatures, inFeatures, bits, groupSize);
            var w = Reference.Transpose(weight.Values, outFeatures, inFeatures);
            var note = $"INT{bits} [{outFeatures}, {inFeatures}] in groups of {groupSize}";
            GroupQuantizedWeight On(Tensor x) =>
                new(new QuantizationFormat(bits, groupSize), outFeatures, inFeatures, weight.Codes, weight.Grids,
                    x.Backend);
            yield return new("QuantizedLinear", [S(rows, inFeatures)], x => x[0].QuantizedLinear(On(x[0])),
                x => Reference.Product(x[0], w, rows, inFeatures, outFeatures), note);
            yield return new("QuantizedLinear", [S(rows, inFeatures), S(outFeatures)],
                x => x[0].QuantizedLinear(On(x[0]), x[1]),
                x => Reference.AddBias(Reference.Product(x[0], w, rows, inFeatures, outFeatures), x[1]), note);
        }
        foreach (var (rows, inFeatures, outFeatures) in new[] { (1, 1, 1), (1, 30, 17), (3, 16, 5), (7, 65, 33) })
        {
            var layer = new DynamicInt8Reference(rows, inFeatures, outFeatures);
            yield return new("DynamicInt8Linear", [S(outFeatures)], bias => layer.Compute(bias[0]),
                bias => Reference.AddBias(layer.Product, bias[0]), $"x [{rows}, {inFeatures}] without a gradient");
        }
        foreach (var (rows, columns, size, scale) in new[] { (1, 16, 16, 1f), (3, 6, 1, 2f), (2, 33, 11, 0.5f),
            (5, 64, 32, 1f / 32), (1, 7, 7, -1f), (4, 96, 48, 1f) })
        {
            yield return new("GroupSum", [S(rows, columns)], x => x[0].GroupSum(size, scale),
                x => [.. x[0].Chunk(size).Select(group => scale * group.Sum())], $"groups of {size}, scale {scale}");
        }
        yield return new("GroupSum", [S(2, 3, 8)], x => x[0].GroupSum(4),
            x => [.. x[0].Chunk(4).Select(group => group.Sum())], "groups of 4");
    }
}
