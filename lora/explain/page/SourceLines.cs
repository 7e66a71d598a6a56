using System.Text.RegularExpressions;

namespace LoraScratch.Lora.Explaining;

/// <summary>Lines of this program's own source, as they were when it was built.</summary>
/// <param name="File">Path below the solution.</param>
/// <param name="FirstLine">Counted from 1.</param>
/// <param name="Lines">The method, its documentation left out, without common indentation.</param>
internal sealed partial record SourceLines(string File, int FirstLine, IReadOnlyList<string> Lines)
{
    private const string Prefix = "source/";

    private static readonly Lazy<(string File, string[] Lines)[]> Files = new(() =>
        [.. Assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal))
            .Order(StringComparer.Ordinal).Select(name => (name[Prefix.Length..], Read(name)))]);

    private static System.Reflection.Assembly Assembly => typeof(SourceLines).Assembly;

    /// <summary>"engine/ops/MatMul.cs, lines 16 to 25"</summary>
    public string Place => $"{File}, lines {FirstLine} to {FirstLine + Lines.Count - 1}";

    /// <summary>The lines, one below the other.</summary>
    public string Text => string.Join('\n', Lines);

    /// <summary>The method that computes an op and records its gradients.</summary>
    /// <param name="operation">The op's name, which is its method's.</param>
    /// <returns>Null for an op of the user's own.</returns>
    public static SourceLines? OfOperation(string operation)
    {
        foreach (var (file, lines) in Files.Value)
        {
            var first = Array.FindIndex(lines, line =>
                Method().Match(line) is { Success: true } match && match.Groups[1].Value == operation);
            if (first >= 0)
            {
                return Cut(file, lines, first);
            }
        }
        return null;
    }

    /// <summary>Every method of the embedded files that makes an op.</summary>
    internal static IEnumerable<SourceLines> All() => Files.Value.SelectMany(entry => entry.Lines
        .Select((line, i) => (line, i)).Where(at => Method().IsMatch(at.line))
        .Select(at => Cut(entry.File, entry.Lines, at.i)));

    /// <summary>From a method's head to its end: a brace alone, or a semicolon.</summary>
    private static SourceLines Cut(string file, string[] lines, int first)
    {
        var indentation = lines[first].Length - lines[first].TrimStart().Length;
        var end = $"{new string(' ', indentation)}}}";
        var brace = Array.FindIndex(lines, first, line => line.TrimEnd().EndsWith('{') || line.TrimEnd().EndsWith(';')
            || line.TrimEnd() == $"{new string(' ', indentation)}{{");
        var last = lines[brace].TrimEnd().EndsWith(';') ? brace : Array.FindIndex(lines, brace, line => line == end);
        return new SourceLines(file, first + 1, [.. lines[first..(last + 1)]
            .Select(line => line.Length > indentation ? line[indentation..] : line.TrimStart())]);
    }

    private static string[] Read(string name)
    {
        using var reader = new StreamReader(Assembly.GetManifestResourceStream(name)!);
        return reader.ReadToEnd().ReplaceLineEndings("\n").TrimEnd('\n').Split('\n');
    }

    [GeneratedRegex(@"^\s*public static Tensor (\w+)\(")]
    private static partial Regex Method();
}
