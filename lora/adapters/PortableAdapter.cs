using System.Globalization;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Adapters;

/// <summary>One layer of an adapter, apart from any model and any file.</summary>
/// <param name="Path">The layer's path in the base model.</param>
/// <param name="Rank">r</param>
/// <param name="InFeatures">in</param>
/// <param name="OutFeatures">out</param>
/// <param name="A">[in, r]</param>
/// <param name="B">[r, out]</param>
/// <param name="Scaling">s, with all its digits.</param>
/// <param name="IsEmbedding">Whether it is an embedding, with in as the number of vectors.</param>
internal sealed record PortableLayer(
    string Path, int Rank, int InFeatures, int OutFeatures, float[] A, float[] B, double Scaling, bool IsEmbedding)
{
    /// <summary>The alpha that a convention turns into this layer's s.</summary>
    public double Alpha(AdapterConvention convention)
    {
        if (convention == AdapterConvention.Tutorial)
        {
            return Scaling;
        }
        // s·r of an s that came from alpha/r need not be alpha to the last bit; the rounded value is the one that a
        // person wrote.
        var alpha = Scaling * Rank;
        var rounded = Math.Round(alpha, 10);
        return (float)(rounded / Rank) == (float)Scaling ? rounded : alpha;
    }
}

/// <summary>A tensor that is stored whole.</summary>
/// <param name="Shape">Its dimensions.</param>
/// <param name="Values">Row-major.</param>
internal sealed record PortableTensor(long[] Shape, float[] Values);

/// <summary>An adapter with all its values, apart from any model and any file.</summary>
internal sealed record PortableAdapter
{
    /// <summary>Whose file it was read from.</summary>
    public required AdapterConvention Source { get; init; }

    /// <summary>The adapted layers.</summary>
    public required IReadOnlyList<PortableLayer> Layers { get; init; }

    /// <summary>Trained heads and biases by their paths in the base model.</summary>
    public required IReadOnlyDictionary<string, PortableTensor> Whole { get; init; }

    /// <summary>
    /// What PEFT's config says besides ranks and alphas; made up of the tensors where another
    /// program wrote them.
    /// </summary>
    public required PeftConfig Config { get; init; }

    /// <summary>The base's fingerprint, where there is one.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Fingerprint { get; init; } = [];

    /// <summary>What was odd or left out on the way, one sentence each.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];

    /// <summary>Reads an adapter of any convention.</summary>
    /// <param name="path">PEFT's folder, or the .safetensors file of a state dict.</param>
    /// <param name="alpha">alpha of a state dict; null: what its metadata says.</param>
    /// <exception cref="InputException">
    /// A file is missing or malformed, alpha is not known, or the adapter has faults.
    /// </exception>
    public static PortableAdapter Read(string path, double? alpha)
    {
        using var file = Directory.Exists(path) ? OpenFolder(path, alpha) : StateDict.Open(path, alpha);
        return new PortableAdapter
        {
            Source = file.Convention,
            Layers = [.. file.Pairs.Select(file.ReadLayer)],
            Whole = file.Whole.ToDictionary(entry => entry.Key,
                entry => new PortableTensor([.. entry.Value.Shape], file.Read(entry.Value))),
            Config = file.Config!,
            Fingerprint = [.. BaseFingerprint.In(file.Metadata)],
            Warnings = file.Warnings,
        };
    }

    private static AdapterFile OpenFolder(string folder, double? alpha)
    {
        if (alpha is { } given)
        {
            throw new InputException($"alpha is {given.ToString(CultureInfo.InvariantCulture)}, but {folder} says its "
                + $"own lora_alpha in {PeftAdapter.ConfigName}. Leave alpha out.");
        }
        var findings = new Findings();
        var file = AdapterCheck.Open(folder, findings);
        var errors = findings.Errors;
        if (errors.Count == 0 && file!.Config is { PooledInputs: null, HasBiasOfB: false })
        {
            return file;
        }
        file?.Dispose();
        if (errors.Count == 0 && file!.Config!.HasBiasOfB)
        {
            throw new InputException($"{folder}: B has a bias of its own (lora_bias), which only PEFT's format knows, "
                + "so that the adapter can be neither converted nor truncated. Merge it into its model with 'lora "
                + "merge'.");
        }
        throw new InputException(errors.Count > 0
            ? $"{folder}: the adapter has {errors.Count} "
                + $"{(errors.Count == 1 ? "fault; mend it" : "faults; mend them")} first:\n  "
                + $"{string.Join("\n  ", errors)}"
            : $"{folder}: it is an adapter of quantised layers (use_qalora), whose A sees the input pooled over groups "
                + $"of {file!.Config!.PooledInputs}; only PEFT's format knows such adapters, so that it can be neither "
                + "converted nor truncated. Merge it into its model with 'lora merge', or train it with a smaller "
                + "rank.");
    }
}
