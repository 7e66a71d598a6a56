using System.Globalization;
using System.Text.RegularExpressions;

namespace LoraScratch.Engine.NN;

/// <summary>
/// Which modules of a model are meant, by their paths. A string converts to <see cref="Named"/>, as
/// in a list of PEFT's target_modules.
/// </summary>
internal abstract record ModulePattern
{
    /// <summary>
    /// Every linear layer of the model; embeddings are not among them, as with PEFT's "all-linear".
    /// </summary>
    public static ModulePattern AllLinear { get; } = new AllPattern();

    /// <summary>
    /// The module of exactly this path, and every module whose path ends with "." and this: 'q_lin'
    /// means '….attention.q_lin'.
    /// </summary>
    public static ModulePattern Named(string name) =>
        name.Length > 0 ? new NamePattern(name)
        : throw new InputException("A target name is empty. Name a linear layer, such as q_lin.");

    /// <summary>
    /// The modules whose whole path the regular expression matches, as a target_modules that is one
    /// string.
    /// </summary>
    /// <exception cref="InputException">It is no regular expression.</exception>
    public static ModulePattern Regex(string expression) =>
        new RegexPattern(expression, Compile($"^(?:{expression})$", expression));

    /// <summary>Whether a module of this path is meant.</summary>
    /// <exception cref="InputException">A regular expression takes too long on it.</exception>
    public abstract bool Matches(string path);

    /// <summary>Whether nothing but linear layers is meant, whatever the path.</summary>
    internal virtual bool MeansLinearLayers => false;

    /// <summary>
    /// What this pattern means, less what any of the others means; as PEFT's exclude_modules.
    /// </summary>
    public ModulePattern Except(IReadOnlyList<ModulePattern> others) =>
        others.Count == 0 ? this : new ExceptPattern(this, others);

    /// <summary>
    /// What this pattern means within the blocks of these numbers, as PEFT's layers_to_transform:
    /// the number is the last one in the path that stands alone between dots, as the 3 in
    /// 'transformer.layer.3.attention.q_lin'. A module that is named by its whole path is meant in
    /// any case.
    /// </summary>
    /// <param name="blocks">Their numbers, from 0.</param>
    /// <param name="lists">
    /// Regular expressions for the name before the number, as PEFT's layers_pattern ("layer");
    /// none: any name.
    /// </param>
    /// <exception cref="InputException">One of them is no regular expression.</exception>
    public ModulePattern InBlocks(IReadOnlyList<int> blocks, IReadOnlyList<string> lists) =>
        new BlockPattern(this, blocks,
            [.. (lists.Count > 0 ? lists : ["[^.]*"]).Select(BlockIn)]);

    /// <summary>
    /// The number of a path's block, as <see cref="InBlocks"/> counts in any list; null where it
    /// lies in none.
    /// </summary>
    internal static int? BlockOf(string path) => BlockOf(path, [BlockIn("[^.]*")]);

    /// <summary>As <see cref="Named"/>.</summary>
    public static implicit operator ModulePattern(string name) => Named(name);

    /// <summary>
    /// Looks a path up in a table of patterns, as PEFT does for rank_pattern and alpha_pattern:
    /// each key is a regular expression for the path or its end after a dot.
    /// </summary>
    /// <returns>The first key that matches, or null.</returns>
    internal static string? FirstKey(IEnumerable<string> keys, string path) =>
        keys.FirstOrDefault(key => Match(Compile($@"^(?:.*\.)?(?:{key})$", key), path).Success);

    private static Regex BlockIn(string list) => Compile($@"^.*\.{list}\.([0-9]+)\.", list);

    private static int? BlockOf(string path, IReadOnlyList<Regex> lists) =>
        lists.Select(list => Match(list, path)).FirstOrDefault(match => match.Success) is { } found
            && int.TryParse(found.Groups[1].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var block)
            ? block : null;

    private static Match Match(Regex expression, string path)
    {
        try
        {
            return expression.Match(path);
        }
        catch (RegexMatchTimeoutException)
        {
            throw new InputException($"The regular expression '{Cut(expression.ToString())}' takes more than "
                + $"{expression.MatchTimeout.TotalSeconds} s to compare with '{path}'. Write it without nested "
                + "repetitions, or list the layers by name.");
        }
    }

    private static Regex Compile(string expression, string shown)
    {
        try
        {
            // An adapter's config comes from elsewhere: an expression in it must not be able to run for hours.
            return new Regex(expression, RegexOptions.CultureInvariant | RegexOptions.Singleline,
                TimeSpan.FromSeconds(1));
        }
        catch (ArgumentException e)
        {
            throw new InputException($"'{Cut(shown)}' is no regular expression: {Cut(e.Message)}");
        }
    }

    /// <summary>The beginning of an expression, which a file may have of any length.</summary>
    private static string Cut(string text) => text.Length <= 200 ? text : $"{text[..200]}…";

    private sealed record NamePattern(string Name) : ModulePattern
    {
        public override bool Matches(string path) =>
            path == Name || path.EndsWith($".{Name}", StringComparison.Ordinal);

        public override string ToString() => Name;
    }

    private sealed record RegexPattern(string Source, Regex Expression) : ModulePattern
    {
        public override bool Matches(string path) => Match(Expression, path).Success;

        public override string ToString() => $"/{Cut(Source)}/";
    }

    private sealed record ExceptPattern(ModulePattern Meant, IReadOnlyList<ModulePattern> Others) : ModulePattern
    {
        internal override bool MeansLinearLayers => Meant.MeansLinearLayers;

        public override bool Matches(string path) => Meant.Matches(path) && !Others.Any(other => other.Matches(path));

        public override string ToString() => Meant.ToString()!;
    }

    private sealed record BlockPattern(ModulePattern Meant, IReadOnlyList<int> Blocks, IReadOnlyList<Regex> Lists)
        : ModulePattern
    {
        internal override bool MeansLinearLayers => Meant.MeansLinearLayers;

        public override bool Matches(string path) =>
            Meant.Matches(path) && (Meant is NamePattern named && named.Name == path
                || BlockOf(path, Lists) is { } block && Blocks.Contains(block));

        public override string ToString() =>
            $"{Meant} in {(Blocks.Count == 1 ? "block" : "blocks")} {string.Join(", ", Blocks)}";
    }

    private sealed record AllPattern : ModulePattern
    {
        internal override bool MeansLinearLayers => true;

        public override bool Matches(string path) => true;

        public override string ToString() => "every Linear";
    }
}
