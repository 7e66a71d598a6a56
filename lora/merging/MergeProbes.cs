using LoraScratch.Engine;
using LoraScratch.Lora.Classification;

namespace LoraScratch.Lora.Merging;

/// <summary>Texts on which answers are compared; no labels are needed.</summary>
/// <param name="Texts">At least one.</param>
/// <param name="Description">What they are, in words: "32 random texts".</param>
internal sealed record MergeProbes(IReadOnlyList<TextInput> Texts, string Description)
{
    private const int Count = 32, Words = 24;

    /// <summary>
    /// Texts of words drawn from the model's own vocabulary, for want of better: they make no
    /// sense in any language, and reach the weights all the same.
    /// </summary>
    /// <param name="classifier">Whose vocabulary it is.</param>
    public static MergeProbes Random(TextClassifier classifier)
    {
        var tokenizer = classifier.Tokenizer;
        string[] words = [.. Enumerable.Range(0, tokenizer.VocabularySize).Select(tokenizer.TokenOf)
            .Where(token => token.Any(char.IsLetterOrDigit) && !token.StartsWith('[') && !token.StartsWith('<'))];
        var random = new RandomStream(seed: 1);
        string Text() =>
            string.Join(' ', Enumerable.Range(0, Words).Select(_ => words[random.NextBelow(words.Length)]));
        return new([.. Enumerable.Range(0, Count).Select(_ =>
            new TextInput(Text(), classifier.ReadsPairs ? Text() : null))], $"{Count} random texts");
    }
}
