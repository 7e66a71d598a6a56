using System.Text;

namespace LoraScratch.Lora.Tokenizers;

/// <summary>
/// The normalization forms NFD, NFKD, NFC and NFKC (Unicode Standard Annex 15), with the tables of
/// <see cref="UnicodeTables"/>.
/// </summary>
internal static class NormalizationForms
{
    // A Hangul syllable is (lead · 21 + vowel) · 28 + tail, The Unicode Standard 3.12.
    private const int FirstSyllable = 0xAC00, LastSyllable = 0xD7A3, FirstLead = 0x1100, FirstVowel = 0x1161,
        BeforeTails = 0x11A7, Leads = 19, Vowels = 21, Tails = 28;

    private static readonly Lazy<Dictionary<(int, int), int>> LazyPairs = new(ReadPairs);

    /// <summary>Takes every code point apart, and sorts the marks behind each.</summary>
    /// <param name="text">Without half surrogate pairs.</param>
    /// <param name="compatible">NFKD, where ﬁ becomes fi; else NFD.</param>
    public static string Decompose(string text, bool compatible)
    {
        if (Ascii.IsValid(text))
        {
            return text;
        }
        var codePoints = new List<int>(text.Length + 8);
        foreach (var rune in text.EnumerateRunes())
        {
            AddDecomposed(rune.Value, compatible, codePoints);
        }
        SortMarks(codePoints);
        return Join(codePoints);
    }

    /// <summary>
    /// Puts together what belongs together, of a text that is decomposed: NFC or NFKC.
    /// </summary>
    /// <param name="decomposed">From <see cref="Decompose"/>.</param>
    public static string Compose(string decomposed)
    {
        if (Ascii.IsValid(decomposed))
        {
            return decomposed;
        }
        var composed = new List<int>(decomposed.Length);
        int starter = -1, lastClass = -1;                   // where the last starter is; the class behind it, −1: none
        foreach (var rune in decomposed.EnumerateRunes())
        {
            var c = rune.Value;
            var rank = UnicodeTables.CombiningClass(c);
            // nothing between the two of the same class or of class 0
            if (starter >= 0 && lastClass < rank && Composed(composed[starter], c) is { } both)
            {
                composed[starter] = both;
                continue;
            }
            if (rank == 0)
            {
                starter = composed.Count;
                lastClass = -1;
            }
            else
            {
                lastClass = rank;
            }
            composed.Add(c);
        }
        return Join(composed);
    }

    private static void AddDecomposed(int c, bool compatible, List<int> into)
    {
        if (c is >= FirstSyllable and <= LastSyllable)
        {
            var index = c - FirstSyllable;
            into.Add(FirstLead + index / (Vowels * Tails));
            into.Add(FirstVowel + index / Tails % Vowels);
            if (index % Tails > 0)
            {
                into.Add(BeforeTails + index % Tails);
            }
            return;
        }
        if (((compatible ? UnicodeTables.Compatible.Of(c) : null) ?? UnicodeTables.Canonical.Of(c)) is not { } parts)
        {
            into.Add(c);
            return;
        }
        foreach (var rune in parts.EnumerateRunes())
        {
            into.Add(rune.Value);
        }
    }

    /// <summary>A mark moves before those of a higher class, and stays behind its own.</summary>
    private static void SortMarks(List<int> codePoints)
    {
        for (var i = 0; i < codePoints.Count; i++)
        {
            var first = i;
            while (i < codePoints.Count && UnicodeTables.CombiningClass(codePoints[i]) > 0)
            {
                i++;
            }
            if (i - first > 1)
            {
                var sorted = codePoints[first..i].OrderBy(UnicodeTables.CombiningClass).ToArray();      // is stable
                sorted.CopyTo(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(codePoints)[first..i]);
            }
        }
    }

    private static int? Composed(int first, int second)
    {
        if (first is >= FirstLead and < FirstLead + Leads && second is >= FirstVowel and < FirstVowel + Vowels)
        {
            return FirstSyllable + ((first - FirstLead) * Vowels + second - FirstVowel) * Tails;
        }
        if (first is >= FirstSyllable and <= LastSyllable && (first - FirstSyllable) % Tails == 0
            && second is > BeforeTails and < BeforeTails + Tails)
        {
            return first + second - BeforeTails;
        }
        return LazyPairs.Value.TryGetValue((first, second), out var both) ? both : null;
    }

    /// <summary>
    /// The two that each composed code point is made of: its last code point, and what the others
    /// compose to. The shorter ones are known when a longer one needs them.
    /// </summary>
    private static Dictionary<(int, int), int> ReadPairs()
    {
        var pairs = new Dictionary<(int, int), int>();
        foreach (var (whole, parts) in UnicodeTables.Canonical.Pairs
            .Where(pair => !UnicodeTables.Uncomposed.Contains(pair.Key)).OrderBy(pair => pair.Value.Length))
        {
            var codePoints = parts.EnumerateRunes().Select(rune => rune.Value).ToArray();
            var first = codePoints[0];
            foreach (var next in codePoints[1..^1])
            {
                first = pairs[(first, next)];
            }
            pairs.Add((first, codePoints[^1]), whole);
        }
        return pairs;
    }

    private static string Join(List<int> codePoints)
    {
        var text = new StringBuilder(codePoints.Count);
        foreach (var c in codePoints)
        {
            text.Append(new Rune(c).ToString());
        }
        return text.ToString();
    }
}
