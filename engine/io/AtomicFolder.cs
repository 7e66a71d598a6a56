namespace LoraScratch.Engine.IO;

/// <summary>
/// Writes a folder whole or not at all: into a temporary folder beside it, then renamed. An older
/// folder of that name is replaced only where that is asked for and everything in it is ours; a
/// stranger's file is never deleted. One process writes at a time (<see cref="OutputLock"/>).
/// </summary>
internal static class AtomicFolder
{
    /// <summary>
    /// Writes the folder <paramref name="path"/> with what <paramref name="fill"/> puts into the
    /// folder that it is given.
    /// </summary>
    /// <param name="path">The folder; its parent must exist.</param>
    /// <param name="fill">
    /// Fills the folder whose path it gets. If it throws, the exception passes on and nothing has
    /// changed.
    /// </param>
    /// <param name="isOurs">
    /// Whether a file or folder of that name, directly in the target, is one that we write and may
    /// replace. Without it only a target that is missing or empty is accepted.
    /// </param>
    /// <param name="overwrite">
    /// Replaces what is there; without it only a target that is missing or empty is accepted.
    /// </param>
    /// <exception cref="InputException">
    /// The target holds something that is not ours or not to be replaced, another process writes
    /// it, or it cannot be written.
    /// </exception>
    public static void Write(string path, Action<string> fill, Predicate<string>? isOurs = null, bool overwrite = false)
    {
        using var own = OutputLock.TakeUnlessHeld(path);
        CheckTarget(path, isOurs, overwrite);
        var temporary = AtomicFile.TemporaryBeside(path);
        try
        {
            Directory.CreateDirectory(temporary);
            fill(temporary);
            CheckTarget(path, isOurs, overwrite);           // again: filling may have taken hours
            Replace(path, temporary);
        }
        catch (Exception e)
        {
            DeleteFolder(temporary);
            if (e is IOException or UnauthorizedAccessException)
            {
                throw AtomicFile.CannotWrite(path, e, temporary);
            }
            if (e is InputException && e.Message.Contains(temporary, StringComparison.Ordinal))
            {
                // the user knows nothing of the other folder
                throw new InputException(e.Message.Replace(temporary, path, StringComparison.Ordinal));
            }
            throw;
        }
    }

    /// <summary>
    /// Takes the right to write the folder and refuses what <see cref="Write"/> would refuse,
    /// before a long work begins.
    /// </summary>
    /// <param name="path">As in <see cref="Write"/>.</param>
    /// <param name="isOurs">As in <see cref="Write"/>.</param>
    /// <param name="overwrite">As in <see cref="Write"/>.</param>
    /// <returns>
    /// To be disposed when the folder is written: until then no other process writes it.
    /// </returns>
    /// <exception cref="InputException">As from <see cref="Write"/>.</exception>
    public static OutputLock Reserve(string path, Predicate<string>? isOurs = null, bool overwrite = false) =>
        OutputLock.Take(path, () => Check(path, isOurs, overwrite));

    /// <summary>
    /// Refuses what <see cref="Write"/> would refuse about the target; for it makes an empty folder
    /// beside the target and removes it. It holds for as long as the caller has the
    /// <see cref="OutputLock"/>.
    /// </summary>
    /// <inheritdoc cref="Reserve"/>
    public static void Check(string path, Predicate<string>? isOurs = null, bool overwrite = false)
    {
        OutputLock.RequireParent(path);
        CheckTarget(path, isOurs, overwrite);
        var temporary = AtomicFile.TemporaryBeside(path);
        try
        {
            Directory.CreateDirectory(temporary);
            Directory.Delete(temporary);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.CannotWrite(path, e, temporary);
        }
    }

    private static void CheckTarget(string path, Predicate<string>? isOurs, bool overwrite)
    {
        if (File.Exists(path))
        {
            throw new InputException($"{path}: expected a folder to write to, found a file. Choose another name.");
        }
        string[] names = Directory.Exists(path)
            ? [.. Entries(path).Select(Path.GetFileName).Order(StringComparer.Ordinal)!]
            : [];
        if (names.Length == 0)
        {
            return;
        }
        if (isOurs is null)
        {
            throw new InputException($"{path}: expected a new or empty folder, found {Describe.Name(names[0])} in it. "
                + "Choose another folder, or empty this one.");
        }
        if (Array.Find(names, name => !isOurs(name)) is { } foreign)
        {
            throw new InputException($"{path}: the folder exists and holds {Describe.Name(foreign)}, which this "
                + "program did not write. Choose another folder, or empty this one.");
        }
        if (!overwrite)
        {
            throw new InputException($"{path}: the folder holds a result already: {string.Join(", ", names)}. "
                + "Choose another name, or give option 'overwrite' to replace it.");
        }
    }

    /// <summary>
    /// A folder cannot be renamed over one that is not empty, so the old one steps aside first.
    /// Should the second rename fail, it steps back; a kill just between them leaves it whole as
    /// .NAME.RANDOM.tmp.
    /// </summary>
    private static void Replace(string path, string temporary)
    {
        if (!Directory.Exists(path))
        {
            Directory.Move(temporary, path);
            return;
        }
        var old = AtomicFile.TemporaryBeside(path);
        Directory.Move(path, old);
        try
        {
            Directory.Move(temporary, path);
        }
        catch
        {
            Directory.Move(old, path);
            throw;
        }
        DeleteFolder(old);
    }

    private static string[] Entries(string path)
    {
        try
        {
            return Directory.GetFileSystemEntries(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.CannotWrite(path, e);
        }
    }

    private static void DeleteFolder(string path) => AtomicFile.Quietly(() =>
    {
        if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
        }
    });
}
