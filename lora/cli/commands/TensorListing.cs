using LoraScratch.Cli.Tables;
using LoraScratch.Engine.IO;

namespace LoraScratch.Cli;

/// <summary>
/// The tensors of a .safetensors file as a table: name, dtype, shape, bytes; then the metadata and
/// the totals.
/// </summary>
internal static class TensorListing
{
    public static void Print(string path, bool everyLayer)
    {
        using var file = SafeTensorsFile.Open(path);
        TensorTable.Print(Console.Out, [.. file.Tensors.Values.Select(tensor => (tensor.Name,
            (IReadOnlyList<string>)[$"{tensor.DType}", $"[{string.Join(", ", tensor.Shape)}]",
                Text.Bytes(tensor.ByteLength)]))], everyLayer);
        foreach (var (key, value) in file.Metadata)
        {
            Console.WriteLine($"metadata {key} = {value}");
        }
        Console.WriteLine($"{file.Tensors.Count} tensors, "
            + $"{Text.Count(file.Tensors.Values.Sum(tensor => tensor.ElementCount))} elements, "
            + $"{Text.Bytes(file.Tensors.Values.Sum(tensor => tensor.ByteLength))}");
    }
}
