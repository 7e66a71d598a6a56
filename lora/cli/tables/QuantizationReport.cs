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
        var width = Math.Max(5, layers.Max(layer => layer.Path.Length));
        var hasOutputs = layers.All(layer => layer.OutputError is not null);
        output.WriteLine($"{"layer".PadRight(width)}  {"error/|W|",9} "
            + $"{(hasOutputs ? $"{"error/|XW|",11} " : "")}{"bytes before",13} {"after",10}");
        foreach (var layer in layers)
        {
            var outputs = hasOutputs ? string.Create(CultureInfo.InvariantCulture, $"{layer.OutputError,11:F4} ") : "";
            output.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{layer.Path.PadRight(width)}  {layer.WeightError,9:F4} {outputs}")
                + $"{Text.Bytes(layer.BytesBefore),13} {Text.Bytes(layer.BytesAfter),10}");
        }
        var (before, after) = (layers.Sum(layer => layer.BytesBefore), layers.Sum(layer => layer.BytesAfter));
        output.WriteLine($"{layers.Count} layers, {form}: {Text.Bytes(before)} → {Text.Bytes(after)} "
            + $"({Text.Percent((double)after / before)})");
    }
}
