using System.IO.Compression;
using System.Text;

namespace LoraScratch.Tests;

/// <summary>A folder of its own for a test, deleted afterwards.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    /// <summary>Its full path.</summary>
    public string Root { get; } = Directory.CreateTempSubdirectory("lora-scratch-").FullName;

    /// <summary>What is in it, in the order of the bytes.</summary>
    public string[] Names =>
        [.. Directory.GetFileSystemEntries(Root).Select(entry => Path.GetFileName(entry)!)
            .Order(StringComparer.Ordinal)];

    /// <summary>The full path of a file that is or will be in it.</summary>
    public string File(string name) => Path.Combine(Root, name);

    /// <summary>Writes a file as UTF-8, with the folders that it is in; returns its path.</summary>
    public string Write(string relative, string text) => Write(relative, Encoding.UTF8.GetBytes(text));

    /// <summary>Writes a file, with the folders that it is in; returns its path.</summary>
    public string Write(string relative, byte[] bytes)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(File(relative))!);
        System.IO.File.WriteAllBytes(File(relative), bytes);
        return File(relative);
    }

    /// <summary>Copies the files of a folder into another, which may exist.</summary>
    public static void Copy(string from, string to, params string[] except)
    {
        Directory.CreateDirectory(to);
        foreach (var path in Directory.GetFiles(from).Where(path => !except.Contains(Path.GetFileName(path))))
        {
            System.IO.File.Copy(path, Path.Combine(to, Path.GetFileName(path)), overwrite: true);
        }
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);

    /// <summary>The bytes as a .gz file has them.</summary>
    public static byte[] GZip(byte[] bytes)
    {
        var compressed = new MemoryStream();
        using (var encoder = new GZipStream(compressed, CompressionLevel.Fastest, leaveOpen: true))
        {
            encoder.Write(bytes);
        }
        return compressed.ToArray();
    }
}
