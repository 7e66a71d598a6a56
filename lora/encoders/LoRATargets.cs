using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Encoders;

/// <summary>The tutorials' names for the layers of DistilBERT that can get LoRA.</summary>
internal static class LoRATargets
{
    /// <summary>The name for pre_classifier and classifier.</summary>
    public const string Head = "head";

    /// <summary>
    /// The name for the word embeddings, which is no linear layer of the encoder.
    /// </summary>
    public const string Embeddings = "embeddings";

    private static readonly (string Name, string[] Modules)[] Table =
    [
        ("query", ["q_lin"]),
        ("key", ["k_lin"]),
        ("value", ["v_lin"]),
        ("projection", ["out_lin"]),
        ("mlp", ["ffn.lin1", "ffn.lin2"]),
        (Embeddings, ["word_embeddings"]),
        (Head, ["pre_classifier", "classifier"]),
    ];

    /// <summary>Every name.</summary>
    public static IReadOnlyList<string> Names { get; } = [.. Table.Select(entry => entry.Name)];

    /// <summary>The names of the encoder's linear layers.</summary>
    public static IReadOnlyList<string> OfEncoder { get; } = [.. Names.Except([Embeddings, Head])];

    /// <summary>The modules of the head.</summary>
    public static IReadOnlyList<ModulePattern> HeadModules { get; } =
        [.. Table[^1].Modules.Select(ModulePattern.Named)];

    /// <summary>The modules that names stand for.</summary>
    /// <param name="names">Some of <see cref="Names"/>.</param>
    /// <param name="blocks">
    /// Numbers of the encoder's layers that are meant; null or none: all of them. The head and the
    /// word embeddings lie in none, and are meant in any case.
    /// </param>
    /// <exception cref="InputException">
    /// A name is unknown or comes twice, or there is none.
    /// </exception>
    public static IReadOnlyList<ModulePattern> Patterns(IReadOnlyList<string> names, IReadOnlyList<int>? blocks = null)
    {
        Check(names);
        return [.. Table.Where(entry => names.Contains(entry.Name)).SelectMany(entry => entry.Modules
            .Select(ModulePattern.Named).Select(module => blocks is { Count: > 0 } && OfEncoder.Contains(entry.Name)
                ? module.InBlocks(blocks, ["layer"]) : module))];
    }

    internal static void Check(IReadOnlyList<string> names)
    {
        if (names.Count == 0)
        {
            throw new InputException(
                $"Option 'targets' is empty: LoRA needs layers to adapt. Name some of {string.Join(", ", Names)}.");
        }
        if (names.FirstOrDefault(name => !Names.Contains(name)) is { } unknown)
        {
            throw new InputException($"Option 'targets' names '{unknown}'; the names are {string.Join(", ", Names)}.");
        }
        if (names.Distinct().Count() != names.Count)
        {
            throw new InputException(
                $"Option 'targets' names '{names.GroupBy(name => name).First(group => group.Count() > 1).Key}' twice.");
        }
    }
}
