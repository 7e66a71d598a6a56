using LoraScratch.Lora.Pages;

namespace LoraScratch.Lora.Explaining;

/// <content>The parts in which a reader tries something, most of them with a script.</content>
internal sealed partial class LayerPage
{
    private static Html Entry() => Html.Of($"""
        <section id="entry" tabindex="-1" aria-labelledby="entry-title"><h2 id="entry-title">One number</h2>
        <p>Every entry of a gradient is a sum of products. Choose one: the products are listed largest first, and with
        them which token of which text pushed this weight.</p>
        <div class="needs-script"><div id="entry-choice" class="controls"></div>
        <div class="entry"><div id="entry-table"></div><div id="entry-factors" class="factors"></div></div>
        <div id="entry-sum" class="card"></div></div>
        <p class="without-script">This part needs a script. dA[i, k] is column i of X̃ times column k of dH; both are
        in the tables below.</p>
        </section>
        """);

    private Html Ways() => Html.Of($"""
        <section id="ways" aria-labelledby="ways-title"><h2 id="ways-title">Three ways to one gradient</h2>
        <p>The closed form, autograd, and a finite difference (L(w + h) − L(w − h)) / 2h of the
        {(IsExample ? "step’s loss, or a one-sided one (L(w + h) − L(w)) / h. A large h cuts the curve off, which "
                + "the central difference of a parabola does not notice; a small one drowns in rounding, in float32 "
                + "long before float64"
            : "layer’s part ⟨dY, s·HB⟩ of the loss, which is linear along one number: nothing is cut off, only "
                + "rounding is left")}.
        Move h and see where each is best.</p>
        <div class="needs-script"><div class="controls">
        <label class="field" for="ways-h"><span id="ways-h-value">h</span><input id="ways-h" type="range" min="-12"
        max="-1" step="0.5" value="-5"></label></div>
        <div id="ways-chart"></div><div id="ways-table"></div></div>
        <p class="without-script">This part needs a script.</p></section>
        """);

    private static Html Merging(ZeroMerge merge) => Html.Of($"""
        <section id="merging" aria-labelledby="merging-title"><h2 id="merging-title">Merged into the zeros</h2>
        <p class="equation">ζ′ = ζ − s·κ·(AB)ᵀ/α</p>
        <p>The update has one value for each group of a row of W, and so has the group’s zero ζ: merged, it costs
        nothing, and the codes stay as they are. Tried on this batch: zeros move by up to
        {PageMatrix.Number(merge.LargestMove)} codes, to {PageMatrix.Number(merge.LargestZero)} at most; y differs by up
        to {PageMatrix.Number(merge.LargestDifference)}, where float32 allows {PageMatrix.Number(merge.Tolerance)}:
        {(merge.Agrees ? "the same layer" : "not the same layer")}.</p></section>
        """);

    private static Html Break() => Html.Of($"""
        <section id="break" aria-labelledby="break-title"><h2 id="break-title">Break it</h2>
        <p>{PageFormulas.Mutants.Count} mistakes that real training code has had. Each exchanges a line of the formulas;
        see which comparison notices, and which does not.</p>
        <div class="needs-script">
        <div id="break-list" class="controls choices" role="group" aria-label="Mistakes"></div>
        <div id="break-report" class="card"></div></div>
        <div class="without-script">
        {PageTable.Of("The mistakes", ["mistake", "what goes wrong", "formula"], PageFormulas.Mutants.Select(Mistake))}
        </div></section>
        """);

    private static IReadOnlyList<Html> Mistake(PageMutant mutant) =>
    [
        Html.Escape(mutant.Title), Html.Escape(mutant.Explanation),
        Html.Concat(mutant.Formulas.Select(formula =>
            Html.Of($"<div><code>{formula.Key} = {formula.Value}</code></div>"))),
    ];

    private static Html Play() => Html.Of($"""
        <section id="play" aria-labelledby="play-title"><h2 id="play-title">Play</h2>
        <p>A frozen W [8, 8] should become W + D, and LoRA must find D. Take steps; change one thing at a time.</p>
        <div class="needs-script"><div id="play-controls" class="controls"></div>
        <div class="controls"><button type="button" class="action main" id="play-step">Step</button>
        <button type="button" class="action" id="play-run">100 steps</button>
        <button type="button" class="action" id="play-reset">Back to 0</button>
        <button type="button" class="action" id="play-seed">Other numbers</button></div>
        <p id="play-state" class="mono"></p><div id="play-charts" class="charts"></div>
        <div id="play-questions" class="columns"></div></div>
        <p class="without-script">This part needs a script.</p></section>
        """);

    private static Html Derive() => Html.Of($"""
        <section id="derive" aria-labelledby="derive-title"><h2 id="derive-title">Derive it</h2>
        <p>Eight gradients, from the linear layer to QA-LoRA’s merge. What you type is computed on fresh random
        matrices at once and compared with finite differences: any formula that is right is accepted.</p>
        <div class="needs-script"><div id="derive-puzzles" class="columns"></div></div>
        <p class="without-script">This part needs a script.</p></section>
        """);
}
