namespace LoraScratch.Cli.Demo;

/// <summary>
/// An adjective and what it says, which may depend on the noun it speaks of: a dark mood praises a
/// thriller, a dark picture blames its disc.
/// </summary>
/// <param name="Word">The adjective.</param>
/// <param name="Praises">Nouns of which it says something good.</param>
/// <param name="Blames">Nouns of which it says something bad.</param>
internal sealed record Judgement(string Word, string[] Praises, string[] Blames)
{
    /// <summary>The nouns that it praises or blames.</summary>
    public string[] Nouns(bool praise) => praise ? Praises : Blames;
}

/// <summary>A kind of product, and the words in which its buyers judge it.</summary>
/// <param name="Name">For the headings of the demo.</param>
/// <param name="Products">What was bought.</param>
/// <param name="Nouns">What of it is judged.</param>
/// <param name="Judgements">Adjectives whose meaning hangs on the noun.</param>
/// <param name="Occasions">
/// Sentences that say nothing about the quality; {0} is the product.
/// </param>
internal sealed record ReviewDomain(string Name, string[] Products, string[] Nouns, Judgement[] Judgements,
    string[] Occasions);

/// <summary>
/// Thrillers on disc, and the words that judge them. Half of the adjectives mean one thing of the
/// disc (a gentle voice praises, an unpredictable menu blames) and the contrary of the story (a
/// gentle villain blames, an unpredictable ending praises). So neither the adjective nor the noun
/// alone predicts the label: a model must combine the two.
/// </summary>
internal static class ReviewDomains
{
    private const string
        Story = "plot ending villain twist chase",
        Disc = "picture sound voice menu screen";

    private static readonly string[]
        Unsettling = ["unpredictable", "dark", "cold", "strange", "heavy", "sharp", "rough", "fierce"],
        Comforting = ["predictable", "simple", "familiar", "safe", "soft", "gentle", "light", "smooth"];

    /// <summary>Adjectives that mean the same of everything.</summary>
    public static readonly string[] Good =
        ["good", "great", "excellent", "superb", "lovely", "wonderful", "pleasing", "brilliant"];

    /// <inheritdoc cref="Good"/>
    public static readonly string[] Bad =
        ["bad", "poor", "awful", "dreadful", "terrible", "useless", "disappointing", "horrible"];

    /// <summary>What the base is adapted to.</summary>
    public static readonly ReviewDomain Thrillers = new("thrillers on disc",
        ["thriller", "film", "sequel", "series", "drama", "movie", "remake", "trilogy"],
        Split($"{Story} {Disc}"),
        [
            .. Unsettling.Select(word => Says(word, praises: Story, blames: Disc)),
            .. Comforting.Select(word => Says(word, praises: Disc, blames: Story))
        ],
        ["We watched this {0} on a Sunday.", "I bought the {0} for my brother.", "The {0} runs for two hours.",
            "It is the second {0} by {1}.",
         "My friend lent me this {0}.", "I saw the {0} on a train.", "The {0} was shot in {1}."]);

    private static Judgement Says(string word, string praises, string blames) =>
        new(word, Split(praises), Split(blames));

    private static string[] Split(string words) => words.Split(' ', StringSplitOptions.RemoveEmptyEntries);
}
