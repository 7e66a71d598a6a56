using System.Globalization;
using LoraScratch.Cli.Tables;
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
        // nothing is printed of an adapter that has a fault
        var rows = layers.Select(layer => Row(file, layer.A, layer.Name, config)).ToArray();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
            $"rank {config.Rank}, lora_alpha {config.Alpha}, scaling {config.Settings.Scaling:G5} = "
                + $"{(config.UseRsLora ? "alpha/√rank" : "alpha/rank")}, dropout {config.Dropout}, task "
                + $"{config.TaskType ?? "none"}"));
        Console.WriteLine($"base {config.BaseModel ?? "not named"}");
        if (rows.Length > 0)
        {
            LayerTable.Print(Console.Out, ["A", "B", "scaling", "|A|", "|B|", "|scaling·AB|"], rows);
        }
        foreach (var tensor in others)
        {
            Console.WriteLine($"{Short(tensor.Name)}  [{string.Join(", ", tensor.Shape)}]");
        }
        Console.WriteLine($"{layers.Length} adapted layers, {others.Length} other tensors, "
            + $"{Text.Count(file.Tensors.Values.Sum(tensor => tensor.ElementCount))} parameters, "
            + $"{Text.Bytes(file.Tensors.Values.Sum(tensor => tensor.ByteLength))}");
    }

    /// <summary>A path in the model, without what PEFT puts before it.</summary>
    private static string Short(string name) =>
        name.StartsWith(PeftAdapter.Prefix, StringComparison.Ordinal) ? name[PeftAdapter.Prefix.Length..] : name;

    private static (string Path, IReadOnlyList<string> Cells) Row(
        SafeTensorsFile file, TensorInfo infoA, LowRankName layer, PeftConfig config)
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
        string Number(double value) => value.ToString("G5", CultureInfo.InvariantCulture);
        return (path, [$"[{inFeatures}, {rank}]", $"[{rank}, {outFeatures}]", Number(scaling), Number(Norm(a)),
            Number(Norm(b)),
            Number(scaling * NormOfProduct(a, b, (int)rank, (int)inFeatures, (int)outFeatures))]);
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
