using System.Reflection;
using System.Security.Cryptography;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Adapters;

/// <summary>
/// The files of the built-in base model, and what adapters and messages call it. They are in an
/// assembly and a package of their own, which is found by its name: whoever brings another model
/// does without it.
/// </summary>
internal static class BuiltInBase
{
    /// <summary>What messages call it.</summary>
    public const string Description = "the built-in base model";

    private const string Package = "LoraScratch.Base";
    private const string Prefix = "lorascratch-base:";
    private const int DigitsOfHash = 12;

    // A constant, which programs that are trimmed to what they use understand: they keep the assembly.
    private static readonly Assembly? Files = Type.GetType($"{Package}.BaseFiles, {Package}")?.Assembly;

    private static readonly Lazy<string> LazyName = new(() =>
    {
        using var weights = Open(Checkpoint.FileName);
        return Prefix + Convert.ToHexStringLower(SHA256.HashData(weights))[..DigitsOfHash];
    });

    /// <summary>What to do where its package is not.</summary>
    public static string Missing =>
        $"{Description} is not a part of this program: add the package {Package} to its project, or name a model";

    /// <summary>Whether its package is here.</summary>
    public static bool IsHere => Files is not null;

    /// <summary>
    /// "lorascratch-base:" and the first twelve digits of the SHA-256 of its model.safetensors.
    /// </summary>
    /// <exception cref="InvalidOperationException">Its package is not here.</exception>
    public static string Name => LazyName.Value;

    /// <summary>
    /// Whether a name, as adapters give one, is that of a built-in base, of this version or another
    /// one.
    /// </summary>
    public static bool IsNamedBy(string? name) => name?.StartsWith(Prefix, StringComparison.Ordinal) == true;

    /// <summary>One of its files, in place: it is not copied before it is read.</summary>
    /// <exception cref="InvalidOperationException">Its package is not here.</exception>
    public static UnmanagedMemoryStream Open(string file)
    {
        var files = Files ?? throw new InvalidOperationException($"{char.ToUpperInvariant(Missing[0])}{Missing[1..]}.");
        return files.GetManifestResourceStream(file) as UnmanagedMemoryStream
            ?? throw new InvalidOperationException($"The package {Package} was built without its file {file}.");
    }

    /// <summary>All bytes of one of its files.</summary>
    public static byte[] Read(string file)
    {
        using var stream = Open(file);
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
