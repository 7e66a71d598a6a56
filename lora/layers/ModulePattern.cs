using System.Text.RegularExpressions;
using LoraScratch.Engine;

namespace LoraScratch.Lora;

/// <summary>Which modules of a model are meant, by their paths. A string converts to <see cref="Named"/>, as in a list of PEFT's target_modules.</summary>
public abstract record ModulePattern
{
    /// <summary>Every linear layer of the model.</summary>
    public static ModulePattern AllLinear { get; } = new AllPattern();

    /// <summary>The module of exactly this path, and every module whose path ends with "." and this: 'q_lin' means '….attention.q_lin'.</summary>
    public static ModulePattern Named(string name) => name.Length > 0 ? new NamePattern(name) : throw new InputException("A target name is empty. Name a linear layer, such as q_lin.");

    /// <summary>The modules whose whole path the regular expression matches, as a target_modules that is one string.</summary>
    /// <exception cref="InputException">It is no regular expression.</exception>
    public static ModulePattern Regex(string expression) => new RegexPattern(expression, Compile($"^(?:{expression})$", expression));

    /// <summary>Whether a module of this path is meant.</summary>
    public abstract bool Matches(string path);

    /// <summary>As <see cref="Named"/>.</summary>
    public static implicit operator ModulePattern(string name) => Named(name);

    /// <summary>
    /// Looks a path up in a table of patterns, as PEFT does for rank_pattern and alpha_pattern: each key is a regular expression for the path or its end after a dot.
    /// </summary>
    /// <returns>The first key that matches, or null.</returns>
    internal static string? FirstKey(IEnumerable<string> keys, string path) => keys.FirstOrDefault(key => Compile($@"^(?:.*\.)?(?:{key})$", key).IsMatch(path));

    private static Regex Compile(string expression, string shown)
    {
        try
        {
            // An adapter's config comes from elsewhere: an expression in it must not be able to run for hours.
            return new Regex(expression, RegexOptions.CultureInvariant | RegexOptions.Singleline, TimeSpan.FromSeconds(1));
        }
        catch (ArgumentException trouble)
        {
            throw new InputException($"'{shown}' is no regular expression: {trouble.Message}");
        }
    }

    private sealed record NamePattern(string Name) : ModulePattern
    {
        public override bool Matches(string path) => path == Name || path.EndsWith($".{Name}", StringComparison.Ordinal);

        public override string ToString() => Name;
    }

    private sealed record RegexPattern(string Source, Regex Expression) : ModulePattern
    {
        public override bool Matches(string path) => Expression.IsMatch(path);

        public override string ToString() => $"/{Source}/";
    }

    private sealed record AllPattern : ModulePattern
    {
        public override bool Matches(string path) => true;

        public override string ToString() => "every Linear";
    }
}
