namespace LoraScratch.Engine.IO;

/// <summary>
/// The right to write a folder or a file, which one process has at a time: from before the work
/// starts until its result is written. It is a lock of the operating system on a file
/// .NAME.lora.lock beside the target, so it ends with its process, however that ends; what a kill
/// leaves of the file is taken over by the next process, and removed by it.
/// </summary>
internal sealed class OutputLock : IDisposable
{
    // By full path: what this process holds. The system's lock cannot tell a save within a run from another process.
    private static readonly HashSet<string> Held = new(StringComparer.Ordinal);

    private static readonly char Separator = System.IO.Path.DirectorySeparatorChar;

    private readonly string name;
    private readonly FileStream file;

    private OutputLock(string path, string name)
    {
        (Path, this.name) = (path, name);
        file = Open(path, LockFile(name));
        if (IsFree(file.Name))
        {
            Warning = $"{path}: there are no locks on files here, so that nothing keeps another process from writing "
                + "to it too. Take care that none does.";
        }
    }

    /// <summary>What is to be written, as the caller named it.</summary>
    public string Path { get; }

    /// <summary>
    /// Null where the lock holds. On a file system without locks, or with .NET's locks switched
    /// off, a sentence for the user: the work goes on, for there is no other way there.
    /// </summary>
    public string? Warning { get; }

    /// <summary>
    /// Takes the right to write; it is given back when it is disposed, or the process ends.
    /// </summary>
    /// <param name="path">A folder or a file, existing or not, in a folder that exists.</param>
    /// <param name="check">
    /// Refuses what is there by an exception. It is called when no other process can change it any
    /// more; if it throws, the right is given back.
    /// </param>
    /// <exception cref="InputException">
    /// Another process has it, or this one; or the lock file cannot be made.
    /// </exception>
    public static OutputLock Take(string path, Action? check = null)
    {
        RequireParent(path);
        var name = Name(path);
        lock (Held)
        {
            if (!Held.Add(name))
            {
                throw Busy(path, "this process");
            }
        }
        OutputLock? taken = null;
        try
        {
            taken = new OutputLock(path, name);
            check?.Invoke();
            return taken;
        }
        catch
        {
            taken?.file.Dispose();
            Forget(name);
            throw;
        }
    }

    /// <summary>
    /// As <see cref="Take"/>, for a save that may be the end of a run which has the right already.
    /// </summary>
    /// <param name="path">As in <see cref="Take"/>.</param>
    /// <returns>Null where this process holds the path, or a folder above it.</returns>
    /// <exception cref="InputException">As from <see cref="Take"/>.</exception>
    public static OutputLock? TakeUnlessHeld(string path)
    {
        RequireParent(path);
        var name = Name(path);
        bool isHeld;
        lock (Held)
        {
            isHeld = Held.Any(held => name == held || name.StartsWith(held + Separator, StringComparison.Ordinal));
        }
        return isHeld ? null : Take(path);
    }

    /// <summary>Gives the right back; the lock file is gone then.</summary>
    public void Dispose()
    {
        file.Dispose();
        Forget(name);
    }

    /// <exception cref="InputException">
    /// The folder that is to hold the target does not exist.
    /// </exception>
    internal static void RequireParent(string path)
    {
        var parent = System.IO.Path.GetDirectoryName(Whole(path));
        if (parent is null || !Directory.Exists(parent))
        {
            throw new InputException($"{path}: cannot be written: "
                + $"{(parent is null ? "it is the root of a disk" : $"there is no folder {parent}")}. "
                + "Create the parent folder or choose another name.");
        }
    }

    /// <summary>
    /// The full path; of a link that of what it leads to, which is what is written.
    /// </summary>
    private static string Name(string path)
    {
        var whole = Whole(path);
        try
        {
            var target = new DirectoryInfo(whole).ResolveLinkTarget(returnFinalTarget: true);
            return target is null ? whole : Whole(target.FullName);
        }
        catch (IOException)
        {
            return whole;                           // links in a circle: writing will say so
        }
    }

    private static string Whole(string path) =>
        System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));

    private static string LockFile(string name) => System.IO.Path.Combine(
        System.IO.Path.GetDirectoryName(name) ?? name, $".{System.IO.Path.GetFileName(name)}.lora.lock");

    /// <summary>
    /// With these options .NET looks, once it has the lock, whether the name still means the file
    /// that it opened, and begins again if not; and it deletes the file before it gives the lock
    /// back. So a process that opened the file just before its deletion does not take it for the
    /// lock.
    /// </summary>
    private static FileStream Open(string path, string lockFile)
    {
        if (new FileInfo(lockFile).LinkTarget is { } target)
        {
            throw new InputException($"{path}: cannot be written: {lockFile} is a link to {target}, and would be the "
                + "lock. Delete it.");
        }
        try
        {
            var stream = new FileStream(lockFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None,
                bufferSize: 1, FileOptions.DeleteOnClose);
            // Nobody can read a locked file, but everybody can see how long it is.
            AtomicFile.Quietly(() => stream.SetLength(Environment.ProcessId));
            return stream;
        }
        catch (IOException e) when (IsLocked(e))
        {
            throw Busy(path, Owner(lockFile));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw File.Exists(lockFile)
                ? new InputException(
                    $"{path}: cannot be written: {e.Message} If no process writes to {path}, delete {lockFile}.")
                : AtomicFile.CannotWrite(path, e, lockFile);
        }
    }

    /// <summary>
    /// Whether a file that this process has locked can be opened once more: then locks mean nothing
    /// here.
    /// </summary>
    private static bool IsFree(string lockFile)
    {
        try
        {
            new FileStream(lockFile, FileMode.Open, FileAccess.ReadWrite, FileShare.None, bufferSize: 1).Dispose();
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string Owner(string lockFile)
    {
        var process = 0L;
        AtomicFile.Quietly(() => process = new FileInfo(lockFile).Length);
        return process > 0 ? FormattableString.Invariant($"another process (id {process})") : "another process";
    }

    private static InputException Busy(string path, string who) =>
        new($"{path}: {who} writes to it at this moment. Wait until that has ended, or choose another name.");

    /// <summary>
    /// EWOULDBLOCK of Linux and of macOS; Windows' violations of sharing and locks.
    /// </summary>
    private static bool IsLocked(IOException trouble) => OperatingSystem.IsWindows()
        ? (trouble.HResult & 0xFFFF) is 32 or 33
        : trouble.HResult is 11 or 35;

    private static void Forget(string name)
    {
        lock (Held)
        {
            Held.Remove(name);
        }
    }
}
