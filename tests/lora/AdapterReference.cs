using System.Text.Json;
using LoraScratch.Lora;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// A case of tests/reference/adapter.py: W [out, in], A [in, r] and B [r, out] by formula, and what
/// PyTorch makes of them.
/// </summary>
internal sealed record AdapterReference(JsonElement Numbers)
{
    public const float Scaling = 2;

    public static IEnumerable<AdapterReference> All =>
        ReferenceNumbers.Load("adapter.json").EnumerateArray().Select(each => new AdapterReference(each));

    public int Outputs => Numbers.GetProperty("out").GetInt32();

    public int Inputs => Numbers.GetProperty("in").GetInt32();

    public int Rank => Numbers.GetProperty("rank").GetInt32();

    public float[] W => Matrix(Outputs, Inputs, 1, Number("weight_scale"));

    public float[] A => Matrix(Inputs, Rank, 2, Number("update_scale"));

    public float[] B => Matrix(Rank, Outputs, 3, 0.125);

    /// <summary>Gives a layer this A and this B.</summary>
    public T Adapt<T>(T layer) where T : LayerWithLoRA
    {
        layer.Lora.A.Set(A);
        layer.Lora.B.Set(B);
        return layer;
    }

    /// <summary>What a layer needs for this rank and this scaling.</summary>
    public LoRASettings Settings => new(Rank, Scaling * Rank);

    public double Number(string name) => Numbers.GetProperty(name).GetDouble();

    public double[] List(string name) => ReferenceNumbers.Numbers(Numbers.GetProperty(name));

    public override string ToString() => $"[{Outputs}, {Inputs}], rank {Rank}";

    private static float[] Matrix(int rows, int columns, int seed, double scale) =>
        [.. Enumerable.Range(0, rows).SelectMany(i => Enumerable.Range(0, columns).Select(j =>
            (float)(((7 * i * i + 3 * i * j + 5 * j + seed * (i + 2 * j)) % 101 - 50) * scale)))];
}
