using System.Globalization;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Lora.Data;

/// <summary>How names of classes are alike that may mean one class.</summary>
internal enum LabelLikeness
{
    /// <summary>They differ in white space, hyphens or underscores.</summary>
    WhiteSpace,

    /// <summary>They differ in letter case, perhaps in white space too.</summary>
    LetterCase,

    /// <summary>
    /// They look alike, and are composed of other code points (Unicode's normal form NFKC makes
    /// them the same).
    /// </summary>
    UnicodeForm,

    /// <summary>One is the other with an s or es.</summary>
    Plural,

    /// <summary>One letter of a long name differs, is missing or is too much.</summary>
    OneLetter,
}

/// <summary>Names of classes that may mean one class.</summary>
/// <param name="Classes">Their indices, rising.</param>
/// <param name="Likeness">How they are alike.</param>
internal sealed record SimilarLabels(IReadOnlyList<int> Classes, LabelLikeness Likeness)
{
    private const int ShortestStem = 4, LongName = 8;

    /// <summary>
    /// Finds them. Numbers are like no other name; of the other names all that one normal form has
    /// are one group, and of two groups the first names are compared for a plural or one letter.
    /// </summary>
    /// <param name="names">Different names, by class.</param>
    public static IReadOnlyList<SimilarLabels> Find(IReadOnlyList<string> names)
    {
        var groups = Enumerable.Range(0, names.Count)
            .Where(label => !decimal.TryParse(names[label], NumberStyles.Float, CultureInfo.InvariantCulture, out _))
            .GroupBy(label => Folded(names[label])).Select(group => (Form: group.Key, Classes: group.ToArray()))
            .ToArray();
        var found = groups.Where(group => group.Classes.Length > 1)
            .Select(group => new SimilarLabels(group.Classes, LikenessOf(group.Classes, names))).ToList();
        // by length, so that a name is compared with those alone that may be one letter longer
        var byLength = groups.OrderBy(group => group.Form.Length).ToArray();
        for (var i = 0; i < byLength.Length; i++)
        {
            var shorter = byLength[i].Form;
            for (var j = i + 1; j < byLength.Length && byLength[j].Form.Length <= shorter.Length + 2; j++)
            {
                if (Compare(shorter, byLength[j].Form) is { } likeness)
                {
                    int[] both = [byLength[i].Classes[0], byLength[j].Classes[0]];
                    Array.Sort(both);
                    found.Add(new SimilarLabels(both, likeness));
                }
            }
        }
        return [.. found.OrderBy(similar => similar.Classes[0])];
    }

    private static LabelLikeness LikenessOf(int[] classes, IReadOnlyList<string> names)
    {
        bool AreOne(Func<string, string> form) =>
            classes.Select(label => form(names[label])).Distinct(StringComparer.Ordinal).Count() == 1;
        return AreOne(Spaced) ? LabelLikeness.WhiteSpace
            : AreOne(name => Spaced(name).ToLowerInvariant()) ? LabelLikeness.LetterCase : LabelLikeness.UnicodeForm;
    }

    private static string Folded(string name) => Spaced(NormalizationForms.Compose(
        NormalizationForms.Decompose(name, compatible: true))).ToLowerInvariant();

    private static string Spaced(string name) => string.Join(' ',
        name.Replace('-', ' ').Replace('_', ' ').Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));

    /// <param name="shorter">Or as long.</param>
    /// <param name="longer">Another name.</param>
    private static LabelLikeness? Compare(string shorter, string longer)
    {
        if (shorter.Length >= ShortestStem && (longer == $"{shorter}s" || longer == $"{shorter}es"))
        {
            return LabelLikeness.Plural;
        }
        if (shorter.Length < LongName || longer.Length > shorter.Length + 1)
        {
            return null;
        }
        var start = shorter.AsSpan().CommonPrefixLength(longer);
        var isLonger = longer.Length > shorter.Length;
        return char.IsLetter(longer[start]) && (isLonger || char.IsLetter(shorter[start]))
            && shorter.AsSpan(isLonger ? start : start + 1).SequenceEqual(longer.AsSpan(start + 1))
            ? LabelLikeness.OneLetter : null;
    }
}
