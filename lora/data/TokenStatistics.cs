using System.Text;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Data;

/// <summary>A character that a tokenizer does not know.</summary>
/// <param name="Character">The character.</param>
/// <param name="Examples">In how many examples it stands.</param>
internal readonly record struct UnknownCharacter(Rune Character, int Examples);

/// <summary>
/// What a tokenizer makes of texts: how long they are, what of them it does not know, and how often
/// it cuts a word. A vocabulary has the frequent words of the texts that it was learned from whole;
/// where it cuts most words, the texts are of another language, or full of other terms. That is no
/// detection of a language, but what a model has of it (fertility and proportion of continued words
/// in Rust et al., "How good is your tokenizer?", ACL 2021).
/// </summary>
internal sealed record TokenStatistics
{
    private const int ChunkSize = 256, FewestWords = 3, MaxUnknownCharacters = 10;

    private readonly int[] lengths;

    private TokenStatistics(int[] lengths) => this.lengths = lengths;

    /// <summary>Tokens of all examples, those that frame the texts included.</summary>
    public long Tokens { get; private init; }

    /// <summary>Tokens that stand for what the vocabulary lacks.</summary>
    public long UnknownTokens { get; private init; }

    /// <summary>Examples with such a token.</summary>
    public int WithUnknown { get; private init; }

    /// <summary>
    /// The characters that the tokenizer does not know, the most frequent ones, at most ten.
    /// </summary>
    public required IReadOnlyList<UnknownCharacter> UnknownCharacters { get; init; }

    /// <summary>
    /// Words: letters that follow each other, without a digit. Scripts without spaces have none.
    /// </summary>
    public long Words { get; private init; }

    /// <summary>Words that are cut into several tokens, or unknown.</summary>
    public long CutWords { get; private init; }

    /// <summary>
    /// Fragmented examples: of at least three words half or more are cut, or half of the tokens are
    /// unknown. Of 20 German support requests the built-in base model's tokenizer fragments all, of
    /// 20 English ones one, of 25,000 film reviews none.
    /// </summary>
    public int Fragmented { get; private init; }

    /// <summary>Tokens of the longest example.</summary>
    public int Longest => lengths[^1];

    /// <summary>Share of the words that are cut or unknown.</summary>
    public double CutWordShare => (double)CutWords / Math.Max(1, Words);

    /// <summary>Share of the tokens that are unknown.</summary>
    public double UnknownShare => (double)UnknownTokens / Math.Max(1, Tokens);

    /// <summary>
    /// The length in tokens, without a limit, that a share of the examples does not exceed.
    /// </summary>
    /// <param name="share">Such as 0.5 for the median.</param>
    public int Length(double share) => lengths[(int)Math.Ceiling(share * lengths.Length) - 1];

    /// <summary>How many examples are longer than a limit.</summary>
    public int LongerThan(int tokens) => lengths.Count(length => length > tokens);

    /// <summary>Measures examples, on all cores; their number changes nothing.</summary>
    /// <param name="examples">At least one.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    public static TokenStatistics Of(IReadOnlyList<TextExample> examples, Tokenizer tokenizer)
    {
        var lengths = new int[examples.Count];
        var sum = new Counter(tokenizer);
        var gate = new Lock();
        Parallel.For(0, (examples.Count + ChunkSize - 1) / ChunkSize, () => new Counter(tokenizer), (chunk, _, own) =>
        {
            var end = Math.Min(examples.Count, (chunk + 1) * ChunkSize);
            for (var i = chunk * ChunkSize; i < end; i++)
            {
                lengths[i] = own.Add(examples[i]);
            }
            return own;
        }, own =>
        {
            lock (gate)
            {
                sum.Add(own);
            }
        });
        Array.Sort(lengths);
        return new TokenStatistics(lengths)
        {
            Tokens = lengths.Sum(length => (long)length),
            UnknownTokens = sum.UnknownTokens,
            WithUnknown = sum.WithUnknown,
            UnknownCharacters = [.. sum.Suspects.Where(entry => !IsKnown(tokenizer, entry.Key))
                .OrderByDescending(entry => entry.Value).ThenBy(entry => entry.Key).Take(MaxUnknownCharacters)
                .Select(entry => new UnknownCharacter(entry.Key, entry.Value))],
            Words = sum.Words,
            CutWords = sum.CutWords,
            Fragmented = sum.Fragmented,
        };
    }

