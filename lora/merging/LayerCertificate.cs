namespace LoraScratch.Lora.Merging;

/// <summary>What became of the update of one layer when it was merged.</summary>
/// <param name="Path">The layer's path.</param>
/// <param name="UpdateNorm">‖ΔW‖, ΔW = s·A·B</param>
/// <param name="WeightNorm">‖W‖, of the weight without it.</param>
/// <param name="ErasedShare">
/// Of the entries of ΔW that are not 0, the share that changes nothing: W + ΔW is rounded to what W
/// is rounded to.
/// </param>
/// <param name="RelativeError">‖landed − ΔW‖ / ‖ΔW‖, 0 where there is no update.</param>
internal sealed record LayerCertificate(string Path, double UpdateNorm, double WeightNorm, double ErasedShare,
    double RelativeError)
{
    /// <summary>Compares what was to land with what landed.</summary>
    /// <param name="path">Of the layer.</param>
    /// <param name="before">The weight without the update, as the output's type has it.</param>
    /// <param name="update">ΔW, in the weight's order.</param>
    /// <param name="after">The weight with the update, as the output's type has it.</param>
    /// <param name="weightNorm">‖W‖</param>
    /// <param name="copies">Weights that each entry stands for: of a group of them one.</param>
    public static LayerCertificate Of(string path, ReadOnlySpan<double> before, ReadOnlySpan<double> update,
        ReadOnlySpan<double> after, double weightNorm, int copies = 1)
    {
        double squares = 0, errors = 0;
        long entries = 0, erased = 0;
        for (var i = 0; i < update.Length; i++)
        {
            var (wanted, landed) = (update[i], after[i] - before[i]);
            squares += wanted * wanted;
            errors += (landed - wanted) * (landed - wanted);
            entries += wanted != 0 ? 1 : 0;
            erased += wanted != 0 && landed == 0 ? 1 : 0;
        }
        return new(path, Math.Sqrt(copies * squares), weightNorm, entries == 0 ? 0 : (double)erased / entries,
            squares == 0 ? 0 : Math.Sqrt(errors / squares));
    }
}
