using LoraScratch.Lora.Merging;
using LoraScratch.Lora.Pages;
using static LoraScratch.Lora.Reporting.ReportText;

namespace LoraScratch.Lora.Reporting;

/// <summary>What merges keep.</summary>
internal static class CertificateTables
{
    /// <summary>A badge and a table for each; empty without any.</summary>
    public static Html Of(IReadOnlyList<(string Name, MergeCertificate Kept)> certificates) =>
        Html.Concat(certificates.Select(entry => Html.Of($"""
            {Badge(entry.Name, entry.Kept)}
            {PageTable.Of($"Updates merged into {entry.Name}, in {entry.Kept.Type}",
                ["layer", "‖ΔW‖", "‖ΔW‖/‖W‖", "erased by rounding", "relative error of what landed"],
                entry.Kept.Layers.Select(Row))}

            """)));

    private static Html Badge(string name, MergeCertificate kept) => kept.Objection is { } objection
        ? Html.Of($"""
            <div class="badge bad"><p><strong>{name} does not answer as the adapter does:</strong> {objection}. It was
            written all the same.</p></div>
            """)
        : Html.Of($"""
            <div class="badge good"><p><strong>{name} answers as the adapter does.</strong> On {kept.Probes} no logit
            changes by more than {PageMatrix.Number(kept.LogitChange)}
            ({PageMatrix.Number(MergeCertificate.MaxLogitChange)} at most), and of no update more than
            {Percent(kept.Worst.ErasedShare)} is erased ({Percent(MergeCertificate.MaxErased)} at most).</p></div>
            """);

    private static IReadOnlyList<Html> Row(LayerCertificate layer) =>
    [
        Cell(layer.Path), Cell(PageMatrix.Number(layer.UpdateNorm)),
        Cell(PageMatrix.Number(layer.UpdateNorm / layer.WeightNorm)),
        layer.ErasedShare > MergeCertificate.MaxErased
            ? Html.Of($"""<span class="bad-text">✗ {Percent(layer.ErasedShare)}</span>""")
            : Cell(Percent(layer.ErasedShare)),
        Cell(PageMatrix.Number(layer.RelativeError)),
    ];
}
