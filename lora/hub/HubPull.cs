using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Hub;

/// <summary>
/// Finds a model or an adapter: in the cache where it is whole there, else on the hub, from where
/// it goes into the cache.
/// </summary>
/// <param name="settings">Where both are.</param>
/// <param name="progress">Is told how far a download is; may be null.</param>
internal sealed class HubPull(HubSettings settings, IProgress<HubProgress>? progress = null)
{
    private readonly HubCache cache = new(settings.CacheRoot);

    /// <summary>Where the files of a name are; what the cache lacks is downloaded.</summary>
    /// <param name="name">Model or adapter, with its revision.</param>
    /// <param name="refresh">Asks the hub for the revision's newest commit in any case.</param>
    /// <param name="cancellation">Ends a download; what is there stays for the next time.</param>
    /// <exception cref="InputException">
    /// There is none, it has no files that are read here, the hub cannot be reached or asked, or
    /// the cache cannot be written.
    /// </exception>
    public async Task<HubSnapshot> Get(HubName name, bool refresh, CancellationToken cancellation)
    {
        if (!refresh && InCache(name) is { } there)
        {
            return there;
        }
        if (settings.IsOffline)
        {
            throw HubErrors.Offline(cache, name);
        }
        using var client = new HubClient(settings);
        var listing = await client.List(name, cancellation);
        var wanted = HubFiles.Wanted(name, listing.Files);
        try
        {
            var download = new HubDownload(settings, client, cache, name, listing.Commit);
            var got = 0L;
            if (wanted.Contains(Checkpoint.IndexName))
            {
                // first of all, for it says what else there is
                got += await Fetch(client, download, name, listing.Commit, [Checkpoint.IndexName], cancellation);
                wanted = [.. wanted, .. HubFiles.Shards(name, download.PathOf(Checkpoint.IndexName), listing.Files)];
            }
            got += await Fetch(client, download, name, listing.Commit, wanted, cancellation);
            cache.WriteAbsent(name, listing.Commit, HubFiles.Known.Where(file => !listing.Files.Contains(file)));
            cache.WriteReference(name, listing.Commit);
            return new HubSnapshot(name, listing.Commit, cache.SnapshotOf(name, listing.Commit))
            {
                DownloadedBytes = got > 0 ? got : null,
            };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw HubErrors.CannotWrite(cache, e);
        }
    }

    /// <summary>What the cache has, if it is whole.</summary>
    public HubSnapshot? InCache(HubName name) => cache.CommitOf(name) is { } commit
        && cache.SnapshotOf(name, commit) is var folder && HubFiles.IsWhole(folder)
        ? new HubSnapshot(name, commit, folder) : null;

    private async Task<long> Fetch(HubClient client, HubDownload download, HubName name, string commit,
        IReadOnlyList<string> files, CancellationToken cancellation)
    {
        var missing = new List<HubFile>();
        foreach (var file in files.Where(file => !File.Exists(download.PathOf(file))))
        {
            missing.Add(await client.Describe(name, commit, file, cancellation));
        }
        var (done, total, got) = (0L, missing.Sum(file => file.Size), 0L);
        foreach (var file in missing)
        {
            got += await download.Fetch(file, (bytes, isWaiting) =>
                progress?.Report(new HubProgress(file.Name, done + bytes, total, isWaiting)), cancellation);
            done += file.Size;
        }
        return got;
    }
}
