using System.Text.RegularExpressions;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Hub;

/// <summary>
/// The cache that Python's huggingface_hub and other programs share: below the root
/// models--ORG--NAME/refs/REVISION names a commit, blobs/HASH is a file of any of them, and
/// snapshots/COMMIT/FILE leads to it; .no_exist/COMMIT/FILE says that a commit has no such file
/// (Hugging Face, hub-docs, local-cache.md).
/// </summary>
/// <param name="root">The cache's folder, which need not exist.</param>
internal sealed partial class HubCache(string root)
{
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
    public static string RootOf(Func<string, string?> variable) => Set("HF_HUB_CACHE", variable)
        ?? Set("HUGGINGFACE_HUB_CACHE", variable) ?? Path.Combine(HomeOf(variable), "hub");

    /// <summary>The folder that cache and token are in.</summary>
    /// <param name="variable">As for <see cref="RootOf"/>.</param>
    public static string HomeOf(Func<string, string?> variable) => Set("HF_HOME", variable)
        ?? Path.Combine(Set("XDG_CACHE_HOME", variable) ?? Expanded("~/.cache", variable), "huggingface");

    /// <summary>As Python's expanduser and expandvars have it.</summary>
    public static string Expanded(string path, Func<string, string?> variable)
    {
        var home = variable("HOME") is { Length: > 0 } given ? given
            : Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        path = path == "~" || path.StartsWith("~/", StringComparison.Ordinal) ? home + path[1..] : path;
        return Variable().Replace(path, match => variable(match.Groups[1].Value) ?? match.Value);
    }

    /// <summary>The folder of a model, whether it is there or not.</summary>
    /// <param name="name">ORG/NAME, or NAME.</param>
    public string FolderOf(string name) => Path.Combine(root, FolderName(name));

    /// <summary>Where a commit's files are, or will be.</summary>
    public string SnapshotOf(HubName name, string commit) => Path.Combine(FolderOf(name.Name), "snapshots", commit);

    /// <summary>Where the contents of a file are, or will be.</summary>
    /// <param name="name">The model.</param>
    /// <param name="hash">As the hub names it.</param>
    public string BlobOf(HubName name, string hash) => Path.Combine(FolderOf(name.Name), "blobs", hash);

    /// <summary>The file whose lock whoever downloads such contents holds.</summary>
    /// <param name="name">The model.</param>
    /// <param name="hash">As the hub names it.</param>
    public string LockOf(HubName name, string hash) =>
        Path.Combine(root, ".locks", FolderName(name.Name), $"{hash}.lock");

    /// <summary>The commit that a revision is; null where the cache does not know it.</summary>
    public string? CommitOf(HubName name)
    {
        if (HubName.IsCommit(name.Revision))
        {
            return name.Revision;
        }
        var reference = ReferenceOf(name);
        return File.Exists(reference) && File.ReadAllText(reference).Trim() is var commit && HubName.IsCommit(commit)
            ? commit : null;
    }

    /// <summary>The files of a model, as far as they are there.</summary>
    /// <returns>The folder that holds them; null where the cache does not have the model.</returns>
    /// <exception cref="InputException">
    /// It has the model and not this revision, or not its files.
    /// </exception>
    public string? Find(HubName name)
    {
        var folder = FolderOf(name.Name);
        if (!Directory.Exists(folder))
        {
            return null;
        }
        if (CommitOf(name) is not { } commit)
        {
            throw new InputException(File.Exists(ReferenceOf(name))
                ? $"{ReferenceOf(name)}: a commit of 40 hexadecimal digits is expected. {Download(name)}"
                : $"{folder}: has no revision '{name.Revision}' of {name.Name}. {Download(name)}");
        }
        var snapshot = SnapshotOf(name, commit);
        return Directory.Exists(snapshot) ? snapshot : throw new InputException(
            $"{snapshot}: the files of {name.Name} are not there. {Download(name)}");
    }

    /// <summary>Whether the cache knows that a commit has no such file.</summary>
    public bool KnowsAbsent(HubName name, string commit, string file) => File.Exists(AbsentOf(name, commit, file));

    /// <summary>Notes that a commit has no such files.</summary>
    public void WriteAbsent(HubName name, string commit, IEnumerable<string> files)
    {
        foreach (var path in files.Select(file => AbsentOf(name, commit, file)).Where(path => !File.Exists(path)))
        {
            CreateFolderOf(name, path);
            File.WriteAllBytes(path, []);
        }
    }

    /// <summary>
    /// Notes which commit a revision is. Last of all, so that a revision never leads to files that
    /// are not there yet.
    /// </summary>
    public void WriteReference(HubName name, string commit)
    {
        if (name.Revision == commit || CommitOf(name) == commit)
        {
            return;
        }
        CreateFolderOf(name, ReferenceOf(name));
        AtomicFile.WriteText(ReferenceOf(name), commit);
    }

    /// <summary>
    /// Makes the folder that a file of a model goes into, and refuses one that leads elsewhere.
    /// </summary>
    /// <param name="name">The model.</param>
    /// <param name="path">The file, below the model's folder.</param>
    /// <exception cref="InputException">A folder on the way is a link.</exception>
    public void CreateFolderOf(HubName name, string path)
    {
        var top = FolderOf(name.Name);
        for (var folder = Path.GetDirectoryName(path); folder is not null && folder.Length > top.Length;
            folder = Path.GetDirectoryName(folder))
        {
            RequireNoLink(folder);
        }
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
    }

    /// <summary>Refuses a link, through which somebody else's file would be written.</summary>
    /// <exception cref="InputException">It is one.</exception>
    public static void RequireNoLink(string path)
    {
        if (new FileInfo(path).LinkTarget is { } target)
        {
            throw new InputException($"{path}: is a link to {Describe.Name(target)}, where the Hugging Face cache has "
                + "none, and would be written. Delete it.");
        }
    }

    /// <summary>How the files of a model get into the cache.</summary>
    public static string Download(HubName name)
    {
        var words = name.OtherRevision is { } other ? $"\"{name.Name}\", \"{other}\"" : $"\"{name.Name}\"";
        return $"HubModel.Get({words}) downloads it, and so does Python: huggingface_hub.snapshot_download("
            + $"\"{name.Name}\"{(name.OtherRevision is { } given ? $", revision=\"{given}\"" : "")}).";
    }

    private static string FolderName(string name) => $"models--{name.Replace("/", "--", StringComparison.Ordinal)}";

    private static string? Set(string name, Func<string, string?> variable) =>
        variable(name) is { Length: > 0 } value ? Expanded(value, variable) : null;

    private string ReferenceOf(HubName name) => Path.Combine(FolderOf(name.Name), "refs", name.Revision);

    private string AbsentOf(HubName name, string commit, string file) =>
        Path.Combine(FolderOf(name.Name), ".no_exist", commit, file);

    [GeneratedRegex(@"\$\{?(\w+)\}?")]
    private static partial Regex Variable();
}
