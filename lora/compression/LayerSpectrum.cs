using LoraScratch.Engine.LinearAlgebra;

namespace LoraScratch.Lora.Compression;

/// <summary>A direction of the layer's output, beside those of the base weight.</summary>
/// <param name="Value">σ, the singular value that belongs to it.</param>
/// <param name="Cosine">
/// The largest |cos| with any singular vector of the base weight, from 0 to 1.
/// </param>
/// <param name="Nearest">The number of that vector, from 1: 1 belongs to the largest σ.</param>
internal sealed record SpectrumDirection(double Value, double Cosine, int Nearest);

/// <summary>
/// What an adapter learned in one layer: the singular values of ΔW = s·A·B, and where its
/// directions lie beside those of the base weight W.
/// <para>
/// An intruder dimension (Shuttleworth et al. 2024, arXiv 2410.21228) is one of the first singular
/// vectors of W + ΔW that is near no singular vector of W: low-rank updates bring such in, full
/// fine-tuning hardly does, and they go with what is forgotten of the pretraining. The vectors are
/// those of the output, U of W [out, in].
/// </para>
/// </summary>
/// <param name="Update">ΔW, taken apart.</param>
internal sealed record LayerSpectrum(UpdateSpectrum Update)
{
    /// <summary>
    /// Below this cosine with every vector of the base a direction is an intruder, as in the paper.
    /// </summary>
    public const double IntruderCosine = 0.5;

    /// <summary>‖W‖; null where no base was looked at, and then all that follows is.</summary>
    public double? WeightNorm { get; init; }

    /// <summary>The first directions of ΔW.</summary>
    public IReadOnlyList<SpectrumDirection>? OfUpdate { get; init; }

    /// <summary>The first directions of W + ΔW.</summary>
    public IReadOnlyList<SpectrumDirection>? OfTuned { get; init; }

    /// <summary>The layer's path.</summary>
    public string Path => Update.Path;

    /// <summary>σ of ΔW, falling.</summary>
    public IReadOnlyList<double> Values => Update.Decomposition.Values;

    /// <summary>‖ΔW‖</summary>
    public double Norm => Math.Sqrt(Update.Decomposition.SquaredNorm);

    /// <summary>
    /// exp(−Σ pᵢ·ln pᵢ) with pᵢ = σᵢ/Σσ (Roy and Vetterli 2007): how many directions of equal
    /// weight would be as spread. From 1 to the rank; 0 where there is no update.
    /// </summary>
    public double EffectiveRank
    {
        get
        {
            var sum = Values.Sum();
            return sum == 0 ? 0 : Math.Exp(-Values.Where(value => value > 0).Sum(value =>
                value / sum * Math.Log(value / sum)));
        }
    }

    /// <summary>How many of <see cref="OfTuned"/> are intruders; null without a base.</summary>
    public int? Intruders => OfTuned?.Count(IsIntruder);

    /// <summary>Whether a direction of W + ΔW is near none of W.</summary>
    public static bool IsIntruder(SpectrumDirection direction) => direction.Cosine < IntruderCosine;

    /// <summary>Takes an update and, where it is known, the weight that it is added to.</summary>
    /// <param name="update">ΔW [in, out]</param>
    /// <param name="weight">
    /// W as the update lies, [in, out]; of an embedding [count, width]. Null: not known.
    /// </param>
    /// <param name="directions">How many of the first are looked at.</param>
    public static LayerSpectrum Of(UpdateSpectrum update, DenseMatrix? weight, int directions)
    {
        var spectrum = new LayerSpectrum(update);
        if (weight is null)
        {
            return spectrum;
        }
        var known = SingularValueDecomposition.Jacobi(weight).V;
        var count = Math.Min(directions, Math.Min(weight.Rows, weight.Columns));
        return spectrum with
        {
            WeightNorm = weight.Norm(),
            OfUpdate = Compare(update.Decomposition.Truncate(Math.Min(count, update.Decomposition.NumericRank)), known),
            OfTuned = Compare(SingularValueDecomposition.Largest(weight + update.Decomposition.Reconstruct(), count),
                known),
        };
    }

    private static IReadOnlyList<SpectrumDirection> Compare(SingularValueDecomposition found, DenseMatrix known)
    {
        if (found.Values.Count == 0)
        {
            return [];
        }
        var cosines = found.V.Transpose() * known;              // [k, vectors of the base]
        return [.. found.Values.Select((value, i) =>
        {
            var row = cosines.Row(i).ToArray();
            var nearest = Enumerable.Range(0, row.Length).MaxBy(j => Math.Abs(row[j]));
            return new SpectrumDirection(value, Math.Min(1, Math.Abs(row[nearest])), nearest + 1);
        })];
    }
}
