using System.Globalization;
using System.Text.RegularExpressions;

namespace LoraScratch.Engine;

/// <summary>
/// The equations of ops, which each write in letters of their own (every op has its X and Y), in
/// the names of the tensors at hand.
/// </summary>
internal static partial class Equations
{
    private const string DefaultResult = "Y";

    /// <summary>
    /// The letters of the inputs of a gradient equation: "dX += dY·Wᵀ" adds to X; one that adds to
    /// several names them in their order.
    /// </summary>
    public static IReadOnlyList<string> Targets(string gradient) =>
        [.. Target().Matches(gradient).Select(match => match.Groups[1].Value)];

    /// <summary>The letter of the result of "Y = X·Wᵀ".</summary>
    public static string ResultLetter(string? forward, IEnumerable<string> gradients) =>
        forward is not null && Leading().Match(forward) is { Success: true } match ? match.Groups[1].Value
            : gradients.Any(gradient => SmallResult().IsMatch(gradient)) ? "y" : DefaultResult;

    /// <summary>An equation in other names.</summary>
    /// <param name="equation">In the op's letters.</param>
    /// <param name="names">
    /// What to write for each letter, given whether it is transposed and whether its shape may be
    /// said: once in an equation, and not before an index. Of a gradient, d comes before it.
    /// </param>
    /// <param name="constants">
    /// Numbers that have names in the equation; a factor of 1 is left out.
    /// </param>
    public static string In(string equation, IReadOnlyDictionary<string, Func<bool, bool, string>> names,
        IReadOnlyList<ExplainedConstant> constants)
    {
        foreach (var constant in constants.Where(constant => constant.Number is not null))
        {
            var name = Regex.Escape(constant.Name);
            equation = constant.Number == 1
                ? Regex.Replace(equation, $@"(?<![\p{{L}}]){name}\s*·\s*", "")
                : equation;
            equation = Regex.Replace(equation, $@"(?<![\p{{L}}\p{{M}}]){name}(?![\p{{L}}\p{{M}}\p{{Nd}}])",
                constant.Number!.Value.ToString("G6", CultureInfo.InvariantCulture));
        }
        if (names.Count == 0)
        {
            return equation;
        }
        var letters = string.Join('|', names.Keys.OrderByDescending(letter => letter.Length).Select(Regex.Escape));
        var said = new HashSet<string>();
        // a mark makes another letter: X̂ is not X; a superscript or subscript does not
        return Regex.Replace(equation, $@"(?<![\p{{L}}\p{{M}}])(d?)({letters})(ᵀ?)(?![A-Za-zα-ωΑ-Ω\p{{M}}])",
            match => match.Groups[1].Value + names[match.Groups[2].Value](match.Groups[3].Length > 0,
                !Index().IsMatch(equation[(match.Index + match.Length)..]) && said.Add(match.Value)));
    }

    [GeneratedRegex(@"(?<![\p{L}\p{M}])d(\p{L}\p{M}*?[A-Za-zα-ωΑ-Ω]*)[ᵢⱼₖ]?(?:\[[^\]]*\])?\s*[+−-]=")]
    private static partial Regex Target();

    [GeneratedRegex(@"^[\[ᵢⱼ]")]
    private static partial Regex Index();

    [GeneratedRegex(@"^\s*(\p{L}[A-Za-z]*)[ᵢⱼ]?(?:\[[^\]]*\])?\s*[=≈]")]
    private static partial Regex Leading();

    [GeneratedRegex(@"(?<![\p{L}\p{M}])dy(?![A-Za-z])")]
    private static partial Regex SmallResult();
}
