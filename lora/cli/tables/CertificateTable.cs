using System.Globalization;
using LoraScratch.Lora.Merging;

namespace LoraScratch.Cli.Tables;

/// <summary>What a merge kept of each update.</summary>
internal static class CertificateTable
{
    /// <summary>Prints it.</summary>
    public static void Print(MergeCertificate certificate, TextWriter output)
    {
        LayerTable.Print(output, ["|ΔW|", "|ΔW|/|W|", "erased", "error/|ΔW|"], [.. certificate.Layers.Select(layer =>
            (layer.Path, (IReadOnlyList<string>)[Number(layer.UpdateNorm, "G4"),
                Number(layer.UpdateNorm / layer.WeightNorm, "G3"), Text.Percent(layer.ErasedShare),
                Number(layer.RelativeError, "G3")]))]);
        output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"largest change of a logit on "
            + $"{certificate.Probes}: {certificate.LogitChange:G3} ({MergeCertificate.MaxLogitChange} at most); most "
            + $"erased: {Text.Percent(certificate.Worst.ErasedShare)} ({100 * MergeCertificate.MaxErased:F0} % at "
            + $"most), in {certificate.Type}"));
        output.WriteLine();
    }

    private static string Number(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
}
