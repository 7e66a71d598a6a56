using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Hub;

/// <summary>
/// Downloads the files of a commit into the cache: what was cut goes on where it ended, and what
/// has arrived must have the hash that the hub names.
/// </summary>
/// <param name="settings">How the hub and the file system are used.</param>
/// <param name="client">Asks the hub.</param>
/// <param name="cache">Where to.</param>
/// <param name="name">The model.</param>
/// <param name="commit">Its commit.</param>
internal sealed class HubDownload(HubSettings settings, HubClient client, HubCache cache, HubName name, string commit)
{
    private const string Incomplete = ".incomplete";

    /// <summary>Where a file of the commit is, or will be.</summary>
    public string PathOf(string file) => Path.Combine(cache.SnapshotOf(name, commit), file);

    /// <summary>Downloads a file, unless the cache has it from another commit.</summary>
    /// <param name="file">The file.</param>
    /// <param name="progress">Is told how many bytes of it are there, and whether it waits.</param>
    /// <param name="cancellation">Ends it; what is there stays for the next time.</param>
    /// <returns>Bytes that were downloaded.</returns>
    /// <exception cref="InputException">
    /// The hub gives something else, cannot be reached, or the cache cannot be written.
    /// </exception>
    public async Task<long> Fetch(HubFile file, Action<long, bool> progress, CancellationToken cancellation)
    {
        var (blob, pointer, taken) = (cache.BlobOf(name, file.Hash), PathOf(file.Name), cache.LockOf(name, file.Hash));
        cache.CreateFolderOf(name, blob);
        cache.CreateFolderOf(name, pointer);
        Directory.CreateDirectory(Path.GetDirectoryName(taken)!);
        using var own = await HubLock.Take(taken, () => progress(0, true), cancellation);
        var got = 0L;
        HubCache.RequireNoLink(blob);
        if (!File.Exists(pointer))
        {
            var isNew = !File.Exists(blob);
            if (isNew)
            {
                got = await Receive(file, blob, progress, cancellation);
            }
            Point(pointer, blob, isNew);
        }
        progress(file.Size, false);
        return got;
    }

    private async Task<long> Receive(HubFile file, string blob, Action<long, bool> progress,
        CancellationToken cancellation)
    {
        var path = blob + Incomplete;
        HubCache.RequireNoLink(path);
        var got = 0L;
        var isResumed = File.Exists(path) && new FileInfo(path).Length > 0;
        while (true)
        {
            await using (var part = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite))
            {
                RequireSpace(file, part.Length);
                got += await Receive(file, part, progress, cancellation);
                Save(() => part.Flush(flushToDisk: true));
            }
            if (await HashOf(path, file, cancellation) is var found && found == file.Hash)
            {
                Save(() => File.Move(path, blob));
                return got;
            }
            File.Delete(path);
            if (!isResumed)
            {
                throw new InputException($"{name}: {file.Name} has arrived damaged: its "
                    + $"{(file.Hash.Length == 64 ? "SHA-256" : "SHA-1")} is {found}, and {settings.Address} says "
                    + $"{file.Hash}. It was deleted. Try again; if it stays so, the file there, or a proxy on the way, "
                    + "is to blame.");
            }
            isResumed = false;                                  // what was there before may be to blame
        }
    }

    /// <summary>Gets the rest of a file, with as many connections as it takes.</summary>
    /// <returns>Bytes that were downloaded.</returns>
    private async Task<long> Receive(HubFile file, FileStream part, Action<long, bool> progress,
        CancellationToken cancellation)
    {
        var (got, failures) = (0L, 0);
        if (part.Length > file.Size)
        {
            part.SetLength(0);                                  // not the beginning of this file
        }
        while (part.Length < file.Size)
        {
            var before = got;
            try
            {
                part.Position = part.Length;
                var (response, goesOn) = await client.Open(name, commit, file.Name, part.Length, cancellation);
                if (!goesOn)
                {
                    part.SetLength(0);
                }
                if (response is null)
                {
                    throw new IOException("it says that the file ends before what is there already");
                }
                using (response)
                {
                    await using var stream = await response.Content.ReadAsStreamAsync(cancellation);
                    await foreach (var bytes in client.Parts(stream, cancellation))
                    {
                        RequireSize(file, part, part.Length + bytes.Length);
                        Save(() => part.Write(bytes.Span));
                        got += bytes.Length;
                        progress(part.Length, false);
                    }
                }
                if (part.Length < file.Size)
                {
                    throw new IOException(string.Create(CultureInfo.InvariantCulture,
                        $"{file.Name} ended after {part.Length:N0} of {file.Size:N0} bytes"));
                }
            }
            catch (Exception e) when (HubClient.IsPassing(e))
            {
                failures = got > before ? 1 : failures + 1;     // as long as something comes it is worth while
                await client.Pause(name, e, failures, cancellation);
            }
        }
        return got;
    }

    private void RequireSize(HubFile file, FileStream part, long length)
    {
        if (length > file.Size)
        {
            part.SetLength(0);
            throw new InputException(string.Create(CultureInfo.InvariantCulture,
                $"{name}: {file.Name} is longer than the {file.Size:N0} bytes that {settings.Address} says. It was "
                    + $"deleted. Try again; if it stays so, the file there, or a proxy on the way, is to blame."));
        }
    }

    private void RequireSpace(HubFile file, long there)
    {
        long free;
        try
        {
            free = new DriveInfo(cache.Root).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return;                                             // a disk that does not say it says so when it is full
        }
        if (file.Size - there > free)
        {
            throw HubErrors.CannotWrite(cache, new IOException(string.Create(CultureInfo.InvariantCulture,
                $"{file.Name} needs {file.Size - there:N0} bytes, and the disk has {free:N0} left")));
        }
    }

    /// <summary>
    /// Lets a commit's file lead to its contents. Where there are no links, the contents stand in
    /// the file's place; those that other commits may lead to are copied.
    /// </summary>
    private void Point(string pointer, string blob, bool isNew)
    {
        if (new FileInfo(pointer).LinkTarget is not null)
        {
            File.Delete(pointer);                               // it leads to nothing
        }
        try
        {
            settings.Link(pointer, Path.GetRelativePath(Path.GetDirectoryName(pointer)!, blob));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or PlatformNotSupportedException)
        {
            if (isNew)
            {
                File.Move(blob, pointer);
                return;
            }
            var copy = $"{pointer}{Incomplete}";
            File.Copy(blob, copy, overwrite: true);
            File.Move(copy, pointer);
        }
    }

    /// <summary>A disk that is full is no connection that was cut.</summary>
    private void Save(Action write)
    {
        try
        {
            write();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw HubErrors.CannotWrite(cache, e);
        }
    }

    /// <summary>SHA-256 of the bytes, or SHA-1 of them as Git stores them.</summary>
    private static async Task<string> HashOf(string path, HubFile file, CancellationToken cancellation)
    {
        var isGit = file.Hash.Length == 40;
        using var hash = IncrementalHash.CreateHash(isGit ? HashAlgorithmName.SHA1 : HashAlgorithmName.SHA256);
        await using var stream = File.OpenRead(path);
        if (isGit)
        {
            hash.AppendData(Encoding.ASCII.GetBytes(
                string.Create(CultureInfo.InvariantCulture, $"blob {stream.Length}\0")));
        }
        var buffer = new byte[1 << 17];
        for (int count; (count = await stream.ReadAsync(buffer, cancellation)) > 0;)
        {
            hash.AppendData(buffer, 0, count);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
