using System.Text.RegularExpressions;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// What Python's huggingface_hub has downloaded, read and never written: below the root
/// models--ORG--NAME/refs/REVISION names a commit, and snapshots/COMMIT holds its files (Hugging
/// Face, hub-docs, local-cache.md). Nothing is downloaded.
/// </summary>
/// <param name="root">The cache's folder, which need not exist.</param>
internal sealed partial class HubCache(string root)
{
    private const string DefaultRevision = "main";
    private const int MaxNameLength = 96;

    /// <summary>The cache of the person who runs the program.</summary>
    public static HubCache Default => new(RootOf(Environment.GetEnvironmentVariable));

    /// <summary>The folder.</summary>
    public string Root => root;

    /// <summary>
    /// Where a cache is, as huggingface_hub looks for it: HF_HUB_CACHE, else HUGGINGFACE_HUB_CACHE,
    /// else hub in HF_HOME, else huggingface/hub in XDG_CACHE_HOME or ~/.cache.
    /// </summary>
    /// <param name="variable">
    /// The value of an environment variable; null where it is not set.
    /// </param>
    public static string RootOf(Func<string, string?> variable)
    {
        string? Set(string name) => variable(name) is { Length: > 0 } value ? Expanded(value, variable) : null;
        return Set("HF_HUB_CACHE") ?? Set("HUGGINGFACE_HUB_CACHE") ?? Path.Combine(Set("HF_HOME")
            ?? Path.Combine(Set("XDG_CACHE_HOME") ?? Expanded("~/.cache", variable), "huggingface"), "hub");
    }

    /// <summary>
    /// Whether it can be the name of a model on the hub, ORG/NAME or NAME: a path that has more to
    /// it cannot.
    /// </summary>
    public static bool IsName(string name) => name.Length <= MaxNameLength && Name().IsMatch(name)
        && !name.Contains("--", StringComparison.Ordinal) && !name.Contains("..", StringComparison.Ordinal);

    /// <summary>The folder of a model, whether it is there or not.</summary>
    /// <param name="name">ORG/NAME, or NAME.</param>
    public string FolderOf(string name) =>
        Path.Combine(root, $"models--{name.Replace("/", "--", StringComparison.Ordinal)}");

    /// <summary>The files of a model.</summary>
    /// <param name="name">ORG/NAME, or NAME.</param>
    /// <param name="revision">A branch, tag or commit; null: main.</param>
    /// <returns>The folder that holds them; null where the cache does not have the model.</returns>
    /// <exception cref="InputException">
    /// It has the model and not this revision, or not its files.
    /// </exception>
    public string? Find(string name, string? revision = null)
    {
        revision ??= DefaultRevision;
        var folder = FolderOf(name);
        if (!IsName(name) || !Directory.Exists(folder))
        {
            return null;
        }
        var reference = Path.Combine(folder, "refs", revision);
        var commit = Commit().IsMatch(revision) ? revision
            : !IsRevision(revision) || !File.Exists(reference) ? throw new InputException(
                $"{folder}: has no revision '{revision}' of {name}. {Download(name, revision)}")
            : File.ReadAllText(reference).Trim();
        if (!Commit().IsMatch(commit))
        {
            throw new InputException($"{reference}: a commit of 40 hexadecimal digits is expected. "
                + Download(name, revision));
        }
        var snapshot = Path.Combine(folder, "snapshots", commit);
        return Directory.Exists(snapshot) ? snapshot : throw new InputException(
            $"{snapshot}: the files of {name} are not there. {Download(name, revision)}");
    }

    /// <summary>How the files of a model get into the cache.</summary>
    /// <param name="name">ORG/NAME, or NAME.</param>
    /// <param name="revision">As for <see cref="Find"/>.</param>
    public static string Download(string name, string? revision = null) =>
        $"Python downloads it: huggingface_hub.snapshot_download(\"{name}\""
        + $"{(revision is null or DefaultRevision ? "" : $", revision=\"{revision}\"")}).";

    /// <summary>As Python's expanduser and expandvars have it.</summary>
    private static string Expanded(string path, Func<string, string?> variable)
    {
        var home = variable("HOME") is { Length: > 0 } given ? given
            : Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        path = path == "~" || path.StartsWith("~/", StringComparison.Ordinal) ? home + path[1..] : path;
        return Variable().Replace(path, match => variable(match.Groups[1].Value) ?? match.Value);
    }

    private static bool IsRevision(string revision) => revision.Split('/').All(part => part.Length > 0 && part != ".."
        && !Path.IsPathRooted(part) && !part.Contains('\0', StringComparison.Ordinal));

    [GeneratedRegex("^[A-Za-z0-9_][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)?\\z")]
    private static partial Regex Name();

    [GeneratedRegex("^[0-9a-f]{40}\\z")]
    private static partial Regex Commit();

    [GeneratedRegex(@"\$\{?(\w+)\}?")]
    private static partial Regex Variable();
}
