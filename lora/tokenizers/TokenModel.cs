using LoraScratch.Engine;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>
/// Cuts a word into the tokens of a vocabulary, as a tokenizer.json names it under "model".
/// ToString says everything but the vocabulary that changes an id.
/// </summary>
internal abstract record TokenModel
{
    /// <summary>The ids of the tokens.</summary>
    public abstract IReadOnlyDictionary<string, int> Vocabulary { get; }

    /// <summary>The id of what is in no token, −1 where the model has none.</summary>
    public abstract int UnknownId { get; }

    /// <summary>Cuts a word.</summary>
    /// <param name="word">Not empty, without half surrogate pairs.</param>
    /// <param name="ids">Receives the ids.</param>
    public abstract void AddIds(ReadOnlySpan<char> word, List<int> ids);

    /// <summary>Reads a model.</summary>
    /// <exception cref="InputException">It is none that is supported.</exception>
    public static TokenModel Read(Setting setting)
    {
        if (setting.IsNothing)
        {
            throw setting.Wrong("an object with a type and a vocab");
        }
        var type = setting["type"];
        // older files leave the type out, and the other settings tell
        return (type.Value is null ? Guess(setting) : type.Text()) switch
        {
            "WordPiece" => WordPieceModel.Read(setting),
            "BPE" => BytePairModel.Read(setting),
            "Unigram" => UnigramModel.Read(setting),
            _ => throw type.Unsupported("WordPiece, BPE or Unigram"),
        };
    }

    /// <summary>The vocabulary of an object from tokens to ids.</summary>
    private protected static Dictionary<string, int> ReadVocabulary(Setting setting)
    {
        if (setting.IsNothing)
        {
            throw setting.Wrong("an object that gives every piece its id");
        }
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var (token, id) in setting.Entries())
        {
            vocabulary.Add(token, id.Number());
        }
        return vocabulary.Count > 0 ? vocabulary : throw setting.Wrong("an object with at least one piece");
    }

    private static string Guess(Setting setting) => !setting["merges"].IsNothing ? "BPE"
        : !setting["unk_id"].IsNothing ? "Unigram"
        : !setting["continuing_subword_prefix"].IsNothing ? "WordPiece" : "nothing";
}
