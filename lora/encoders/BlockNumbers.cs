using System.Globalization;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// Which of the encoder's layers are meant, as one writes it: their numbers from 0 ("4", "5"), or
/// how many of the last ones ("last:2").
/// </summary>
internal static class BlockNumbers
{
    private const string Last = "last:";

    /// <summary>
    /// Whether each name is a number, each once, or the only one counts the last layers.
    /// </summary>
    public static bool AreWritten(IReadOnlyList<string> names) => names is [var only] && CountOf(only) is not null
        || names.All(name => NumberOf(name) is not null) && names.Select(NumberOf).Distinct().Count() == names.Count;

    /// <summary>The numbers, rising.</summary>
    /// <param name="names">As <see cref="AreWritten"/> wants them; none: no choice.</param>
    /// <param name="layers">How many layers the encoder has.</param>
    /// <returns>Empty where there is no choice.</returns>
    /// <exception cref="InputException">The encoder has no such layer.</exception>
    public static IReadOnlyList<int> Of(IReadOnlyList<string> names, int layers)
    {
        var numbers = names is [var only] && CountOf(only) is { } count
            ? Enumerable.Range(Math.Max(layers - count, -1), count)
            : names.Select(name => NumberOf(name)!.Value);
        var outside = numbers.FirstOrDefault(number => number < 0 || number >= layers, defaultValue: int.MinValue);
        return outside == int.MinValue ? [.. numbers.Order()] : throw new InputException(
            $"Option 'Layers' is {string.Join(',', names)}; the model has {layers} layers, 0 to {layers - 1}. Name "
                + $"some of them, or the last ones as {Last}{Math.Max(layers / 3, 1)}.");
    }

    private static int? CountOf(string name) =>
        name.StartsWith(Last, StringComparison.Ordinal) && NumberOf(name[Last.Length..]) is >= 1 and var count
        ? count : null;

    private static int? NumberOf(string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
