using System.Globalization;
using System.Text.RegularExpressions;
using LoraScratch.Engine;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Training;

/// <summary>How much each class weighs in the loss of a training.</summary>
internal static partial class ClassWeights
{
    private const string Balanced = "balanced";

    /// <summary>"balanced", "spam=2.5,ham=1", or null where all weigh the same.</summary>
    public static string? Text(TrainingOptions options) => options.BalancedClasses ? Balanced
        : options.ClassWeights is { } weights ? string.Join(',', weights.Select(entry =>
            string.Create(CultureInfo.InvariantCulture, $"{entry.Key}={entry.Value}"))) : null;

    /// <summary>The options with what a text says.</summary>
    /// <param name="options">Without weights.</param>
    /// <param name="text">As <see cref="Text"/> gives it; a name may have commas in it.</param>
    /// <exception cref="InputException">It is neither.</exception>
    public static TrainingOptions Read(TrainingOptions options, string text)
    {
        if (text == Balanced)
        {
            return options with { BalancedClasses = true };
        }
        var weights = new Dictionary<string, double>();
        var read = 0;
        foreach (Match match in Entry().Matches(text))
        {
            if (!double.TryParse(match.Groups[2].Value, NumberStyles.Float, CultureInfo.InvariantCulture,
                out var weight) || !weights.TryAdd(match.Groups[1].Value.Trim(), weight))
            {
                break;
            }
            read = match.Index + match.Length;
        }
        return read == text.Length && weights.Count > 0
            ? options with { BalancedClasses = false, ClassWeights = weights }
            : throw new InputException($"Option 'ClassWeights' is '{text}'; expected {Balanced}, or weights by the "
                + "names of the classes, each once, such as spam=2.5,ham=1.");
    }

    /// <summary>The weights of a model's classes.</summary>
    /// <param name="options">What is asked for.</param>
    /// <param name="labels">The classes.</param>
    /// <param name="train">What is trained on, each with a class.</param>
    /// <returns>
    /// [classes]; null where all weigh the same. A class without an example weighs 1, and does not
    /// count among the classes of "balanced".
    /// </returns>
    /// <exception cref="InputException">
    /// A name is no class, a weight is not above 0, or any number of classes may hold for a text.
    /// </exception>
    public static float[]? Of(TrainingOptions options, IReadOnlyList<string> labels,
        IReadOnlyList<EncodedExample> train)
    {
        if (Text(options) is null)
        {
            return null;
        }
        if (train.Any(example => example.Classes is not null))
        {
            throw new InputException("Option 'ClassWeights' weighs the one class of each text, and here any number of "
                + "classes may hold for a text (multi-label). Leave it out.");
        }
        if (options.ClassWeights is not { } given)
        {
            var counts = new int[labels.Count];
            foreach (var example in train)
            {
                counts[example.Label]++;
            }
            var classes = counts.Count(count => count > 0);
            return [.. counts.Select(count => count == 0 ? 1 : (float)((double)train.Count / ((long)classes * count)))];
        }
        if (given.Keys.FirstOrDefault(name => !labels.Contains(name)) is { } unknown)
        {
            throw new InputException($"Option 'ClassWeights' names '{unknown}'; the classes are "
                + $"{LabelSet.Listed(labels)}.");
        }
        if (given.Keys.FirstOrDefault(name => !((float)given[name] is > 0 and < float.PositiveInfinity)) is { } wrong)
        {
            throw new InputException(string.Create(CultureInfo.InvariantCulture, $"Option 'ClassWeights' has "
                + $"{given[wrong]} for '{wrong}'; expected a number above 0 that a float holds."));
        }
        return [.. labels.Select(name => (float)given.GetValueOrDefault(name, 1))];
    }

    // the shortest name that a number follows: "a,b=2" is of the class 'a,b'
    [GeneratedRegex(@"\G(.+?)=([^,=]*)(?:,(?!$)|$)", RegexOptions.Singleline)]
    private static partial Regex Entry();
}
