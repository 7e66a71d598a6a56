using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Adapters;

namespace LoraScratch.Cli;

/// <summary>The layers of an adapter with rank, scaling and norms.</summary>
internal static class AdapterListing
{
    public static void Print(string folder)
    {
        var config = PeftConfig.Read(Path.Combine(folder, PeftAdapter.ConfigName));
        ModelOptions.Notices(folder, config.Warnings);
        using var file = PeftFolder.OpenWeights(folder);
        var layers = file.Tensors.Values.Select(tensor => (A: tensor, Name: AdapterConventions.Read(tensor.Name)))
            .Where(entry => entry.Name is { Convention: AdapterConvention.Peft, IsA: true })
            .Select(entry => (entry.A, Name: entry.Name!.Value)).ToArray();
        var others = file.Tensors.Values
            .Where(tensor => !layers.Any(layer => tensor == layer.A || tensor.Name == layer.Name.NameOfB)).ToArray();
        var width = layers.Select(layer => layer.Name.Path).Concat(others.Select(tensor => tensor.Name))
            .Select(name => Short(name).Length).DefaultIfEmpty(5).Max();
        // nothing is printed of an adapter that has a fault
        var lines = layers.Select(layer => Line(file, layer.A, layer.Name, width, config)).ToArray();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"rank {config.Rank}, lora_alpha {config.Alpha}, scaling {config.Settings.Scaling:G5} = "
                + $"{(config.UseRsLora ? "alpha/√rank" : "alpha/rank")}, dropout {config.Dropout}, task "
                + $"{config.TaskType ?? "none"}, base {config.BaseModel ?? "not named"}"));
        Console.WriteLine(
            $"{"layer".PadRight(width)}  {"A",-12} {"B",-12} {"scaling",8} {"|A|",10} {"|B|",10} {"|scaling·AB|",14}");
        foreach (var line in lines)
        {
            Console.WriteLine(line);
        }
        foreach (var tensor in others)
        {
            Console.WriteLine($"{Short(tensor.Name).PadRight(width)}  [{string.Join(", ", tensor.Shape)}]");
        }
        Console.WriteLine($"{layers.Length} adapted layers, {others.Length} other tensors, "
            + $"{Text.Count(file.Tensors.Values.Sum(tensor => tensor.ElementCount))} parameters, "
            + $"{Text.Bytes(file.Tensors.Values.Sum(tensor => tensor.ByteLength))}");
    }

    /// <summary>A path in the model, without what PEFT puts before it.</summary>
    private static string Short(string name) =>
        name.StartsWith(PeftAdapter.Prefix, StringComparison.Ordinal) ? name[PeftAdapter.Prefix.Length..] : name;

    private static string Line(SafeTensorsFile file, TensorInfo infoA, LowRankName layer, int width, PeftConfig config)
    {
        var path = Short(layer.Path);
        if (!file.Tensors.TryGetValue(layer.NameOfB, out var infoB))
        {
            throw new InputException(
                $"{file.Path}: tensor '{infoA.Name}' has no partner '{layer.NameOfB}'; the adapter is incomplete.");
        }
        if (infoA.Shape is not [var rank, var inFeatures] || infoB.Shape is not [var outFeatures, var rankOfB]
            || rank != rankOfB
            || infoA.ElementCount is 0 || infoB.ElementCount is 0 || infoA.ElementCount > Array.MaxLength
            || infoB.ElementCount > Array.MaxLength)
        {
            throw new InputException($"{file.Path}: {infoA} and {infoB} are no pair: [r, in] and [out, r] with the "
                + "same r, none of them 0, are expected.");
        }
        var scaling = (config.Settings with { Rank = (int)rank, Alpha = config.AlphaOf(path) }).Scaling;
        var a = new float[infoA.ElementCount];
        var b = new float[infoB.ElementCount];
        file.Read(infoA.Name, a);
        file.Read(infoB.Name, b);
        return string.Create(CultureInfo.InvariantCulture,
            $"{path.PadRight(width)}  {$"[{inFeatures}, {rank}]",-12} {$"[{rank}, {outFeatures}]",-12} "
                + $"{scaling,8:G5} {Norm(a),10:G5} {Norm(b),10:G5} "
                + $"{scaling * NormOfProduct(a, b, (int)rank, (int)inFeatures, (int)outFeatures),14:G5}");
    }

    private static double Norm(float[] values) => Math.Sqrt(values.Sum(value => (double)value * value));

    /// <summary>
    /// ‖BA‖ for B [out, r] and A [r, in] without forming the product: its square is the trace of
    /// (BᵀB)(AAᵀ), two [r, r] matrices.
    /// </summary>
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
