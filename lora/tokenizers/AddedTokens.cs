using System.Buffers;
using System.Text;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>A token that is looked for in the text before anything else is done with it.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">Its text.</param>
/// <param name="SingleWord">Whether it counts only where no word character touches it.</param>
/// <param name="StripsLeft">Whether it takes the white space before it along.</param>
/// <param name="StripsRight">Whether it takes the white space behind it along.</param>
/// <param name="IsNormalized">Whether it is looked for in the normalized text.</param>
/// <param name="IsSpecial">Whether it is none of a text's own.</param>
internal sealed record AddedToken(int Id, string Content, bool SingleWord, bool StripsLeft, bool StripsRight,
    bool IsNormalized, bool IsSpecial)
{
    /// <summary>The flags' names in JSON, and how they are.</summary>
    public IEnumerable<(string Name, bool Value)> Flags =>
        [("single_word", SingleWord), ("lstrip", StripsLeft), ("rstrip", StripsRight), ("normalized", IsNormalized)];
}

/// <summary>Finds the added tokens in a text, and what lies between them.</summary>
internal sealed class AddedTokens
{
    private readonly Finder verbatim, normalized;

    /// <param name="tokens">The tokens.</param>
    /// <param name="normalizer">Changes the text of those that are normalized.</param>
    public AddedTokens(IReadOnlyList<AddedToken> tokens, Normalizer? normalizer)
    {
        All = tokens;
        verbatim = new Finder(tokens.Where(token => !token.IsNormalized).Select(token => (token.Content, token)));
        normalized = new Finder(tokens.Where(token => token.IsNormalized)
            .Select(token => (normalizer?.Apply(token.Content) ?? token.Content, token)));
    }

    /// <summary>The tokens, in the order of the file.</summary>
    public IReadOnlyList<AddedToken> All { get; }

    /// <summary>Whether some are looked for in the normalized text.</summary>
    public bool AnyNormalized => normalized.Any;

    /// <summary>Cuts a text at the tokens that are not normalized.</summary>
    /// <param name="text">The text.</param>
    /// <param name="parts">
    /// Receives the parts in their order, none empty; an id, or −1 for text.
    /// </param>
    public void CutVerbatim(string text, List<(int Id, int Start, int End)> parts) => verbatim.Cut(text, parts);

    /// <summary>Cuts a normalized text at the others.</summary>
    /// <param name="text">The text.</param>
    /// <param name="parts">As in <see cref="CutVerbatim"/>.</param>
    public void CutNormalized(string text, List<(int Id, int Start, int End)> parts) => normalized.Cut(text, parts);

    /// <summary>Reads the list of a tokenizer.json.</summary>
    /// <param name="setting">"added_tokens".</param>
    /// <param name="vocabulary">Of the model.</param>
    /// <exception cref="InputException">
    /// A token is malformed, twice there, or has another id than the vocabulary gives it, or than
    /// comes next behind the vocabulary.
    /// </exception>
    public static List<AddedToken> Read(Setting setting, IReadOnlyDictionary<string, int> vocabulary)
    {
        var tokens = new List<AddedToken>();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        var taken = vocabulary.Values.ToHashSet();
        foreach (var item in setting.Items())
        {
            item.RequireOnly("id", "content", "single_word", "lstrip", "rstrip", "normalized", "special");
            var content = item["content"];
            if (content.Text().Length == 0 || !seen.Add(content.Text()))
            {
                throw content.Wrong("a text that no other added token has");
            }
            var (id, isKnown) = (item["id"], vocabulary.TryGetValue(content.Text(), out var known));
            if (isKnown ? id.Number() != known : !taken.Add(id.Number()))
            {
                throw id.Wrong(isKnown ? $"{known}, which the vocabulary gives '{content.Text()}'"
                    : "an id that no other token has");
            }
            tokens.Add(new AddedToken(id.Number(), content.Text(), item["single_word"].Flag(), item["lstrip"].Flag(),
                item["rstrip"].Flag(), item["normalized"].Flag(), item["special"].Flag()));
        }
        return tokens;
    }

    // The longest token at the first place where there is one, and so on behind it.
    private sealed class Finder
    {
        private readonly (string Text, AddedToken Token)[] tokens;      // the longest first
        private readonly SearchValues<string> texts;

        public Finder(IEnumerable<(string Text, AddedToken Token)> tokens)
        {
            this.tokens =
                [.. tokens.Where(token => token.Text.Length > 0).OrderByDescending(token => token.Text.Length)];
            texts = SearchValues.Create([.. this.tokens.Select(token => token.Text)], StringComparison.Ordinal);
        }

        public bool Any => tokens.Length > 0;

        public void Cut(string text, List<(int Id, int Start, int End)> parts)
        {
            var done = 0;
            for (var from = 0; Any && text.AsSpan(from).IndexOfAny(texts) is >= 0 and var distance;)
            {
                var start = from + distance;
                var (content, token) = Array.Find(tokens,
                    token => text.AsSpan(start).StartsWith(token.Text, StringComparison.Ordinal));
                var end = start + content.Length;
                from = end;
                if (token.SingleWord && (IsWordBefore(text, start) || IsWordAt(text, end)))
                {
                    continue;
                }
                while (token.StripsLeft && start > done && UnicodeTables.Space.Contains(text[start - 1]))
                {
                    start--;
                }
                while (token.StripsRight && end < text.Length && UnicodeTables.Space.Contains(text[end]))
                {
                    end++;
                }
                if (start > done)
                {
                    parts.Add((-1, done, start));
                }
                parts.Add((token.Id, start, end));
                done = end;
            }
            if (done < text.Length)
            {
                parts.Add((-1, done, text.Length));
            }
        }

        private static bool IsWordBefore(string text, int end) =>
            Rune.DecodeLastFromUtf16(text.AsSpan(0, end), out var rune, out _) == OperationStatus.Done
            && UnicodeTables.Word.Contains(rune.Value);

        private static bool IsWordAt(string text, int start) =>
            Rune.DecodeFromUtf16(text.AsSpan(start), out var rune, out _) == OperationStatus.Done
            && UnicodeTables.Word.Contains(rune.Value);
    }
}
