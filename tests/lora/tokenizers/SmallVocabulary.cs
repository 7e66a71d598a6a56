using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Text;

/// <summary>
/// A vocabulary of some two hundred pieces in Hugging Face's format, and other files kept beside
/// the tests.
/// </summary>
internal static class SmallVocabulary
{
    private static readonly Lazy<WordPieceTokenizer> LazyTokenizer = new(() =>
    {
        using var folder = new TemporaryFolder();
        return WordPieceTokenizer.Load(folder.Write("tokenizer.json", Resource("small-tokenizer.json")));
    });

    public static WordPieceTokenizer Tokenizer => LazyTokenizer.Value;

    public static string Resource(string name)
    {
        using var reader = new StreamReader(typeof(SmallVocabulary).Assembly.GetManifestResourceStream(name)!);
        return reader.ReadToEnd();
    }
}
