using System.Security.Cryptography;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora;

/// <summary>The files of the built-in base model, and what adapters and messages call it.</summary>
internal static class BuiltInBase
{
    /// <summary>What messages call it.</summary>
    public const string Description = "the built-in base model";

    private const string Prefix = "lorascratch-base:";
    private const int DigitsOfHash = 12;

    private static readonly Lazy<string> LazyName = new(() =>
    {
        using var weights = Open(Checkpoint.FileName);
        return Prefix + Convert.ToHexStringLower(SHA256.HashData(weights))[..DigitsOfHash];
    });

    /// <summary>
    /// "lorascratch-base:" and the first twelve digits of the SHA-256 of its model.safetensors.
    /// </summary>
    public static string Name => LazyName.Value;

    /// <summary>
    /// Whether a name, as adapters give one, is that of a built-in base, of this version or another
    /// one.
    /// </summary>
    public static bool IsNamedBy(string? name) => name?.StartsWith(Prefix, StringComparison.Ordinal) == true;

    /// <summary>One of its files, in place: it is not copied before it is read.</summary>
    public static UnmanagedMemoryStream Open(string file) =>
        typeof(BuiltInBase).Assembly.GetManifestResourceStream($"base/{file}") as UnmanagedMemoryStream
        ?? throw new InvalidOperationException($"The program was built without its resource base/{file}.");

    /// <summary>All bytes of one of its files.</summary>
    public static byte[] Read(string file)
    {
        using var stream = Open(file);
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
