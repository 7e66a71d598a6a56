using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using LoraScratch.Engine;
using LoraScratch.Lora.Pages;

namespace LoraScratch.Lora.Explaining;

/// <summary>
/// The page of one explained layer: the picture of its graph with all numbers, written here so that
/// it can be read without a script; lora/explain/page adds what can be tried.
/// </summary>
/// <param name="explanation">The batch that the picture shows.</param>
/// <param name="data">What the script works with.</param>
/// <param name="layer">Null: the built-in example.</param>
internal sealed partial class LayerPage(Explanation explanation, PageData data, LayerTitle? layer = null)
{
    /// <summary>What a browser opens at once, and a mail takes.</summary>
    public const int MaxBytes = 3_000_000;

    private static readonly string[] Scripts = ["matrix.js", "expression.js", "bounds.js", "layer.js", "real-layer.js",
        "proof.js", "entry.js", "ways.js", "break.js", "play.js", "derive.js", "main.js"];

    private bool IsExample => layer is null;

    private string Title => layer is null ? "How one LoRA layer learns" : $"{layer.Path}, one batch";

    private PageBatch First => data.Steps[0].Batches[0];

    /// <summary>What the script works with.</summary>
    public PageData Data => data;

    /// <summary>The whole file.</summary>
    public string Build() => new HtmlPage(Title,
        [PageFiles.Style, PageFiles.Read("explain.css")], [PageFiles.Script, .. Scripts.Select(PageFiles.Read)])
        .Build(Body(), data);

    /// <summary>Writes it whole or not at all.</summary>
    /// <param name="path">The file; an old one is replaced.</param>
    /// <exception cref="InputException">
    /// It cannot be written, or the batch is so large that the page would be too.
    /// </exception>
    public void Write(string path)
    {
        var page = Build();
        var bytes = Encoding.UTF8.GetByteCount(page);
        if (bytes > MaxBytes)
        {
            throw new InputException($"{path}: the page of {layer?.Path} would take {Count(bytes)} bytes, "
                + $"{Count(MaxBytes)} at most: it carries the layer's input and dY, {Count(First.X.Rows)} rows here. "
                + "Send fewer or shorter texts (options 'limit' and 'max-length').");
        }
        HtmlPage.Write(path, page);
    }

    private Html Body() => Html.Of($"""
        <a class="skip" href="#main">Skip to the layer</a>
        <header>
        <h1>{Title}</h1>
        {Lede()}
        <div id="badge" class="badge" role="status"><p><strong>Not recomputed.</strong> With a script allowed, this page
        computes every number below once more, in float64, and compares.</p></div>
        <details id="proof"><summary>What is compared with what</summary>
        <p>Given, and not counted: X, W, b, A, B{(IsExample ? " at the start, the targets" : ", dY")} and the dropout
        masks, “from the engine”. All else is computed again by the formulas of the table. Beside every number runs a
        bound on what float32 can have done to it: each operation rounds by at most 2⁻²⁴ of its result, a sum of n
        products by n·2⁻²⁴ of the sum of their magnitudes. Finite differences are central ones of
        {(IsExample ? "the loss" : "⟨dY, Y⟩")} in float64, {(IsExample ? "a parabola" : "linear")} along a single
        number, so that only rounding is left.</p>
        <div id="proof-table"></div></details>
        {Contents()}
        </header>
        <main id="main">
        {Picture()}
        {Entry()}
        {Ways()}
        {(layer?.Merge is { } merge ? Merging(merge) : Html.Empty)}
        {(IsExample ? Break() : Html.Empty)}
        {(IsExample ? Play() : Html.Empty)}
        {(IsExample ? Derive() : Html.Empty)}
        {Cost()}
        {Numbers()}
        </main>
        <footer><p>Row convention: X [N, in], A [in, r], B [r, out]; PEFT’s files hold both transposed. One file; it
        asks nothing of any network. What you choose stands in the address, so that a link is a session.</p></footer>
        <div id="announcer" class="hidden" role="status" aria-live="polite"></div>
        """);

