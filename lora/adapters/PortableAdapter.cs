namespace LoraScratch.Lora.Adapters;

/// <summary>One layer of an adapter, apart from any model and any file.</summary>
/// <param name="Path">The layer's path in the base model.</param> <param name="Rank">r</param> <param name="InFeatures">in</param> <param name="OutFeatures">out</param>
/// <param name="A">[in, r]</param> <param name="B">[r, out]</param> <param name="Scaling">s, with all its digits.</param>
/// <param name="IsEmbedding">Whether it is an embedding, with in as the number of vectors.</param>
internal sealed record PortableLayer(string Path, int Rank, int InFeatures, int OutFeatures, float[] A, float[] B, double Scaling, bool IsEmbedding)
{
    /// <summary>The alpha that a convention turns into this layer's s.</summary>
    public double Alpha(AdapterConvention convention)
    {
        if (convention == AdapterConvention.Tutorial)
        {
            return Scaling;
        }
        // s·r of an s that came from alpha/r need not be alpha to the last bit; the rounded value is the one that a person wrote.
        var alpha = Scaling * Rank;
        var rounded = Math.Round(alpha, 10);
        return (float)(rounded / Rank) == (float)Scaling ? rounded : alpha;
    }
}

/// <summary>A tensor that is stored whole.</summary>
/// <param name="Shape">Its dimensions.</param> <param name="Values">Row-major.</param>
internal sealed record PortableTensor(long[] Shape, float[] Values);

/// <summary>An adapter, apart from any model and any file.</summary>
internal sealed record PortableAdapter
{
    /// <summary>Whose file it was read from.</summary>
    public required AdapterConvention Source { get; init; }

    /// <summary>The adapted layers.</summary>
    public required IReadOnlyList<PortableLayer> Layers { get; init; }

    /// <summary>Trained heads and biases by their paths in the base model.</summary>
    public required IReadOnlyDictionary<string, PortableTensor> Whole { get; init; }

    /// <summary>What PEFT's config says besides ranks and alphas; made up of the tensors where another program wrote them.</summary>
    public required PeftConfig Config { get; init; }

    /// <summary>The base's fingerprint, where there is one.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Fingerprint { get; init; } = [];

    /// <summary>What was odd or left out on the way, one sentence each.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];
}
