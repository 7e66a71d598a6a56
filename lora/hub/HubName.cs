using System.Text.RegularExpressions;

namespace LoraScratch.Lora.Hub;

/// <summary>
/// A model or an adapter on the hub: ORG/NAME, or NAME as a few old ones are called.
/// </summary>
/// <param name="Name">ORG/NAME</param>
/// <param name="Revision">A branch, a tag or a commit.</param>
internal sealed partial record HubName(string Name, string Revision)
{
    /// <summary>The branch that is meant where none is named.</summary>
    public const string DefaultRevision = "main";

    private const int MaxNameLength = 96, MaxRevisionLength = 200;

    /// <summary>Whether its owner is named: a bare word could as well be a folder's.</summary>
    public bool HasOwner => Name.Contains('/', StringComparison.Ordinal);

    /// <summary>The revision; null where it is the default one.</summary>
    public string? OtherRevision => Revision == DefaultRevision ? null : Revision;

    /// <summary>The last part of the name.</summary>
    public string ShortName => Name[(Name.LastIndexOf('/') + 1)..];

    /// <summary>Reads ORG/NAME or ORG/NAME@REVISION.</summary>
    /// <returns>Null where it cannot be such a name.</returns>
    public static HubName? Parse(string text)
    {
        var at = text.IndexOf('@', StringComparison.Ordinal);
        return at < 0 ? Of(text, null) : Of(text[..at], text[(at + 1)..]);
    }

    /// <summary>The same from both parts.</summary>
    /// <param name="name">ORG/NAME, or NAME.</param>
    /// <param name="revision">A branch, tag or commit; null: the default one.</param>
    public static HubName? Of(string name, string? revision) =>
        IsName(name) && (revision is null || IsRevision(revision))
            ? new HubName(name, revision ?? DefaultRevision) : null;

    /// <summary>
    /// Whether it can be the name of a model on the hub, ORG/NAME or NAME: a path that has more to
    /// it cannot.
    /// </summary>
    public static bool IsName(string name) => name.Length <= MaxNameLength && NamePattern().IsMatch(name)
        && !name.Contains("--", StringComparison.Ordinal) && !name.Contains("..", StringComparison.Ordinal);

    /// <summary>Whether it is a commit: 40 hexadecimal digits.</summary>
    public static bool IsCommit(string text) => CommitPattern().IsMatch(text);

    /// <summary>As it is typed.</summary>
    public override string ToString() => OtherRevision is { } other ? $"{Name}@{other}" : Name;

    /// <summary>
    /// By the rules for names in Git; so no part of it leads out of the folder that it names a file
    /// in.
    /// </summary>
    private static bool IsRevision(string revision) => revision.Length is > 0 and <= MaxRevisionLength
        && !revision.Contains("..", StringComparison.Ordinal) && !revision.Any(letter => letter <= ' '
            || char.IsControl(letter) || "~^:?*[\\\"<>|".Contains(letter, StringComparison.Ordinal))
        && revision.Split('/').All(part => part.Length > 0 && part[0] != '.');

    [GeneratedRegex("^[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)?\\z")]
    private static partial Regex NamePattern();

    [GeneratedRegex("^[0-9a-f]{40}\\z")]
    private static partial Regex CommitPattern();
}
