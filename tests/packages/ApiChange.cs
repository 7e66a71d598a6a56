using System.Text.RegularExpressions;

namespace LoraScratch.Tests.Packages;

/// <summary>What happened to a public interface.</summary>
internal enum ApiChangeKind
{
    /// <summary>It is the same.</summary>
    None,

    /// <summary>Something is new, and all that was there is as it was.</summary>
    Addition,

    /// <summary>A program that was compiled against it may not compile any more.</summary>
    Breaking,
}

/// <summary>
/// The difference of two public interfaces, as <see cref="PublicApiTests"/> writes them down, and
/// which version it asks for: https://semver.org, where the second number of 0.x counts as the
/// first one does later.
/// </summary>
/// <param name="Kind">The most that happened.</param>
/// <param name="Lines">What is gone (−) and what is new (+).</param>
internal sealed partial record ApiChange(ApiChangeKind Kind, IReadOnlyList<string> Lines)
{
    /// <summary>Compares two snapshots.</summary>
    /// <param name="before">Types, each followed by its members, indented.</param>
    /// <param name="after">The same, later.</param>
    public static ApiChange Between(string before, string after)
    {
        var (old, now) = (Statements(before), Statements(after));
        var gone = old.Keys.Except(now.Keys).ToList();
        var added = now.Keys.Except(old.Keys).ToList();
        var isBreaking = gone.Count > 0 || added.Exists(line => now[line].MustBeImplemented
            && old.ContainsKey(now[line].Type));
        return new ApiChange(
            isBreaking ? ApiChangeKind.Breaking : added.Count > 0 ? ApiChangeKind.Addition : ApiChangeKind.None,
            [.. gone.Select(line => $"− {line}"), .. added.Select(line => $"+ {line}")]);
    }

    /// <summary>The lowest version that may follow a release with this change.</summary>
    public Version Least(Version release) => (Kind, release.Major) switch
    {
        (ApiChangeKind.None, _) => release,
        (ApiChangeKind.Addition, 0) => new Version(0, release.Minor, release.Build + 1),
        (ApiChangeKind.Addition, _) => new Version(release.Major, release.Minor + 1, 0),
        (_, 0) => new Version(0, release.Minor + 1, 0),
        _ => new Version(release.Major + 1, 0, 0),
    };

    /// <summary>
    /// Every type, each of its bases and each of its members, under its type; with the line of the
    /// type, and whether those who derive from it must write it.
    /// </summary>
    private static Dictionary<string, (string Type, bool MustBeImplemented)> Statements(string snapshot)
    {
        var statements = new Dictionary<string, (string, bool)>();
        var (head, name) = ("", "");
        foreach (var line in snapshot.Split('\n').Where(line => line.Trim().Length > 0 && line[0] != '#'))
        {
            if (line[0] == ' ')
            {
                var isDemanded = head.StartsWith("interface ", StringComparison.Ordinal) || Abstract().IsMatch(line);
                statements[$"{name}: {line.Trim()}"] = (head, isDemanded);
                continue;
            }
            var parts = line.Split(" : ", 2);
            (head, name) = (parts[0], Name().Match(parts[0]).Value);
            statements[head] = (head, false);
            foreach (var parent in parts.Length == 1 ? [] : Comma().Split(parts[1]))
            {
                statements[$"{name} : {parent}"] = (head, head.StartsWith("interface ", StringComparison.Ordinal));
            }
        }
        return statements;
    }

    // A name has no blank but behind the comma of its type parameters.
    [GeneratedRegex(@"(?:[^ ,]|, )+$")]
    private static partial Regex Name();

    // Not one between type arguments.
    [GeneratedRegex(", (?![^<]*>)")]
    private static partial Regex Comma();

    [GeneratedRegex(@"^\s*(public|protected) abstract ")]
    private static partial Regex Abstract();
}
