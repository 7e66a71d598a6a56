using System.Globalization;
using LoraScratch.Lora.Compression;
using LoraScratch.Lora.Pages;

namespace LoraScratch.Lora.Reporting;

/// <summary>
/// The page of an adapter's spectrum: what it learned in every layer, how that lies beside the base
/// weights, and which ranks would do.
/// </summary>
/// <param name="adapter">What the page calls the adapter.</param>
/// <param name="layers">At least one.</param>
/// <param name="pattern">The ranks that are proposed.</param>
/// <param name="share">The energy that they keep.</param>
internal sealed class SpectrumPage(string adapter, IReadOnlyList<LayerSpectrum> layers, RankPattern pattern,
    double share)
{
    private readonly bool hasBase = layers.All(layer => layer.WeightNorm is not null);

    /// <summary>The whole file.</summary>
    public string Build() => StaticPage.Build($"What {adapter} learned", Html.Of($"""
        <a class="skip" href="#main">Skip to the layers</a>
        <header><h1>What {adapter} learned</h1>
        <p class="lede">Singular values of every update ΔW = scaling·A·B, in {layers.Count} layers.</p>
        {Badge()}
        <nav aria-label="Contents"><ul><li><a href="#spectrum">Spectrum</a></li><li><a href="#layers">Layers</a></li>
        {(hasBase ? Html.Of($"""<li><a href="#directions">Directions</a></li>""") : Html.Empty)}
        <li><a href="#ranks">Ranks</a></li><li><a href="#values">All values</a></li></ul></nav></header>
        <main id="main">
        {Picture()}
        {Layers()}
        {(hasBase ? Directions() : Html.Empty)}
        {Ranks()}
        {AllValues()}
        </main>
        <footer><p>ΔW [in, out] is taken apart in double precision by its factors. Effective rank: exp(−Σ p·ln p) with
        p = σ/Σσ (Roy and Vetterli 2007). Intruder dimensions: Shuttleworth et al. 2024, arXiv 2410.21228.</p></footer>
        """));

    private Html Badge()
    {
        var intruders = layers.Sum(layer => layer.Intruders ?? 0);
        var found = layers.Sum(layer => layer.OfTuned?.Count ?? 0);
        return !hasBase ? Html.Of($"""
            <div class="badge"><p><strong>No base was looked at.</strong> Whether the adapter brought in directions that
            the base weights do not have is not known.</p></div>
            """) : intruders == 0 ? Html.Of($"""
            <div class="badge good"><p><strong>No intruder dimensions.</strong> Each of the first {found} singular
            vectors of the tuned weights is near one of the base’s.</p></div>
            """) : Html.Of($"""
            <div class="badge bad"><p><strong>{intruders} intruder
            {(intruders == 1 ? "dimension" : "dimensions")}</strong> among the first {found} singular vectors of the
            tuned weights: near none of the base’s (cosine below {LayerSpectrum.IntruderCosine}). Such an adapter
            forgets more of the pretraining; a smaller learning rate or alpha, or a larger rank, brings fewer
            in.</p></div>
            """);
    }

    private Html Picture()
    {
        var picture = new Html(SpectrumPicture.Draw("Singular values of the updates", layers, inPage: true));
        return Html.Of($"""
            <section id="spectrum" aria-labelledby="spectrum-title"><h2 id="spectrum-title">Spectrum</h2>
            <p>A line for each layer. Where it falls steeply a smaller rank would do; where it is flat the rank is
            used.</p>
            <figure class="plot-figure">{picture}</figure>
            </section>
            """);
    }

    private Html Layers()
    {
        string[] heads = ["layer", "rank", "‖ΔW‖", .. hasBase ? (string[])["‖ΔW‖/‖W‖"] : [], "σ₁", "effective rank",
            $"k for {Percent(share)}", .. hasBase ? (string[])["cosine of the first", "intruders"] : []];
        return Html.Of($"""
            <section id="layers" aria-labelledby="layers-title"><h2 id="layers-title">Layers</h2>
            {PageTable.Of("What each update is", heads, layers.Select(Row))}
            </section>
            """);
    }

    private IReadOnlyList<Html> Row(LayerSpectrum layer) =>
    [
        Html.Escape(layer.Path), Text(layer.Update.Rank), Text(layer.Norm),
        .. hasBase ? (Html[])[Text(layer.Norm / layer.WeightNorm!.Value)] : [],
        Text(layer.Values.FirstOrDefault()), Text(layer.EffectiveRank),
        Text(layer.Update.Decomposition.RankForEnergy(share)),
        .. hasBase ? (Html[])[layer.OfUpdate is [var first, ..] ? Text(first.Cosine) : Html.Escape("–"),
            layer.Intruders == 0 ? Html.Escape("none") : Mark($"{layer.Intruders}")] : [],
    ];

    /// <summary>What an intruder is seen by.</summary>
    private static Html Mark(string text) => Html.Of($"""<span class="bad-text">✗ {text}</span>""");

    private Html Directions() => Html.Of($"""
        <section id="directions" aria-labelledby="directions-title"><h2 id="directions-title">Directions</h2>
        <p>The first directions of each update, and of the tuned weight W + ΔW, beside all singular vectors of W: the
        largest |cos|, and the number of the vector that has it. A direction of the tuned weight that is near none of
        them is marked as an intruder.</p>
        {layers.Select(layer => Html.Of($"""
            <details><summary>{layer.Path} {(layer.Intruders > 0 ? Mark($"{layer.Intruders}") : Html.Empty)}</summary>
            <div class="columns"><div>{DirectionTable($"ΔW of {layer.Path}", layer.OfUpdate!, marks: false)}</div>
            <div>{DirectionTable($"W + ΔW of {layer.Path}", layer.OfTuned!, marks: true)}</div></div></details>

            """))}
        </section>
        """);

    private static Html DirectionTable(string caption, IReadOnlyList<SpectrumDirection> directions, bool marks) =>
        PageTable.Of(caption, ["k", "σ", "cosine", "nearest of W"], directions.Select((direction, i) => (Html[])
        [
            Text(i + 1), Text(direction.Value),
            marks && LayerSpectrum.IsIntruder(direction)
                ? Mark($"{PageMatrix.Number(direction.Cosine)}, intruder") : Text(direction.Cosine),
            Text(direction.Nearest),
        ]));

    private Html Ranks()
    {
        var parameters = layers.Sum(layer => Cost(layer) * layer.Update.Rank);
        var proposed = layers.Sum(layer => Cost(layer) * pattern.Ranks[layer.Path]);
        return Html.Of($"""
            <section id="ranks" aria-labelledby="ranks-title"><h2 id="ranks-title">Ranks</h2>
            <p>{Percent(share)} of the energy of all updates together is kept by the ranks below, with
            {ReportText.Count(proposed)} of {ReportText.Count(parameters)} parameters: each rank goes where it keeps
            most for the parameters that it costs. As a rank pattern it is what truncating takes, and PEFT:</p>
            <pre tabindex="0" role="group" aria-label="rank pattern"><code>{pattern.ToJson().TrimEnd()}</code></pre>
            </section>
            """);
    }

    private static long Cost(LayerSpectrum layer) =>
        layer.Update.Decomposition.U.Rows + layer.Update.Decomposition.V.Rows;

    private Html AllValues() => Html.Of($"""
        <section id="values" aria-labelledby="values-title"><h2 id="values-title">All values</h2>
        {layers.Select(layer => Html.Of($"<details><summary>{layer.Path}</summary>{Values(layer)}</details>\n"))}
        </section>
        """);

    private static Html Values(LayerSpectrum layer) => PageTable.Of($"Singular values of {layer.Path}",
        ["k", "σ", "energy of the first k"], layer.Values.Select((value, i) => (Html[])
            [Text(i + 1), Text(value), Html.Escape(Percent(layer.Update.Decomposition.EnergyOf(i + 1)))]));

    private static Html Text(double value) => Html.Escape(PageMatrix.Number(value));

    private static string Percent(double value) => (100 * value).ToString("0.##", CultureInfo.InvariantCulture) + " %";
}
