namespace LoraScratch.Lora.Pages;

/// <summary>
/// The style sheets and scripts of the pages, files of their own in the source, embedded in the
/// library.
/// </summary>
internal static class PageFiles
{
    /// <summary>What every page looks like.</summary>
    public static string Style => Read("page.css");

    /// <summary>
    /// What every page's script can use: numbers, tables, heat maps, charts, the state in the
    /// address.
    /// </summary>
    public static string Script => Read("page.js");

    /// <summary>A file by its name.</summary>
    public static string Read(string name)
    {
        using var stream = typeof(PageFiles).Assembly.GetManifestResourceStream($"pages/{name}")
            ?? throw new InvalidOperationException($"The resource 'pages/{name}' is not in the library.");
        using var reader = new StreamReader(stream);
        return reader.ReadToEnd().ReplaceLineEndings("\n");
    }
}