    private Html Lede() => layer is null ? Html.Of($"""
        <p class="lede">A few tokens go through a frozen layer W and a low-rank update A·B beside it. What comes out is
        not what it should be, and the error goes back: to A and B, never to W.</p>
        <p>Here is every number of that, forward and backward: two texts of three tokens, each a micro-batch, rank
        {data.A.Columns}, s = alpha/r = {data.Constants["s"]}, dropout 0.25, three steps of AdamW. The vectors are
        random; the tokens have names so that one can speak of them.</p>
        """) : Html.Of($"""
        <p class="lede">{First.X.Rows} tokens through one adapted layer of a model, forward and backward. The model’s
        loss on them is {PageMatrix.Number(layer.Loss)}.</p>
        <p>The layer was run by itself on the X and the dY that the model had there.
        {(layer.InputNeedsGradient ? "" : "The model does not ask for dX, since nothing before the layer is trained; "
            + "it is computed here to be looked at.")}
        h, dA and dB are recomputed whole, y and dX each in the {data.Part!.Outputs.Count} columns where gradients are
        largest, for W is too large to carry.</p>
        """);

    private Html Contents() => Html.Of($"""
        <nav aria-label="Contents"><ul>
        <li><a href="#picture">The layer</a></li><li><a href="#entry">One number</a></li><li><a href="#ways">Three
        ways</a></li>
        {(layer?.Merge is null ? Html.Empty : Html.Of($"""<li><a href="#merging">Merged</a></li>"""))}
        {(IsExample ? Html.Of($"""
            <li><a href="#break">Break it</a></li><li><a href="#play">Play</a></li>
            <li><a href="#derive">Derive it</a></li>
            """) : Html.Empty)}
        <li><a href="#cost">What it costs</a></li><li><a href="#numbers">All numbers</a></li></ul></nav>
        """);

    private Html Picture()
    {
        var picture = new LayerPicture(explanation);
        return Html.Of($"""
            <section id="picture" aria-labelledby="picture-title"><h2 id="picture-title">The layer</h2>
            <p>Each box is a matrix, drawn with its numbers: <span class="swatch p7">blue above zero</span>,
            <span class="swatch n7">orange below</span>. The solid arrows run forward, the dashed ones carry gradients
            back. <span class="needs-script">Choose a box to open it.</span></p>
            <figure class="graph-figure">{picture.Draw()}</figure>
            {picture.Nodes.Select(node => Panel(node, picture))}
            </section>
            """);
    }

    private Html Panel(PictureNode node, LayerPicture picture)
    {
        var tensor = node.Tensor;
        var isLoss = tensor is not null && picture.Folded.Contains(tensor);
        bool IsShown(ExplainedTensor other) => isLoss ? picture.Folded.Contains(other) : other == tensor;
        var operations = explanation.Operations.Where(other => IsShown(other.Result)).ToList();
        var gradients = explanation.Operations.SelectMany(other => other.Gradients)
            .Where(gradient => gradient.Targets.Any(IsShown)).ToList();
        var formed = gradients.Where(gradient => gradient.IsComputed
            && !gradient.Unformed.Any(unformed => unformed == tensor));
        return Html.Of($"""
            <section class="panel card" id="node-{node.Id}" data-node="{node.Id}" aria-labelledby="title-{node.Id}">
            <h3 id="title-{node.Id}"><span class="symbol">{node.Name}</span> [{node.Shape}]: {Role(node)}</h3>
            {operations.Select(operation =>
                Html.Of($"""<p class="equation">{Equation(operation.EquationWithShapes)}</p>"""))}
            {formed.Select(gradient =>
                Html.Of($"""<p class="equation back">{Equation(gradient.EquationWithShapes)}</p>"""))}
            <div class="columns"><div>{Value(node)}</div><div>{Gradient(node)}</div></div>
            <ul class="facts">{Facts(tensor, operations, gradients).Select(fact => Html.Of($"<li>{fact}</li>"))}</ul>
            {Code(operations, gradients)}
            </section>
            """);
    }

