using System.Security.Cryptography;
using LoraScratch.Engine.IO;
using LoraScratch.Kernels;

namespace LoraScratch.Lora.DistilBert;

/// <summary>
/// The base inside the program: an uncased encoder of the DistilBERT architecture with a vocabulary of its own, pretrained by 'lora pretrain' on English film reviews. It knows how such
/// texts are written and has no classification head: LoRA and a head that is trained beside it make a classifier of it.
/// </summary>
public static class PretrainedBase
{
    /// <summary>What messages call it.</summary>
    public const string Description = "the base inside the program";

    private const string Prefix = "lorascratch-base:";
    private const int DigitsOfHash = 12;

    private static readonly Lazy<string> LazyName = new(() =>
    {
        using var weights = Open(Checkpoint.FileName);
        return Prefix + Convert.ToHexStringLower(SHA256.HashData(weights))[..DigitsOfHash];
    });

    /// <summary>
    /// What adapters call it: "lorascratch-base:" and the first twelve digits of the SHA-256 of its model.safetensors, so that another version has another name. The colon keeps other
    /// programs from looking for it among published models.
    /// </summary>
    public static string Name => LazyName.Value;

    /// <summary>Loads it as a classifier with a head that is yet to be trained. No file is read.</summary>
    /// <param name="seed">Draws the head, and names the dropout masks.</param>
    /// <param name="labels">The classes; null: two, without names.</param>
    /// <param name="backend">Where to put it; default <see cref="Engine.Device.Default"/>.</param>
    /// <example><code>
    /// var classifier = new TextClassifier(PretrainedBase.Load(seed: 1, labels: ["negative", "positive"]));
    /// var adapter = TrainingSetup.Prepare(classifier, new TrainingOptions());
    /// </code></example>
    public static LoadedModel Load(ulong seed = 0, IReadOnlyList<string>? labels = null, IBackend? backend = null) => ModelSource.BuiltIn.Load(seed, labels, backend);

    /// <summary>Whether a name, as adapters give one, is that of a base inside this program, of this version or another one.</summary>
    public static bool IsNamedBy(string? name) => name?.StartsWith(Prefix, StringComparison.Ordinal) == true;

    /// <summary>One of its files, in place: it is not copied before it is read.</summary>
    internal static UnmanagedMemoryStream Open(string file) => typeof(PretrainedBase).Assembly.GetManifestResourceStream($"base/{file}") as UnmanagedMemoryStream
        ?? throw new InvalidOperationException($"The program was built without its resource base/{file}.");

    /// <summary>All bytes of one of its files.</summary>
    internal static byte[] Read(string file)
    {
        using var stream = Open(file);
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
