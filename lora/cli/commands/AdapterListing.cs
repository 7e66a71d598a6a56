using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Adapters;

namespace LoraScratch.Cli;

/// <summary>The layers of an adapter with rank, scaling and norms.</summary>
internal static class AdapterListing
{
    private const string SuffixA = ".lora_A.weight";
    private const string SuffixB = ".lora_B.weight";

    public static void Print(string folder)
    {
        var config = PeftConfig.Read(Path.Combine(folder, PeftAdapter.ConfigName));
        ModelOptions.Notices(folder, config.Warnings);
        using var file = SafeTensorsFile.Open(Path.Combine(folder, PeftAdapter.WeightsName));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"rank {config.Rank}, lora_alpha {config.Alpha}, scaling {config.Settings.Scaling:G5} = {(config.UseRsLora ? "alpha/√rank" : "alpha/rank")}, dropout {config.Dropout}, task {config.TaskType ?? "none"}, base {config.BaseModel ?? "not named"}"));
        var layers = file.Tensors.Keys.Where(name => name.EndsWith(SuffixA, StringComparison.Ordinal)).Select(name => name[..^SuffixA.Length]).ToArray();
        var width = layers.Select(layer => layer.Length).DefaultIfEmpty(5).Max();
        Console.WriteLine($"{"layer".PadRight(width)}  {"A",-12} {"B",-12} {"|A|",10} {"|B|",10} {"|scaling·AB|",14}");
        foreach (var layer in layers)
        {
            Console.WriteLine(Line(file, layer, width, config.Settings.Scaling));
        }
        var others = file.Tensors.Values.Where(tensor => !tensor.Name.EndsWith(SuffixA, StringComparison.Ordinal) && !tensor.Name.EndsWith(SuffixB, StringComparison.Ordinal)).ToArray();
        foreach (var tensor in others)
        {
            Console.WriteLine($"{tensor.Name.PadRight(width)}  [{string.Join(", ", tensor.Shape)}]");
        }
        Console.WriteLine($"{layers.Length} adapted layers, {others.Length} other tensors, {Text.Count(file.Tensors.Values.Sum(tensor => tensor.ElementCount))} parameters, {Text.Bytes(file.Tensors.Values.Sum(tensor => tensor.ByteLength))}");
    }

    private static string Line(SafeTensorsFile file, string layer, int width, float scaling)
    {
        if (!file.Tensors.TryGetValue(layer + SuffixB, out var infoB))
        {
            throw new InputException($"{file.Path}: tensor '{layer}{SuffixA}' has no partner '{layer}{SuffixB}'; the adapter is incomplete.");
        }
        var infoA = file.Tensors[layer + SuffixA];
        var (rank, inFeatures, outFeatures) = ((int)infoA.Shape[0], (int)infoA.Shape[1], (int)infoB.Shape[0]);
        var a = new float[rank * inFeatures];
        var b = new float[outFeatures * rank];
        file.Read(infoA.Name, a);
        file.Read(infoB.Name, b);
        return string.Create(CultureInfo.InvariantCulture,
            $"{layer.PadRight(width)}  {$"[{inFeatures}, {rank}]",-12} {$"[{rank}, {outFeatures}]",-12} {Norm(a),10:G5} {Norm(b),10:G5} {scaling * NormOfProduct(a, b, rank, inFeatures, outFeatures),14:G5}");
    }

    private static double Norm(float[] values) => Math.Sqrt(values.Sum(value => (double)value * value));

    /// <summary>‖BA‖ for B [out, r] and A [r, in] without forming the product: its square is the trace of (BᵀB)(AAᵀ), two [r, r] matrices.</summary>
    private static double NormOfProduct(float[] a, float[] b, int rank, int inFeatures, int outFeatures)
    {
        var trace = 0.0;
        for (var i = 0; i < rank; i++)
        {
            for (var j = 0; j < rank; j++)
            {
                double ofB = 0, ofA = 0;
                for (var o = 0; o < outFeatures; o++)
                {
                    ofB += (double)b[o * rank + i] * b[o * rank + j];
                }
                for (var k = 0; k < inFeatures; k++)
                {
                    ofA += (double)a[j * inFeatures + k] * a[i * inFeatures + k];
                }
                trace += ofB * ofA;
            }
        }
        return Math.Sqrt(Math.Max(0, trace));
    }
}
