using System.Globalization;
using LoraScratch.Engine;

namespace LoraScratch.Cli.Demo;

/// <summary>A generated review.</summary>
/// <param name="Text">One or two English sentences.</param>
/// <param name="Label">0: the buyer is unhappy, 1: happy.</param>
internal sealed record Review(string Text, int Label);

/// <summary>How a domain's reviews are drawn.</summary>
internal sealed record ReviewStyle
{
    /// <summary>
    /// Share of the clauses that judge with an adjective of <see cref="ReviewDomain.Judgements"/>;
    /// the others use plain words.
    /// </summary>
    public float Contextual { get; init; } = 0.35f;

    /// <summary>
    /// Probability that the opinion says what the label says. Some buyers press the wrong star, so
    /// no model can reach 100 %.
    /// </summary>
    public float Agreement { get; init; } = 0.97f;

    /// <summary>Share of the clauses that are negated: "is not", "is hardly".</summary>
    public float Negated { get; init; } = 0.1f;

    /// <summary>Share of the sentences that set a clause against its contrary.</summary>
    public float Contrasted { get; init; } = 0.15f;

    /// <summary>Share of the reviews that begin with a sentence that judges nothing.</summary>
    public float Introduced { get; init; } = 0.3f;
}

/// <summary>
/// Writes product reviews by a small grammar: first the label is drawn (both equally likely), then
/// an opinion, which mostly agrees with it. The same seed gives the same reviews, and one generator
/// never gives a text twice, so that splits taken from it share none.
/// </summary>
internal sealed class ReviewGenerator(ReviewDomain domain, ReviewStyle style, ulong seed)
{
    /// <summary>Invented names, which the vocabulary has in pieces only.</summary>
    private static readonly string[] InventedNames =
        ["Quillon", "Brevik", "Ostrava", "Tamsin", "Joruk", "Velden", "Marlow", "Kestrin"];

    private static readonly string[] Intensifiers = ["very", "really", "quite", "rather", "truly"];
    private static readonly string[] Negations = ["is not", "is hardly", "is never", "is far from"];
    private static readonly string[] Verbs = ["is", "is", "seems", "was", "felt"];

    private readonly RandomStream random = new(seed);
    private readonly HashSet<string> written = new(StringComparer.Ordinal);

    /// <summary>The next reviews, all different from those before.</summary>
    public Review[] Next(int count)
    {
        var reviews = new Review[count];
        for (var i = 0; i < count;)
        {
            var review = Write();
            if (written.Add(review.Text))
            {
                reviews[i++] = review;
            }
        }
        return reviews;
    }

    private Review Write()
    {
        var label = random.NextBelow(2);
        var opinion = Sentence(praise: Chance(style.Agreement) == (label == 1));
        return new Review(Chance(style.Introduced) ? $"{Occasion()} {opinion}" : opinion, label);
    }

    private string Occasion() =>
        string.Format(CultureInfo.InvariantCulture, Pick(domain.Occasions), Pick(domain.Products), Pick(InventedNames));

    private string Sentence(bool praise)
    {
        var text = Chance(style.Contrasted) ? Contrast(praise) : Clause(praise);
        return char.ToUpperInvariant(text[0]) + text[1..] + (Chance(0.15f) ? "!" : ".");
    }

    /// <summary>
    /// The main clause carries the sentence; the one that is conceded says the contrary.
    /// </summary>
    private string Contrast(bool praise) => random.NextBelow(4) switch
    {
        0 => $"although {Clause(!praise)}, {Clause(praise)}",
        1 => $"{Clause(!praise)}, but {Clause(praise)}",
        2 => $"{Clause(praise)}, even though {Clause(!praise)}",
        _ => NotBut(praise)
    };

    private string Clause(bool praise)
    {
        if (Chance(style.Negated))
        {
            var (denied, of) = Judge(!praise);
            return $"the {of} {Pick(Negations)} {denied}";
        }
        var (adjective, noun) = Judge(praise);
        var strength = Chance(0.3f) ? Pick(Intensifiers) + " " : "";
        return random.NextBelow(6) switch
        {
            0 => $"it has {WithArticle(strength + adjective)} {noun}",
            1 => $"I found the {noun} {strength}{adjective}",
            2 => $"the {noun} {Pick(Verbs)} {adjective} and {strength}{Another(adjective, noun, praise)}",
            _ => $"the {noun} {Pick(Verbs)} {strength}{adjective}"
        };
    }

    private string NotBut(bool praise)
    {
        var (adjective, noun) = Judge(praise);
        return $"the {noun} is not {Another(adjective, noun, !praise)} but {adjective}";
    }

    /// <summary>An adjective and a noun that it praises or blames.</summary>
    private (string Adjective, string Noun) Judge(bool praise)
    {
        if (!Chance(style.Contextual))
        {
            return (Pick(praise ? ReviewDomains.Good : ReviewDomains.Bad), Pick(domain.Nouns));
        }
        var judgement = Pick(domain.Judgements);
        return (judgement.Word, Pick(judgement.Nouns(praise)));
    }

    /// <summary>A second adjective for the same noun.</summary>
    private string Another(string adjective, string noun, bool praise)
    {
        var candidates = Chance(style.Contextual)
            ? domain.Judgements.Where(judgement => judgement.Nouns(praise).Contains(noun))
            .Select(judgement => judgement.Word)
            : praise ? ReviewDomains.Good : ReviewDomains.Bad;
        return Pick(candidates.Where(word => word != adjective).ToArray());
    }

    private bool Chance(float probability) => random.NextUniform() < probability;

    private T Pick<T>(T[] items) => items[random.NextBelow(items.Length)];

    private static string WithArticle(string words) => ("aeiou".Contains(words[0]) ? "an " : "a ") + words;
}
