using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Lora.Quantization;

namespace LoraScratch.Cli.Tables;

/// <summary>What quantising did to each layer, as a table.</summary>
internal static class QuantizationReport
{
    /// <summary>Prints a row for every layer and their sum.</summary>
    /// <param name="layers">At least one.</param>
    /// <param name="form">What their weights are now, such as "INT4, groups of 32".</param>
    /// <param name="output">Where to.</param>
    public static void Print(IReadOnlyList<QuantizedLayer> layers, string form, TextWriter output)
    {
        var hasOutputs = layers.All(layer => layer.OutputError is not null);
        string Error(double? error) => string.Create(CultureInfo.InvariantCulture, $"{error:F4}");
        LayerTable.Print(output,
            ["error/|W|", .. hasOutputs ? (string[])["error/|XW|"] : [], "bytes before", "after"],
            [.. layers.Select(layer => (layer.Path, (IReadOnlyList<string>)[Error(layer.WeightError),
                .. hasOutputs ? (string[])[Error(layer.OutputError)] : [], Text.Bytes(layer.BytesBefore),
                Text.Bytes(layer.BytesAfter)]))]);
        var (before, after) = (layers.Sum(layer => layer.BytesBefore), layers.Sum(layer => layer.BytesAfter));
        output.WriteLine($"{layers.Count} layers, {form}: {Text.Bytes(before)} → {Text.Bytes(after)} "
            + $"({Text.Percent((double)after / before)})");
    }
}