    private static bool IsKnown(Tokenizer tokenizer, Rune character) =>
        !tokenizer.EncodeIds(character.ToString(), second: null, int.MaxValue).Ids.Contains(tokenizer.UnknownId);

    /// <summary>Counts on one thread.</summary>
    private sealed class Counter
    {
        private readonly Tokenizer tokenizer;
        private readonly int frame;
        private readonly Dictionary<string, bool> isWhole = new(StringComparer.Ordinal);
        private readonly Dictionary<string, bool>.AlternateLookup<ReadOnlySpan<char>> isWholeBySpan;

        public Counter(Tokenizer tokenizer)
        {
            (this.tokenizer, frame) = (tokenizer, tokenizer.EncodeIds("", second: null, int.MaxValue).Ids.Length);
            isWholeBySpan = isWhole.GetAlternateLookup<ReadOnlySpan<char>>();
        }

        public long UnknownTokens { get; private set; }

        public int WithUnknown { get; private set; }

        public long Words { get; private set; }

        public long CutWords { get; private set; }

        public int Fragmented { get; private set; }

        /// <summary>
        /// The characters of examples with an unknown token: in how many of these they stand.
        /// </summary>
        public Dictionary<Rune, int> Suspects { get; } = [];

        /// <returns>The tokens of the example.</returns>
        public int Add(TextExample example)
        {
            var ids = tokenizer.EncodeIds(example.Text, example.TextPair, int.MaxValue).Ids;
            var unknown = tokenizer.UnknownId < 0 ? 0 : ids.AsSpan().Count(tokenizer.UnknownId);
            if (unknown > 0)
            {
                (UnknownTokens, WithUnknown) = (UnknownTokens + unknown, WithUnknown + 1);
                foreach (var character in $"{example.Text} {example.TextPair}".EnumerateRunes().ToHashSet())
                {
                    Suspects[character] = Suspects.GetValueOrDefault(character) + 1;
                }
            }
            var (words, cut) = (0, 0);
            CountWords(example.Text, ref words, ref cut);
            CountWords(example.TextPair ?? "", ref words, ref cut);
            (Words, CutWords) = (Words + words, CutWords + cut);
            Fragmented += words >= FewestWords && 2 * cut >= words || 2 * unknown >= ids.Length - frame && unknown > 0
                ? 1 : 0;
            return ids.Length;
        }

        public void Add(Counter other)
        {
            (UnknownTokens, WithUnknown) = (UnknownTokens + other.UnknownTokens, WithUnknown + other.WithUnknown);
            (Words, CutWords) = (Words + other.Words, CutWords + other.CutWords);
            Fragmented += other.Fragmented;
            foreach (var (character, examples) in other.Suspects)
            {
                Suspects[character] = Suspects.GetValueOrDefault(character) + examples;
            }
        }

        private void CountWords(string text, ref int words, ref int cut)
        {
            foreach (var word in WordPatterns.Letters().EnumerateMatches(text))
            {
                words++;
                cut += IsWhole(text.AsSpan(word.Index, word.Length)) ? 0 : 1;
            }
        }

        /// <summary>
        /// Whether a word is one known token. It is read as after a space: some tokenizers have the
        /// space in it.
        /// </summary>
        private bool IsWhole(ReadOnlySpan<char> word)
        {
            if (!isWholeBySpan.TryGetValue(word, out var whole))
            {
                var ids = tokenizer.EncodeIds($" {word}", second: null, int.MaxValue).Ids;
                whole = ids.Length == frame + 1 && !ids.Contains(tokenizer.UnknownId);
                isWhole[word.ToString()] = whole;
            }
            return whole;
        }
    }
}
