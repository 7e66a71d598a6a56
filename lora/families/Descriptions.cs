namespace LoraScratch.Lora.Families;

/// <summary>The modules inside a block, by their paths from the block on.</summary>
/// <param name="Query">[hidden, hidden]</param>
/// <param name="Key">[hidden, hidden]</param>
/// <param name="Value">[hidden, hidden]</param>
/// <param name="Projection">The attention's output layer [hidden, hidden].</param>
/// <param name="AttentionNorm">LayerNorm after the attention.</param>
/// <param name="Expansion">The first feed-forward layer [inner, hidden].</param>
/// <param name="Contraction">The second one [hidden, inner].</param>
/// <param name="OutputNorm">LayerNorm after the feed-forward layers.</param>
internal sealed record BlockPaths(string Query, string Key, string Value, string Projection, string AttentionNorm,
    string Expansion, string Contraction, string OutputNorm)
{
    /// <summary>
    /// BERT's, which the architectures have that took its code over (Devlin et al. 2019, arXiv
    /// 1810.04805).
    /// </summary>
    public static BlockPaths Bert { get; } = new("attention.self.query", "attention.self.key", "attention.self.value",
        "attention.output.dense", "attention.output.LayerNorm", "intermediate.dense", "output.dense",
        "output.LayerNorm");

    /// <summary>The linear layers.</summary>
    public IReadOnlyList<string> Linear => [Query, Key, Value, Projection, Expansion, Contraction];
}

/// <summary>
/// A head that classifies texts, on the vector of the first token: output(dropout(activation(
/// dense(x)))).
/// </summary>
/// <param name="Dense">Path of the first layer [hidden, hidden].</param>
/// <param name="Output">Path of the second layer [classes, hidden].</param>
/// <param name="Activation">The function between them: relu, tanh or gelu.</param>
internal sealed record HeadDescription(string Dense, string Output, string Activation)
{
    /// <summary>Whether dropout comes before the first layer too.</summary>
    public bool DropsInput { get; init; }

    /// <summary>
    /// Whether the first layer is a part of the encoder (the pooler), which comes with a pretrained
    /// one and stays as it is when a head is trained beside LoRA.
    /// </summary>
    public bool HasPooler { get; init; }

    /// <summary>
    /// The modules, as PEFT names them, that are trained beside an adapter and saved with it.
    /// </summary>
    public required IReadOnlyList<string> Modules { get; init; }

    /// <summary>
    /// The paths of the parameters, in parts: a checkpoint may lack the first part, and then the
    /// second one as well.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<string>> Parts =>
        HasPooler ? [Parameters(Output), Parameters(Dense)] : [[.. Parameters(Dense), .. Parameters(Output)]];

    /// <summary>
    /// The paths of the parameters that no encoder has, all of which belong to an adapter that was
    /// trained with a head.
    /// </summary>
    public IReadOnlyList<string> OwnParameters => Parts[0];

    /// <summary>The paths of all its parameters.</summary>
    public IReadOnlyList<string> AllParameters => [.. Parameters(Dense), .. Parameters(Output)];

    private static string[] Parameters(string layer) => [$"{layer}.weight", $"{layer}.bias"];
}

/// <summary>
/// A head that guesses masked tokens, by its paths: norm(activation(transform(x))), whose products
/// with the word embeddings are the logits.
/// </summary>
/// <param name="Transform">A linear layer [hidden, hidden].</param>
/// <param name="Norm">A LayerNorm.</param>
/// <param name="Output">The module that has the bias of the logits [vocabulary].</param>
internal sealed record MaskedHeadPaths(string Transform, string Norm, string Output)
{
    /// <summary>
    /// Paths of the output layer's tensors, which files may have a second time: the weight is the
    /// table of the word embeddings.
    /// </summary>
    public required IReadOnlyList<string> Repeated { get; init; }

    /// <summary>The paths of the parameters.</summary>
    public IReadOnlyList<string> Parameters =>
        [$"{Transform}.weight", $"{Transform}.bias", $"{Norm}.weight", $"{Norm}.bias", $"{Output}.bias"];
}

/// <summary>What config.json calls the sizes and rates.</summary>
internal sealed record ConfigKeys
{
    /// <summary>BERT's names.</summary>
    public static ConfigKeys Bert { get; } = new()
    {
        Hidden = "hidden_size",
        FeedForward = "intermediate_size",
        Layers = "num_hidden_layers",
        Heads = "num_attention_heads",
        Activation = "hidden_act",
        Dropout = "hidden_dropout_prob",
        AttentionDropout = "attention_probs_dropout_prob",
        ClassifierDropout = "classifier_dropout",
        Epsilon = "layer_norm_eps",
        TokenTypes = "type_vocab_size",
    };

    /// <summary>Width of a token's vector.</summary>
    public required string Hidden { get; init; }

    /// <summary>Width of the feed-forward layers' inner vector.</summary>
    public required string FeedForward { get; init; }

    /// <summary>Number of blocks.</summary>
    public required string Layers { get; init; }

    /// <summary>Number of attention heads.</summary>
    public required string Heads { get; init; }

    /// <summary>The function between the feed-forward layers.</summary>
    public required string Activation { get; init; }

    /// <summary>Dropout on embeddings and after layers.</summary>
    public required string Dropout { get; init; }

    /// <summary>Dropout on the attention probabilities.</summary>
    public required string AttentionDropout { get; init; }

    /// <summary>Dropout in the classification head.</summary>
    public required string ClassifierDropout { get; init; }

    /// <summary>LayerNorm's ε; null where it is fixed.</summary>
    public string? Epsilon { get; init; }

    /// <summary>Rows of the table of token types; null where there is none.</summary>
    public string? TokenTypes { get; init; }

    /// <summary>Width of the embeddings; null where it is the encoder's.</summary>
    public string? EmbeddingWidth { get; init; }

    /// <summary>
    /// Whether the table of positions is one of sines and cosines that training leaves alone; null
    /// where it never is.
    /// </summary>
    public string? SinusoidalPositions { get; init; }
}

/// <summary>The sizes that a config.json need not name.</summary>
/// <param name="VocabularySize">vocab_size</param>
/// <param name="Hidden">Width of a token's vector.</param>
/// <param name="FeedForward">Width of the feed-forward layers' inner vector.</param>
/// <param name="Layers">Number of blocks.</param>
/// <param name="Heads">Number of attention heads.</param>
internal sealed record ConfigDefaults(int VocabularySize, int Hidden = 768, int FeedForward = 3072, int Layers = 12,
    int Heads = 12)
{
    /// <summary>pad_token_id</summary>
    public int PadTokenId { get; init; }

    /// <summary>Rows of the table of token types; 0: there is none.</summary>
    public int TokenTypes { get; init; } = 2;

    /// <summary>Width of the embeddings; null: the encoder's.</summary>
    public int? EmbeddingWidth { get; init; }

    /// <summary>Dropout in the classification head; null: the encoder's.</summary>
    public float? ClassifierDropout { get; init; }
}
