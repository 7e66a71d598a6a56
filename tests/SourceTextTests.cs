using System.Text.RegularExpressions;

namespace LoraScratch.Tests;

/// <summary>What every line of the source keeps to.</summary>
public sealed partial class SourceTextTests
{
    private const int MaxDocumentation = 100, MaxCode = 120;

    private static readonly string[] Folders = ["kernels", "engine", "lora", "benchmarks", "tests"];

    /// <summary>
    /// An equation in a code block and a single reference may be as long as code; in a raw string,
    /// too, no line is longer.
    /// </summary>
    [Test]
    public void Documentation_ends_at_column_100_and_code_at_120() =>
        Assert.That(SourceCode.Files(Folders).SelectMany(TooLong), Is.Empty);

    [Test]
    public void Every_parameter_has_a_line_of_its_own() => Assert.That(SourceCode.Files(Folders).SelectMany(file =>
        Lines(file).Where(line => ChainedParameters().IsMatch(line.Text)).Select(line => line.Place)), Is.Empty);

    /// <summary>The command line alone knows how an option is typed.</summary>
    [Test]
    public void The_library_names_no_flag() => Assert.That(SourceCode.Files("kernels", "engine", "lora")
        .Where(file => !SourceCode.Relative(file).StartsWith("lora/cli/", StringComparison.Ordinal))
        .SelectMany(file => Lines(file).Where(line => Flag().IsMatch(line.Text)).Select(line => line.Place)), Is.Empty);

    private static IEnumerable<string> TooLong(string file)
    {
        var inCodeBlock = false;
        foreach (var (place, text) in Lines(file))
        {
            var isDocumentation = text.AsSpan().TrimStart().StartsWith("///");
            inCodeBlock |= isDocumentation && text.Contains("<code>", StringComparison.Ordinal);
            var most = isDocumentation && !inCodeBlock && !Reference().IsMatch(text) ? MaxDocumentation : MaxCode;
            inCodeBlock &= !text.Contains("</code>", StringComparison.Ordinal);
            if (text.Length > most)
            {
                yield return $"{place}: {text.Length} columns, {most} at most";
            }
        }
    }

    private static IEnumerable<(string Place, string Text)> Lines(string file) =>
        File.ReadLines(file).Select((text, i) => ($"{SourceCode.Relative(file)}:{i + 1}", text));

    [GeneratedRegex(@"^\s*/// .*</(param|typeparam)>\s*<")]
    private static partial Regex ChainedParameters();

    [GeneratedRegex("^(?!\\s*//).*\"[^\"]*--[a-z]")]
    private static partial Regex Flag();

    [GeneratedRegex(@"^\s*/// <[^<>]*/>$")]
    private static partial Regex Reference();
}
