namespace LoraScratch.Lora.Explaining;

/// <summary>
/// A line of what an explained layer computes, as a formula that a small parser reads: names, + − *
/// (matrix product, or a number times a matrix), .* and ./ element by element, ' for transposed.
/// </summary>
/// <param name="Name">What it defines.</param>
/// <param name="Text">The formula.</param>
internal sealed record LayerFormula(string Name, string Text);

/// <summary>A mistake as the page tries it: some formulas exchanged.</summary>
/// <param name="Name">The <see cref="FormulaMutant.Id"/>.</param>
/// <param name="Title">For readers.</param>
/// <param name="Explanation">What goes wrong.</param>
/// <param name="Right">As one writes it.</param>
/// <param name="Wrong">As one writes it.</param>
/// <param name="Formulas">The exchanged formulas, by the name that they define.</param>
internal sealed record PageMutant(string Name, string Title, string Explanation, string Right, string Wrong,
    IReadOnlyDictionary<string, string> Formulas);

/// <summary>What the page of a layer computes again, and the mistakes that it tries.</summary>
internal static class PageFormulas
{
    private const string Update =
        "(1 - lr * decay) * P - lr * (m / (1 - power(b1, t))) ./ (sqrt(v / (1 - power(b2, t))) + eps)";

    /// <summary>
    /// LoRA. M is the dropout mask, T what Y should be, c 2 over the elements of all Y; gA and gB
    /// sum the gradients of the micro-batches; P stands for A and for B, g for its gradient, m and
    /// v for AdamW's moments.
    /// </summary>
    public static IReadOnlyList<LayerFormula> LoRA { get; } =
    [
        new("Xd", "M .* X / (1 - p)"),
        new("H", "Xd * A"),
        new("Y", "X * W' + b + s * (H * B)"),
        new("L", "c / 2 * total((Y - T) .* (Y - T))"),
        new("dY", "c * (Y - T)"),
        new("dH", "s * (dY * B')"),
        new("dB", "s * (H' * dY)"),
        new("dA", "Xd' * dH"),
        new("dX", "dY * W + M .* (dH * A') / (1 - p)"),
        new("gA", "gA + dA"),
        new("gB", "gB + dB"),
        new("m", "b1 * m + (1 - b1) * g"),
        new("v", "b2 * v + (1 - b2) * (g .* g)"),
        new("P", Update),
    ];

    /// <summary>QA-LoRA: P = k·X·G stands where X did; W is the packed weight's value.</summary>
    public static IReadOnlyList<LayerFormula> QALoRA { get; } =
    [
        new("Xd", "k * ((M .* X / (1 - p)) * G)"),
        new("H", "Xd * A"),
        new("Y", "X * W' + b + s * (H * B)"),
        new("dH", "s * (dY * B')"),
        new("dB", "s * (H' * dY)"),
        new("dA", "Xd' * dH"),
        new("dX", "dY * W + M .* (k * ((dH * A') * G')) / (1 - p)"),
    ];

    /// <summary>
    /// <see cref="FormulaMutant.All"/> in the language of the page; a test holds that both compute
    /// the same.
    /// </summary>
    public static IReadOnlyList<PageMutant> Mutants { get; } = [.. FormulaMutant.All.Select(mutant =>
    {
        var (explanation, formulas) = Exchanged(mutant.Id);
        return new PageMutant(mutant.Id, mutant.Title, explanation, mutant.Right, mutant.Wrong,
            formulas.ToDictionary(formula => formula.Name, formula => formula.Text));
    })];

    private static (string Explanation, LayerFormula[] Formulas) Exchanged(string id) => id switch
    {
        "scale-forgotten" => ("Both gradients lack the factor s = alpha/r. Adam hides it, for it divides the length "
            + "of a gradient out; SGD trains at another rate and nobody knows why.",
            [new("dH", "dY * B'"), new("dB", "H' * dY")]),
        "scale-on-dA-only" => ("dA is right and dB lacks s: the two matrices learn at different rates.",
            [new("dB", "H' * dY")]),
        "A-not-transposed" => ("dX reads A's memory as if it were Aᵀ: the shapes fit, the numbers do not.",
            [new("dX", "dY * W + M .* (dH * reshaped(A)) / (1 - p)")]),
        "mean-for-sum" => ("The loss is a mean already, and dY has its 1/N. Dividing again makes dA smaller with "
            + "every token of the batch.", [new("dA", "Xd' * dH / N")]),
        "overwritten" => ("The second micro-batch overwrites the first. With one micro-batch no test can see it.",
            [new("gA", "dA"), new("gB", "dB")]),
        "H-detached" => ("The graph is cut at H: B still learns, A gets nothing, and dX lacks the adapter's part. The "
            + "loss falls all the same.", [new("dH", "0 * (dY * B')")]),
        "mask-of-another-step" => ("Backward draws the dropout mask anew: A is pushed by numbers that were dropped.",
            [new("dA", "(Mother .* X / (1 - p))' * dH")]),
        "epsilon-in-root" => ("√(v̂ + ε) for √v̂ + ε: where gradients are small, steps are shorter.",
            [new("P", "(1 - lr * decay) * P - lr * (m / (1 - power(b1, t))) ./ sqrt(v / (1 - power(b2, t)) + eps)")]),
        "no-bias-correction" => ("m and v start at 0: without the correction the first step is (1 − β₁)/√(1 − β₂) = "
            + "3.2 times as long.", [new("P", "(1 - lr * decay) * P - lr * m ./ (sqrt(v) + eps)")]),
        "step-off-by-one" => ("The correction of the step after: the first step has three quarters of its length.",
            [new("P", Update.Replace("t)", "t + 1)", StringComparison.Ordinal))]),
        "betas-swapped" => ("The mean forgets slowly and the squares fast. The first step cannot tell, for both "
            + "corrections cancel; the second can.",
            [new("m", "b2 * m + (1 - b2) * g"), new("v", "b1 * v + (1 - b1) * (g .* g)"),
                new("P", Update.Replace("b1", "b", StringComparison.Ordinal)
                    .Replace("b2", "b1", StringComparison.Ordinal).Replace("b,", "b2,", StringComparison.Ordinal))]),
        "decay-coupled" => ("Adam with L2 in place of AdamW: the decay goes through the gradient and is divided "
            + "by √v̂.",
            [new("m", "b1 * m + (1 - b1) * (g + decay * P)"),
                new("v", "b2 * v + (1 - b2) * ((g + decay * P) .* (g + decay * P))"),
                new("P", Update.Replace("(1 - lr * decay) * P", "P", StringComparison.Ordinal))]),
        "dX-without-update" => ("The layers below get the gradient of the frozen model alone.", [new("dX", "dY * W")]),
        "row-of-another-text" => ("A row of x meets a row of dH that belongs to another text, as after a wrong "
            + "reshape. Shapes and norms look right.", [new("dA", "foreign(Xd, Xdother)' * dH")]),
        _ => throw new ArgumentOutOfRangeException(nameof(id), id, "The page has no formulas for this mutant."),
    };
}
