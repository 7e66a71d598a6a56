using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Text;

/// <summary>
/// The third-party files that some tests need and that are not part of the repository.
/// </summary>
internal static class RealData
{
    private static readonly Lazy<WordPieceTokenizer> LazyTokenizer =
        new(() => WordPieceTokenizer.Load(Path("bert-base-uncased/vocab.txt")));

    /// <summary>The tokenizer with the vocabulary of bert-base-uncased.</summary>
    public static WordPieceTokenizer Tokenizer => LazyTokenizer.Value;

    /// <summary>
    /// A file below the folder that LORASCRATCH_DATA names; without it the test is ignored.
    /// </summary>
    public static string Path(string relative)
    {
        var root = Environment.GetEnvironmentVariable("LORASCRATCH_DATA");
        if (string.IsNullOrEmpty(root))
        {
            Assert.Ignore("needs third-party data: set LORASCRATCH_DATA to the folder that holds " + relative);
        }
        var path = System.IO.Path.Combine(root!, relative);
        if (!File.Exists(path))
        {
            Assert.Ignore("LORASCRATCH_DATA is set, but has no " + relative);
        }
        return path;
    }
}
