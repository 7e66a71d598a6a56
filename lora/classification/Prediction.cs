using System.Collections;
using System.Diagnostics.CodeAnalysis;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Classification;

/// <summary>
/// What a classifier is asked about: a text or a pair of texts, and perhaps by which adapter. A
/// string is one, and so is ("a text", "its pair").
/// </summary>
/// <param name="Text">The text, or the first of a pair.</param>
/// <param name="TextPair">The second text of a pair; null where there is none.</param>
/// <param name="Adapter">
/// The name of the adapter that answers; null: as <see cref="TextClassifier.Load"/> has it.
/// </param>
public readonly record struct TextInput(string Text, string? TextPair = null, string? Adapter = null)
{
    /// <summary>A text alone.</summary>
    /// <param name="text">The text.</param>
    public static implicit operator TextInput(string text) => new(text);

    /// <summary>A pair of texts.</summary>
    /// <param name="pair">The two.</param>
    public static implicit operator TextInput((string Text, string? TextPair) pair) => new(pair.Text, pair.TextPair);
}

/// <summary>What the model says about a text.</summary>
/// <param name="LabelId">The class of the largest logit.</param>
/// <param name="Label">Its name.</param>
/// <param name="Logits">One per class.</param>
/// <param name="Probabilities">
/// By the names of the classes, in their order: the softmax of the logits; where any number of
/// classes may hold, σ of each.
/// </param>
/// <param name="IsTruncated">Whether the text was longer than the room for it.</param>
public sealed record Prediction(int LabelId, string Label, IReadOnlyList<float> Logits,
    IReadOnlyDictionary<string, double> Probabilities, bool IsTruncated = false)
{
    /// <summary>The probability of <see cref="Label"/>.</summary>
    public double Probability => Probabilities[Label];

    /// <summary>Whether any number of classes may hold.</summary>
    public bool IsMultiLabel { get; init; }

    /// <summary>
    /// Whether the answer is "unsure": no class has a probability of at least the threshold, not
    /// even <see cref="Label"/>, the most probable one. Where any number of classes may hold,
    /// <see cref="Labels"/> is empty then.
    /// </summary>
    /// <param name="threshold">
    /// A probability from 0 to 1; evaluation tells what each costs in answers, and brings in
    /// accuracy.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException">It is no probability.</exception>
    public bool IsUnsure(double threshold) => threshold is >= 0 and <= 1 ? Probability < threshold
        : throw new ArgumentOutOfRangeException(nameof(threshold), threshold, "A probability from 0 to 1 is expected.");

    /// <summary>
    /// The names of the classes that hold: the one of the largest logit or, where any number may,
    /// those of at least a probability, perhaps none.
    /// </summary>
    /// <param name="threshold">That probability.</param>
    public IReadOnlyList<string> Labels(double threshold = 0.5) => !IsMultiLabel ? [Label]
        : [.. Probabilities.Where(entry => entry.Value >= threshold).Select(entry => entry.Key)];
}

/// <summary>
/// The probabilities of the classes, found by name and enumerated in their order.
/// </summary>
/// <param name="labels">The names, which differ.</param>
/// <param name="values">One for each.</param>
internal sealed class ClassProbabilities(IReadOnlyList<string> labels, double[] values)
    : IReadOnlyDictionary<string, double>
{
    public int Count => values.Length;

    public IEnumerable<string> Keys => labels;

    public IEnumerable<double> Values => values;

    /// <exception cref="KeyNotFoundException">There is no such class.</exception>
    public double this[string key] => TryGetValue(key, out var value) ? value : throw new KeyNotFoundException(
        $"There is no class '{key}'; the classes are {LabelSet.Listed(labels)}.");

    public bool ContainsKey(string key) => labels.Contains(key);

    public bool TryGetValue(string key, [MaybeNullWhen(false)] out double value)
    {
        for (var label = 0; label < values.Length; label++)
        {
            if (labels[label] == key)
            {
                value = values[label];
                return true;
            }
        }
        value = 0;
        return false;
    }

    public IEnumerator<KeyValuePair<string, double>> GetEnumerator() =>
        labels.Zip(values, KeyValuePair.Create).GetEnumerator();

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
}