    private Html Value(PictureNode node) => node.Tensor is { } tensor
        ? tensor.Matrix().Show(node.Name, RowName(tensor))
        : Html.Of($"<p>{node.Shape}: a packed weight; it is decoded a panel at a time while a product runs.</p>");

    private Html Gradient(PictureNode node) => node.Tensor?.GradientMatrix() is { } gradient
        ? gradient.Show($"d{node.Name}", RowName(node.Tensor))
        : Html.Of($"""<p class="muted">{WhyNoGradient(node.Tensor)}</p>""");

    private static string Role(PictureNode node) => node.Tensor switch
    {
        null => "frozen, packed",
        { Operation: { } operation } => $"computed by {operation.Name}",
        { Role: TensorRole.Trainable, Name: "X" } => "the input",
        { Role: TensorRole.Trainable } => "trained",
        _ => "frozen",
    };

    private static string WhyNoGradient(ExplainedTensor? tensor) => tensor is { Operation: not null }
        ? "The backward pass starts here."
        : "No gradient: nobody asked for it, and so it is never formed.";

    /// <summary>Bytes, operations, and what is kept.</summary>
    private IEnumerable<string> Facts(ExplainedTensor? tensor, List<ExplainedOperation> operations,
        List<ExplainedGradient> gradients)
    {
        if (tensor is null)
        {
            yield break;
        }
        yield return $"{Count(tensor.Bytes)} bytes";
        if (operations.Count > 0)
        {
            yield return $"forward: {Count(operations.Sum(operation => operation.Flops))} floating-point operations";
        }
        foreach (var gradient in gradients)
        {
            yield return gradient.Unformed.Contains(tensor)
                ? $"never formed: {gradient.Equation}; spares {Count(gradient.UnformedFlops ?? 0)} operations and "
                    + $"{Count(tensor.Bytes)} bytes"
                : $"backward: {gradient.Equation}, {Count(gradient.Flops)} operations";
        }
        if (explanation.Saved.FirstOrDefault(saved => saved.Tensor == tensor) is { } kept)
        {
            yield return kept.IsExtra ? "kept until the backward pass has used it"
                : "read by the backward pass, and there anyway";
        }
        else if (operations.Count > 0)
        {
            yield return "not kept: no gradient reads it";
        }
    }

    private static Html Code(List<ExplainedOperation> operations, List<ExplainedGradient> gradients)
    {
        var makers = operations.Select(operation => operation.Name).ToHashSet();
        return Html.Concat(makers.Union(gradients.Select(gradient => gradient.Operation.Name))
            .Select(name => (IsMaker: makers.Contains(name), Source: SourceLines.OfOperation(name)))
            .Where(method => method.Source is not null).Select(method => Html.Of($"""
                <details><summary>{(method.IsMaker ? "The C# that computes it"
                    : "The C# that reads it and sends its gradient back")}:
                {method.Source!.Place}</summary>
                <pre tabindex="0" role="group"
                aria-label="{method.Source.Place}"><code>{method.Source.Text}</code></pre></details>
                """)));
    }

    /// <summary>"H [6, 2] = X [6, 8]·A [8, 2]", the shapes under the letters.</summary>
    private static Html Equation(string text)
    {
        var pieces = new List<Html>();
        var at = 0;
        foreach (var match in ShapedName().Matches(text).Cast<Match>())
        {
            pieces.Add(Html.Escape(text[at..match.Index]));
            var shape = match.Groups[2].Value.Replace(", ", " × ");
            pieces.Add(Html.Of($"<ruby>{match.Groups[1].Value}<rp> [</rp><rt>{shape}</rt><rp>]</rp></ruby>"));
            at = match.Index + match.Length;
        }
        pieces.Add(Html.Escape(text[at..]));
        return Html.Concat(pieces);
    }

