namespace LoraScratch.Tests.IO;

/// <summary>A fresh folder that is gone at the end of the test.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Root { get; } = Directory.CreateTempSubdirectory("lora-scratch-").FullName;

    public string File(string name) => Path.Combine(Root, name);

    public string File(string name, byte[] bytes)
    {
        System.IO.File.WriteAllBytes(File(name), bytes);
        return File(name);
    }

    public string[] Names =>
        [.. Directory.GetFileSystemEntries(Root).Select(entry => Path.GetFileName(entry)!)
            .Order(StringComparer.Ordinal)];

    public void Dispose() => Directory.Delete(Root, recursive: true);
}
