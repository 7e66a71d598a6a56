using System.Text.Json;
using LoraScratch.Engine;

namespace LoraScratch.Tests.Lora;

/// <summary>The numbers of tests/reference, and how near ours must come.</summary>
internal static class ReferenceNumbers
{
    /// <summary>A file of that folder.</summary>
    public static JsonElement Load(string name)
    {
        using var stream = typeof(ReferenceNumbers).Assembly.GetManifestResourceStream(name)!;
        using var json = JsonDocument.Parse(stream);
        return json.RootElement.Clone();
    }

    public static double[] Numbers(JsonElement list) =>
        [.. list.EnumerateArray().Select(number => number.GetDouble())];

    public static double[] Doubles(Tensor tensor) => Array.ConvertAll(tensor.ToArray(), x => (double)x);

    /// <summary>
    /// Within 1e-4 of the tensor's largest gradient; where all are 0 (a key's bias moves every
    /// score of a row alike), within 1e-6.
    /// </summary>
    public static void AssertClose(float[] got, JsonElement expected, string what)
    {
        var numbers = Numbers(expected);
        var bound = Math.Max(1e-6, 1e-4 * numbers.Max(Math.Abs));
        Assert.That(Array.ConvertAll(got, x => (double)x), Is.EqualTo(numbers).Within(bound), what);
    }
}