    private Html Cost() => Html.Of($"""
        <section id="cost" aria-labelledby="cost-title"><h2 id="cost-title">What it costs, and what is never formed</h2>
        <p>Counted by the kernels that ran: {Count(explanation.ForwardFlops)} operations forward,
        {Count(explanation.BackwardFlops)} backward; {Count(explanation.SavedBytes)} bytes live only because the
        backward pass will read them.</p>
        {PageTable.Of("Forward", ["op", "equation", "operations"], explanation.Operations.Select(operation =>
            Cells(operation.Name, operation.EquationWithShapes, Count(operation.Flops))))}
        {PageTable.Of("Backward, in the order in which it ran", ["op", "equation", "operations"],
            explanation.Backward.Select(gradient =>
                Cells(gradient.Operation.Name, gradient.EquationWithShapes, Count(gradient.Flops))))}
        {PageTable.Of("Never formed, for its tensor is frozen",
            ["op", "equation", "operations spared", "bytes spared"], explanation.Unformed.Select(gradient =>
                Cells(gradient.Operation.Name, gradient.EquationWithShapes,
                    gradient.UnformedFlops is { } flops ? Count(flops) : "not known", Count(gradient.UnformedBytes))))}
        <p>Nor is A·B [{data.A.Rows}, {data.B.Columns}], or Xᵀ·dY, as large as W: every product is bracketed through the
        rank.</p></section>
        """);

    private static Html[] Cells(string op, string equation, params IEnumerable<string> costs) =>
        [Html.Escape(op), Equation(equation), .. costs.Select(Html.Escape)];

    /// <summary>What is in no panel: the other batches and steps.</summary>
    private Html Numbers() => Html.Of($"""
        <section id="numbers" aria-labelledby="numbers-title"><h2 id="numbers-title">All numbers</h2>
        <p>Everything that the engine handed to this page, with five digits; the page’s script has them in full.</p>
        {data.Steps.Select(Step)}
        </section>
        """);

    private Html Step(PageStep step, int number)
    {
        var isSplit = step.Batches.Count > 1;
        var all = isSplit ? ", both micro-batches" : "";
        return Html.Of($"""
            <details><summary>{(data.Steps.Count > 1 ? $"Step {number + 1}" : "The batch")}</summary>
            {step.Batches.Select((batch, k) => Batch(batch, isSplit ? $", micro-batch {k + 1}" : ""))}
            <div class="columns">{step.Engine.A.Show($"dA{all}")}{step.Engine.B.Show($"dB{all}")}
            {step.After?.A.Show("A after the step") ?? Html.Empty}
            {step.After?.B.Show("B after the step") ?? Html.Empty}</div></details>

            """);
    }

    private static Html Batch(PageBatch batch, string where)
    {
        string Row(int n) => batch.Rows[n];
        Html Show(PageMatrix? matrix, string name) => matrix is null ? Html.Empty
            : Html.Of($"<div>{matrix.Show($"{name}{where}", matrix.Rows == batch.Rows.Count ? Row : null)}</div>");
        return Html.Of($"""
            <div class="columns">{Show(batch.X, "X")}{Show(batch.Mask, "M, the dropout mask")}
            {Show(batch.Engine.H, "H")}{Show(batch.Engine.Y, "Y")}{Show(batch.Target, "T, the targets")}
            {Show(batch.Engine.Loss, "loss")}{Show(batch.OutputGradient, "dY")}
            {Show(batch.Engine.InputGradient, "dX")}</div>
            """);
    }

    private Func<int, string>? RowName(ExplainedTensor? tensor) =>
        tensor is { Shape.Rank: > 1 } && tensor.Shape.Rows == First.Rows.Count
            && (tensor.Operation is not null || tensor.Name is "X" or "T")
            ? n => First.Rows[n] : null;

    private static string Count(long number) => number.ToString("N0", CultureInfo.InvariantCulture);

    [GeneratedRegex(@"([^\s·=+(]+) \[(\d+(?:, \d+)*)\]")]
    private static partial Regex ShapedName();
}

/// <summary>What a real layer's page is about.</summary>
/// <param name="Path">The layer's path.</param>
/// <param name="Loss">The model's loss on the batch.</param>
/// <param name="InputNeedsGradient">Whether the model asks for dX.</param>
/// <param name="Merge">Of a quantised layer, the update in its zeros.</param>
internal sealed record LayerTitle(string Path, double Loss, bool InputNeedsGradient, ZeroMerge? Merge);
