using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Families;

/// <summary>
/// What the encoders of one architecture are called and how they differ from the others': the keys
/// of config.json, the paths of their modules, which are the keys of their checkpoints, and their
/// head. The encoder's code is the same for all. A family is described in a file of its own and
/// listed in <see cref="EncoderFamilies.All"/>.
/// </summary>
internal sealed record EncoderFamily
{
    /// <summary>
    /// The layer between embeddings and blocks where the two differ in width, from the encoder on.
    /// </summary>
    public const string EmbeddingProjection = "embeddings_project";

    /// <summary>model_type in config.json.</summary>
    public required string ModelType { get; init; }

    /// <summary>What messages call it.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// How the names of transformers' classes begin, which stand under architectures.
    /// </summary>
    public required string Architecture { get; init; }

    /// <summary>The encoder's name within a model with a head.</summary>
    public required string Trunk { get; init; }

    /// <summary>The path of the list of blocks, from the encoder on.</summary>
    public required string Blocks { get; init; }

    /// <summary>The modules inside a block.</summary>
    public required BlockPaths Block { get; init; }

    /// <summary>The head that classifies texts.</summary>
    public required HeadDescription Head { get; init; }

    /// <summary>The head that guesses masked tokens; null where none is supported.</summary>
    public MaskedHeadPaths? MaskedHead { get; init; }

    /// <summary>Why there is no such head, as the end of a sentence.</summary>
    public string? WhyNotMasked { get; init; }

    /// <summary>The names of sizes and rates in config.json.</summary>
    public required ConfigKeys Keys { get; init; }

    /// <summary>What transformers takes for a key that is missing.</summary>
    public required ConfigDefaults Defaults { get; init; }

    /// <summary>
    /// Keys of config.json that say nothing about a classifier's arithmetic: written back, not
    /// worth a notice.
    /// </summary>
    public IReadOnlyList<string> UnusedKeys { get; init; } = [];

    /// <summary>Keys that are written always, with the one value that holds here.</summary>
    public IReadOnlyDictionary<string, bool> FixedKeys { get; init; } = new Dictionary<string, bool>();

    /// <summary>
    /// Whether a text's positions are counted from the padding token's id + 1 on, so that the table
    /// has as many rows more than a text may have tokens.
    /// </summary>
    public bool CountsPositionsFromPadding { get; init; }

    /// <summary>
    /// Whether dropout follows the attention's output layer too, and not the feed-forward layers
    /// alone.
    /// </summary>
    public bool DropsAttentionOutput { get; init; } = true;

    /// <summary>
    /// How the names of tensors begin that belong to heads of other tasks, which a classifier has
    /// no use for.
    /// </summary>
    public IReadOnlyList<string> OtherHeads { get; init; } = [];

    /// <summary>
    /// The tutorials' names for layers, each with the ends of their modules' paths.
    /// </summary>
    public required IReadOnlyList<(string Name, string[] Modules)> Targets { get; init; }

    /// <summary>transformers' class of the model with a classification head.</summary>
    public string ClassifierArchitecture => Architecture + "ForSequenceClassification";

    /// <summary>transformers' class of the encoder without a head.</summary>
    public string EncoderArchitecture => Architecture + "Model";

    /// <summary>transformers' class of the model that guesses masked tokens.</summary>
    public string MaskedLanguageArchitecture => Architecture + "ForMaskedLM";

    /// <summary>The modules that one of the tutorials' names means.</summary>
    /// <param name="name">A name of <see cref="Targets"/>.</param>
    public IEnumerable<ModulePattern> Modules(string name) =>
        Targets.First(target => target.Name == name).Modules.Select(Exactly);

    /// <summary>
    /// The modules whose path ends with this. Where it is a module's whole path within a block, it
    /// means no other of the block: output.dense is none of attention.output.dense.
    /// </summary>
    private ModulePattern Exactly(string module)
    {
        var others = Block.Linear.Contains(module)
            ? Block.Linear.Where(path => path.EndsWith($".{module}", StringComparison.Ordinal)) : [];
        return ModulePattern.Named(module).Except([.. others.Select(ModulePattern.Named)]);
    }
}
