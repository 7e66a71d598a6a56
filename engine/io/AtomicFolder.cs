namespace LoraScratch.Engine.IO;

/// <summary>
/// Writes a folder whole or not at all: into a temporary folder beside it, then renamed. An older folder of that name is replaced only if
/// everything in it is ours; a stranger's file is never deleted.
/// </summary>
public static class AtomicFolder
{
    /// <summary>Writes the folder <paramref name="path"/> with what <paramref name="fill"/> puts into the folder that it is given.</summary>
    /// <param name="path">The folder; its parent must exist.</param>
    /// <param name="fill">Fills the folder whose path it gets. If it throws, the exception passes on and nothing has changed.</param>
    /// <param name="isOurs">
    /// Whether a file or folder of that name, directly in the target, is one that we write and may replace. Without it only a target that is
    /// missing or empty is accepted.
    /// </param>
    /// <exception cref="InputException">The target holds something that is not ours, or cannot be written.</exception>
    public static void Write(string path, Action<string> fill, Predicate<string>? isOurs = null)
    {
        CheckTarget(path, isOurs);
        var temporary = AtomicFile.TemporaryBeside(path);
        try
        {
            Directory.CreateDirectory(temporary);
            fill(temporary);
            CheckTarget(path, isOurs);                      // again: filling may have taken hours
            Replace(path, temporary);
        }
        catch (Exception trouble)
        {
            DeleteFolder(temporary);
            if (trouble is IOException or UnauthorizedAccessException)
                throw AtomicFile.CannotWrite(path, trouble, temporary);
            if (trouble is InputException && trouble.Message.Contains(temporary, StringComparison.Ordinal))
                throw new InputException(trouble.Message.Replace(temporary, path, StringComparison.Ordinal));   // the user knows nothing of the other folder
            throw;
        }
    }

    /// <summary>Refuses what <see cref="Write"/> would refuse about the target, so that a long run can ask before it begins; for it makes an empty folder beside the target and removes it.</summary>
    /// <inheritdoc cref="Write"/>
    public static void Check(string path, Predicate<string>? isOurs = null)
    {
        CheckTarget(path, isOurs);
        var temporary = AtomicFile.TemporaryBeside(path);
        try
        {
            Directory.CreateDirectory(temporary);
            Directory.Delete(temporary);
        }
        catch (Exception trouble) when (trouble is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.CannotWrite(path, trouble, temporary);
        }
    }

    private static void CheckTarget(string path, Predicate<string>? isOurs)
    {
        if (File.Exists(path))
            throw new InputException($"{path}: expected a folder to write to, found a file. Choose another name.");
        var parent = Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
        if (parent is null || !Directory.Exists(parent))
            throw new InputException($"{path}: cannot be written: {(parent is null ? "it is the root of a disk" : $"there is no folder {parent}")}. "
                + "Create the parent folder or choose another name.");
        if (!Directory.Exists(path))
            return;
        foreach (var entry in Entries(path))
        {
            var name = Path.GetFileName(entry);
            if (isOurs is null || !isOurs(name))
                throw new InputException($"{path}: the folder exists and holds {Describe.Name(name)}, which this program did not write. Choose "
                    + "another folder, or empty this one.");
        }
    }

    /// <summary>
    /// A folder cannot be renamed over one that is not empty, so the old one steps aside first. Should the second rename fail, it steps back;
    /// a kill just between them leaves it whole as .NAME.RANDOM.tmp.
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
        catch (Exception trouble) when (trouble is IOException or UnauthorizedAccessException)
        {
            throw AtomicFile.CannotWrite(path, trouble);
        }
    }

    private static void DeleteFolder(string path) => AtomicFile.Quietly(() =>
    {
        if (Directory.Exists(path))
            Directory.Delete(path, recursive: true);
    });
}
