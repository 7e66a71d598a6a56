namespace LoraScratch.Engine.IO;

/// <summary>
/// Writes a file whole or not at all: into a temporary file beside it, flushed to the disk, then
/// renamed over the old one in one step of the operating system. Whatever goes wrong on the way, a
/// full disk, a kill, an exception, the old file stays as it was. After a kill a file named
/// .NAME.RANDOM.tmp may remain; it can be deleted.
/// </summary>
internal static class AtomicFile
{
    /// <summary>
    /// Writes <paramref name="path"/> with what <paramref name="write"/> puts into the stream.
    /// </summary>
    /// <param name="path">The file; its folder must exist. An old file is replaced.</param>
    /// <param name="write">
    /// Writes the contents. If it throws, the exception passes on and nothing has changed.
    /// </param>
    /// <exception cref="InputException">
    /// The file cannot be written: folder missing or read-only, disk full, a folder of that name.
    /// </exception>
    public static void Write(string path, Action<Stream> write) => Write(path, write, CreateNew);

    /// <summary>Writes a text file in UTF-8, without a byte order mark.</summary>
    /// <inheritdoc cref="Write(string, Action{Stream})"/>
    public static void WriteText(string path, string text) =>
        Write(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));

    /// <summary>
    /// Takes the right to write the file, before a long work begins, and refuses one that
    /// <see cref="Write(string, Action{Stream})"/> could not write, or that is not to be replaced.
    /// </summary>
    /// <param name="path">The file; its folder must exist.</param>
    /// <param name="overwrite">Accepts a file that is there.</param>
    /// <returns>
    /// To be disposed when the file is written: until then no other process writes it.
    /// </returns>
    /// <exception cref="InputException">
    /// It exists and is not to be replaced, another process writes it, or it cannot be written.
    /// </exception>
    public static OutputLock Reserve(string path, bool overwrite = false) =>
        OutputLock.Take(path, () => Check(path, overwrite));

    /// <summary>
    /// Refuses what <see cref="Reserve"/> refuses; it holds for as long as the caller has the
    /// <see cref="OutputLock"/>.
    /// </summary>
    /// <inheritdoc cref="Reserve"/>
    public static void Check(string path, bool overwrite = false)
    {
        if (Directory.Exists(path))
        {
            throw new InputException($"{path}: cannot be written: a folder of that name exists. Choose another name.");
        }
        if (!overwrite && File.Exists(path))
        {
            throw new InputException(
                $"{path}: the file exists already. Choose another name, or give option 'overwrite' to replace it.");
        }
        var temporary = TemporaryBeside(path);
        try
        {
            CreateNew(temporary).Dispose();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw CannotWrite(path, e, temporary);
        }
        Quietly(() => File.Delete(temporary));
    }

    /// <summary>
    /// The same with a stream of the caller's making, so that a test can let the disk be full at
    /// any byte.
    /// </summary>
    internal static void Write(string path, Action<Stream> write, Func<string, Stream> create)
    {
        if (Directory.Exists(path))
        {
            throw new InputException($"{path}: cannot be written: a folder of that name exists. Choose another name.");
        }
        var temporary = TemporaryBeside(path);
        try
        {
            using (var stream = create(temporary))
            {
                write(stream);
                Flush(stream);
            }
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception e)
        {
            Quietly(() => File.Delete(temporary));
            if (e is IOException or UnauthorizedAccessException)
            {
                throw CannotWrite(path, e, temporary);
            }
            throw;
        }
    }

    /// <summary>
    /// Deletes what kills in the midst of writing <paramref name="path"/> left beside it. Nobody
    /// may be writing it now.
    /// </summary>
    public static void DeleteLeftovers(string path)
    {
        var whole = Path.GetFullPath(path);
        if (Path.GetDirectoryName(whole) is { } folder)
        {
            DeleteLeftovers(folder, Path.GetFileName(whole));
        }
    }

    /// <summary>
    /// Deletes what kills in the midst of writing any file of a folder left in it. Nobody may be
    /// writing there now.
    /// </summary>
    public static void DeleteLeftoversIn(string folder) => DeleteLeftovers(folder, "*");

    private static void DeleteLeftovers(string folder, string name)
    {
        if (!Directory.Exists(folder))
        {
            return;
        }
        foreach (var leftover in Directory.GetFiles(folder, $".{name}.????????.???.tmp"))
        {
            Quietly(() => File.Delete(leftover));
        }
    }

    /// <summary>
    /// A name in the same folder, hence on the same disk: only there a rename is one step.
    /// </summary>
    internal static string TemporaryBeside(string path)
    {
        var whole = Path.TrimEndingDirectorySeparator(Path.GetFullPath(path));
        return Path.Combine(Path.GetDirectoryName(whole) ?? whole,
            $".{Path.GetFileName(whole)}.{Path.GetRandomFileName()}.tmp");
    }

    /// <param name="path">What the user wanted to be written.</param>
    /// <param name="trouble">What the operating system says.</param>
    /// <param name="temporary">
    /// The name beside it that was written first: the user knows nothing of it.
    /// </param>
    internal static InputException CannotWrite(string path, Exception trouble, string? temporary = null)
    {
        var reason = temporary is null
            ? trouble.Message
            : trouble.Message.Replace($" : '{temporary}'", ".", StringComparison.Ordinal)
            .Replace(temporary, path, StringComparison.Ordinal);
        return new($"{path}: cannot be written: {reason} Nothing was changed. Check that the folder exists and may "
            + "be written, and the space on the "
            + "disk.");
    }

    /// <summary>Cleaning up must not hide the exception that made it necessary.</summary>
    internal static void Quietly(Action action)
    {
        try
        {
            action();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
        }
    }

    private static FileStream CreateNew(string path) => new(path, FileMode.CreateNew, FileAccess.Write, FileShare.None);

    /// <summary>
    /// Without it the rename may reach the disk before the contents, and a power cut leaves an
    /// empty file.
    /// </summary>
    private static void Flush(Stream stream)
    {
        if (stream is FileStream file)
        {
            file.Flush(flushToDisk: true);
        }
        else
        {
            stream.Flush();
        }
    }
}
