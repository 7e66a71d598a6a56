using LoraScratch.Engine;

namespace LoraScratch.Lora.Hub;

/// <summary>A revision in the cache.</summary>
/// <param name="Commit">Its commit.</param>
/// <param name="References">The branches and tags that lead to it; may be none.</param>
/// <param name="Bytes">Of its files, also of those that other revisions share.</param>
internal sealed record CachedRevision(string Commit, IReadOnlyList<string> References, long Bytes);

/// <summary>A model or an adapter in the cache.</summary>
/// <param name="Name">ORG/NAME</param>
/// <param name="Revisions">Those that there are.</param>
/// <param name="Bytes">On the disk, with what is there of unfinished downloads.</param>
/// <param name="UnfinishedBytes">Of these alone.</param>
/// <param name="LastUsed">When one of its files was last read, as the disk tells.</param>
internal sealed record CachedModel(string Name, IReadOnlyList<CachedRevision> Revisions, long Bytes,
    long UnfinishedBytes, DateTime LastUsed);

/// <summary>What the cache holds, and how it is removed.</summary>
/// <param name="cache">The cache.</param>
internal sealed class HubCacheListing(HubCache cache)
{
    private const string Prefix = "models--", Incomplete = ".incomplete";

    /// <summary>All models and adapters, in the order of their names.</summary>
    public IReadOnlyList<CachedModel> Models() => !Directory.Exists(cache.Root) ? []
        : [.. Directory.EnumerateDirectories(cache.Root, Prefix + "*").Select(Path.GetFileName)
            .Select(folder => folder![Prefix.Length..].Replace("--", "/", StringComparison.Ordinal))
            .Where(HubName.IsName).Order(StringComparer.Ordinal).Select(Read)];

    /// <summary>Removes a model, or one revision of it with the files that no other has.</summary>
    /// <param name="name">Which.</param>
    /// <param name="revision">Whether one revision alone is meant.</param>
    /// <returns>Bytes that the disk has more now.</returns>
    /// <exception cref="InputException">
    /// The cache does not have it, or a process downloads it at this moment.
    /// </exception>
    public long Remove(HubName name, bool revision)
    {
        var folder = cache.FolderOf(name.Name);
        if (!Directory.Exists(folder))
        {
            throw new InputException($"{name}: the Hugging Face cache ({cache.Root}) does not have it.");
        }
        RequireIdle(name);
        var before = Read(name.Name);
        if (!revision || before.Revisions is [var only] && only.Commit == cache.CommitOf(name))
        {
            Directory.Delete(folder, recursive: true);
            return before.Bytes;
        }
        if (cache.CommitOf(name) is not { } commit
            || before.Revisions.FirstOrDefault(entry => entry.Commit == commit) is not { } removed)
        {
            throw new InputException($"{name}: the Hugging Face cache has no revision '{name.Revision}' of it. It has "
                + $"{string.Join(", ", before.Revisions.SelectMany(entry => entry.References.Append(entry.Commit)))}.");
        }
        foreach (var reference in removed.References)
        {
            File.Delete(Path.Combine(folder, "refs", reference));
        }
        foreach (var part in (string[])["snapshots", ".no_exist"])
        {
            var path = Path.Combine(folder, part, commit);
            if (Directory.Exists(path))
            {
                Directory.Delete(path, recursive: true);
            }
        }
        if (Path.Combine(folder, "trees", $"{commit}.json") is var noted && File.Exists(noted))
        {
            File.Delete(noted);                                 // by Python
        }
        DeleteUnused(folder);
        return before.Bytes - Read(name.Name).Bytes;
    }

    private CachedModel Read(string name)
    {
        var folder = new DirectoryInfo(cache.FolderOf(name));
        var references = Below(folder, "refs").Select(file =>
            (Name: Path.GetRelativePath(Path.Combine(folder.FullName, "refs"), file.FullName).Replace('\\', '/'),
                Commit: File.ReadAllText(file.FullName).Trim())).ToList();
        var snapshots = new DirectoryInfo(Path.Combine(folder.FullName, "snapshots"));
        var revisions = !snapshots.Exists ? [] : snapshots.EnumerateDirectories()
            .Where(snapshot => HubName.IsCommit(snapshot.Name)).Select(snapshot => new CachedRevision(snapshot.Name,
                [.. references.Where(entry => entry.Commit == snapshot.Name).Select(entry => entry.Name)
                    .Order(StringComparer.Ordinal)],
                snapshot.EnumerateFiles("*", SearchOption.AllDirectories).Sum(HubSnapshot.SizeOf)))
            .OrderBy(revision => revision.References.Count == 0).ThenBy(revision => revision.Commit).ToList();
        var blobs = Below(folder, "blobs").ToList();
        var files = blobs.Concat(Below(folder, "snapshots").Where(file => file.LinkTarget is null)).ToList();
        return new CachedModel(name, revisions, files.Sum(file => file.Length),
            blobs.Where(IsUnfinished).Sum(file => file.Length),
            files.Count == 0 ? folder.LastWriteTime : files.Max(file => file.LastAccessTime));
    }

    /// <summary>Deletes contents that no revision leads to.</summary>
    private static void DeleteUnused(string folder)
    {
        var used = Below(new DirectoryInfo(folder), "snapshots").Select(file => file.LinkTarget).OfType<string>()
            .Select(Path.GetFileName).ToHashSet();
        foreach (var blob in Below(new DirectoryInfo(folder), "blobs")
            .Where(blob => !IsUnfinished(blob) && !used.Contains(blob.Name)))
        {
            blob.Delete();
        }
    }

    private void RequireIdle(HubName name)
    {
        var locks = Path.GetDirectoryName(cache.LockOf(name, "x"))!;
        foreach (var path in Directory.Exists(locks) ? Directory.GetFiles(locks, "*.lock") : [])
        {
            using var free = HubLock.TryTake(path);
            if (free is null)
            {
                throw new InputException($"{name.Name}: another process downloads it at this moment. Wait until that "
                    + "has ended.");
            }
        }
    }

    private static bool IsUnfinished(FileInfo file) => file.Name.EndsWith(Incomplete, StringComparison.Ordinal);

    private static IEnumerable<FileInfo> Below(DirectoryInfo folder, string child) =>
        new DirectoryInfo(Path.Combine(folder.FullName, child)) is { Exists: true } there
            ? there.EnumerateFiles("*", SearchOption.AllDirectories) : [];
}
