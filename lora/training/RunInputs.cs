using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Training;

/// <summary>
/// What a run is given, as hashes: the weights that it begins with and the encoded examples. Runs
/// of one program with equal inputs, options and arithmetic end with the same weights, bit for bit;
/// processes that are to train one model together compare this first.
/// </summary>
/// <param name="Weights">
/// SHA-256 of every parameter and quantised weight, frozen ones too, before the first step.
/// </param>
/// <param name="Texts">
/// Number and SHA-256 of the encoded examples, by what they are for: <see cref="Train"/>,
/// <see cref="Validation"/>.
/// </param>
internal sealed record RunInputs(string Weights, IReadOnlyDictionary<string, ExamplesIdentity> Texts)
{
    /// <summary>What examples are for; checkpoints of older versions have the same keys.</summary>
    public const string Train = "to train on", Validation = "laid aside for validation";

    /// <summary>The inputs of anything that starts from a model as it is now.</summary>
    /// <param name="model">With its adapter, where it has one.</param>
    /// <param name="texts">Encoded texts and what they are for.</param>
    public static RunInputs Of(Module model,
        params IReadOnlyList<(string Use, IReadOnlyList<EncodedExample> Texts)> texts) => new(HashWeights(model),
            texts.ToDictionary(part => part.Use, part => ExamplesIdentity.Of(part.Texts)));

    /// <summary>What is not as it was, in words; nothing where all is equal.</summary>
    /// <param name="saved">As it was.</param>
    public IEnumerable<RunDifference> DifferencesFrom(RunInputs saved)
    {
        if (saved.Weights != Weights)
        {
            yield return new(RunPart.Base,
                $"the weights that it began with had the SHA-256 {Short(saved.Weights)}, those of this model and "
                    + $"adapter have {Short(Weights)}",
                "Name the model (and option 'init-adapter') that it began with");
        }
        foreach (var (use, now) in Texts)
        {
            var was = saved.Texts.GetValueOrDefault(use, ExamplesIdentity.None);
            if (was != now)
            {
                yield return new(RunPart.Data,
                    $"option 'data' gave {was.Count} examples {Shown(use)} (SHA-256 {Short(was.Hash)}) and gives "
                        + $"{now.Count} now (SHA-256 {Short(now.Hash)})", "Give the same data and vocabulary");
            }
        }
    }

    /// <summary>The first digits of a hash, for people.</summary>
    public static string Short(string hash) => hash.Length > 16 ? $"{hash[..16]}…" : hash;

    /// <summary>What examples are for, in today's words.</summary>
    public static string Shown(string use) => use == Validation ? "held out for validation" : use;

    private static string HashWeights(Module model)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (path, parameter) in model.NamedParameters())
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{path} {parameter.Shape} {parameter.IsTrainable}\n"));
            hash.AppendData(MemoryMarshal.AsBytes<float>(parameter.ToArray()));
        }
        foreach (var (path, layer) in model.NamedModules<WeightLayer>().Where(entry => entry.Module.Weight.IsQuantized))
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{path} {layer.Weight}\n"));
            layer.Weight.AppendTo(hash);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}

/// <summary>Which encoded examples, in which order.</summary>
/// <param name="Count">How many.</param>
/// <param name="Hash">SHA-256 of their ids and labels.</param>
internal sealed record ExamplesIdentity(int Count, string Hash)
{
    /// <summary>Of no texts.</summary>
    public static ExamplesIdentity None { get; } = Of([]);

    /// <summary>Of some texts, perhaps of none.</summary>
    public static ExamplesIdentity Of(IReadOnlyList<EncodedExample> texts)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var text in texts)
        {
            // the length first: no two lists of texts have the same bytes
            int[] head = [text.TokenIds.Length, text.Label, text.PositionOffset];
            if (text.SecondSegment != text.TokenIds.Length)
            {
                head = [.. head, text.SecondSegment];           // runs that were saved without pairs keep their hash
            }
            if (text.Classes is { } classes)
            {
                head = [.. head, classes.Length, .. classes];
            }
            hash.AppendData(MemoryMarshal.AsBytes<int>(head));
            hash.AppendData(MemoryMarshal.AsBytes<int>(text.TokenIds));
        }
        return new ExamplesIdentity(texts.Count, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }
}
