using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Families;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// The tutorials' names for the layers of an encoder that can get LoRA; which modules they mean is
/// the family's (<see cref="EncoderFamily.Targets"/>).
/// </summary>
internal static class LoRATargets
{
    /// <summary>The name for both layers of the classification head.</summary>
    public const string Head = "head";

    /// <summary>
    /// The name for the word embeddings, which is no linear layer of the encoder.
    /// </summary>
    public const string Embeddings = "embeddings";

    /// <summary>The name for the feed-forward layers.</summary>
    public const string FeedForward = "mlp";

    /// <summary>Every name.</summary>
    public static IReadOnlyList<string> Names { get; } =
        ["query", "key", "value", "projection", FeedForward, Embeddings, Head];

    /// <summary>The names of the encoder's linear layers.</summary>
    public static IReadOnlyList<string> OfEncoder { get; } = [.. Names.Except([Embeddings, Head])];

    /// <summary>What the tutorials adapt, and what is adapted where nothing else is said.</summary>
    public static IReadOnlyList<string> Default { get; } = ["query", "value"];

    /// <summary>
    /// What is adapted of the built-in base model where nothing else is said: it is small, and
    /// keeps much of what it knows in its word embeddings.
    /// </summary>
    public static IReadOnlyList<string> OfBuiltIn { get; } = [Embeddings, .. OfEncoder];

    /// <summary>What is adapted of a model where nothing else is said.</summary>
    /// <param name="source">Where the model is from; null: from no files.</param>
    public static IReadOnlyList<string> DefaultOf(ModelSource? source) =>
        source == ModelSource.BuiltIn ? OfBuiltIn : Default;

    /// <summary>The modules of an architecture that names stand for.</summary>
    /// <param name="family">The architecture.</param>
    /// <param name="names">Some of <see cref="Names"/>.</param>
    /// <param name="blocks">
    /// Numbers of the encoder's layers that are meant; null or none: all of them. The head and the
    /// word embeddings lie in none, and are meant in any case.
    /// </param>
    /// <exception cref="InputException">
    /// A name is unknown or comes twice, or there is none.
    /// </exception>
    public static IReadOnlyList<ModulePattern> Patterns(EncoderFamily family, IReadOnlyList<string> names,
        IReadOnlyList<int>? blocks = null)
    {
        Check(names);
        return [.. Names.Where(names.Contains).SelectMany(name => family.Modules(name)
            .Select(module => blocks is { Count: > 0 } && OfEncoder.Contains(name)
                ? module.InBlocks(blocks, ["layer"]) : module))];
    }

    internal static void Check(IReadOnlyList<string> names)
    {
        if (names.Count == 0)
        {
            throw new InputException(
                $"Option 'Targets' is empty: LoRA needs layers to adapt. Name some of {string.Join(", ", Names)}.");
        }
        if (names.FirstOrDefault(name => !Names.Contains(name)) is { } unknown)
        {
            throw new InputException($"Option 'Targets' names '{unknown}'; the names are {string.Join(", ", Names)}.");
        }
        if (names.Distinct().Count() != names.Count)
        {
            throw new InputException(
                $"Option 'Targets' names '{names.GroupBy(name => name).First(group => group.Count() > 1).Key}' twice.");
        }
    }
}
