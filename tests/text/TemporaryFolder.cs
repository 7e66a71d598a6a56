using System.IO.Compression;

namespace LoraScratch.Tests.Text;

/// <summary>A folder of its own for a test, deleted afterwards.</summary>
internal sealed class TemporaryFolder : IDisposable
{
    public string Root { get; } = Directory.CreateTempSubdirectory("lorascratch-").FullName;

    public string Write(string relative, string text) => Write(relative, System.Text.Encoding.UTF8.GetBytes(text));

    public string Write(string relative, byte[] bytes)
    {
        var path = Path.Combine(Root, relative);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        File.WriteAllBytes(path, bytes);
        return path;
    }

    public void Dispose() => Directory.Delete(Root, recursive: true);

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
