namespace LoraScratch.Cli;

/// <summary>Words of a command line that the user can copy.</summary>
internal static class ShellWords
{
    /// <summary>The words of a command, each quoted where it must be.</summary>
    public static string Join(IEnumerable<string> words) => string.Join(' ', words.Select(Quote));

    /// <summary>
    /// A word as a POSIX shell reads it back: as it is, or between single quotes where it holds
    /// anything but letters, digits and harmless signs.
    /// </summary>
    public static string Quote(string word) =>
        word.Length > 0 && word.All(letter => char.IsLetterOrDigit(letter)
            || "-_./:,=+@%".Contains(letter, StringComparison.Ordinal)) ? word : $"'{word.Replace("'", "'\\''")}'";
}
