using LoraScratch.Engine.IO;

namespace LoraScratch.Cli;

/// <summary>
/// The tensors of a .safetensors file as a table: name, dtype, shape, bytes; then the metadata and
/// the totals.
/// </summary>
internal static class TensorListing
{
    public static void Print(string path)
    {
        using var file = SafeTensorsFile.Open(path);
        var width = file.Tensors.Keys.Select(name => name.Length).DefaultIfEmpty(4).Max();
        foreach (var tensor in file.Tensors.Values)
        {
            Console.WriteLine($"{tensor.Name.PadRight(width)}  {tensor.DType,-7} "
                + $"{$"[{string.Join(", ", tensor.Shape)}]",-16} {Text.Bytes(tensor.ByteLength),10}");
        }
        foreach (var (key, value) in file.Metadata)
        {
            Console.WriteLine($"metadata {key} = {value}");
        }
        Console.WriteLine($"{file.Tensors.Count} tensors, "
            + $"{Text.Count(file.Tensors.Values.Sum(tensor => tensor.ElementCount))} elements, "
            + $"{Text.Bytes(file.Tensors.Values.Sum(tensor => tensor.ByteLength))}");
    }
}
