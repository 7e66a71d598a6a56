namespace LoraScratch.Embeddings;

/// <summary>How the vector of a text is made of those of its tokens.</summary>
public enum EmbeddingPooling
{
    /// <summary>
    /// The mean of all tokens, [CLS] and [SEP] among them, as sentence-transformers has it.
    /// </summary>
    Mean,

    /// <summary>The vector of the first token, [CLS].</summary>
    FirstToken,
}
