using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Lora.Pages;

namespace LoraScratch.Lora.Explaining;

/// <summary>A tensor in the picture.</summary>
/// <param name="Id">For addresses.</param>
/// <param name="Tensor">Its numbers; null for a packed weight.</param>
/// <param name="Name">What it is called.</param>
/// <param name="Shape">Under the name.</param>
internal sealed record PictureNode(string Id, ExplainedTensor? Tensor, string Name, string Shape)
{
    public float Depth { get; set; }

    public float Lane { get; set; }

    public bool IsFrozen => Tensor is null or { Role: TensorRole.Frozen, Gradient: null };
}

/// <summary>
/// The graph of an explained layer as SVG: the values and gradients themselves are in the nodes, as
/// heat maps. It is drawn twice, from left to right and, for narrow screens, from top to bottom.
/// </summary>
internal sealed class LayerPicture
{
    private readonly Explanation explanation;
    private readonly List<PictureNode> nodes = [];
    private readonly List<(PictureNode From, PictureNode To, bool IsBackward)> arrows = [];

    /// <summary>Lays out a graph.</summary>
    /// <param name="explanation">
    /// What comes after its Y, the way to the loss, is drawn as one node: the result.
    /// </param>
    public LayerPicture(Explanation explanation)
    {
        this.explanation = explanation;
        foreach (var operation in explanation.Operations)
        {
            if (operation.Inputs.Any(input => input.Name == "Y" || Folded.Contains(input)))
            {
                Folded.Add(operation.Result);
            }
        }
        foreach (var tensor in explanation.Tensors.Where(tensor => tensor.Role != TensorRole.Statistic
            && (tensor == explanation.Result || !Folded.Contains(tensor))))
        {
            nodes.Add(new PictureNode(tensor.Name, tensor, tensor.Name, string.Join(" × ", Sizes(tensor.Shape))));
        }
        foreach (var operation in explanation.Operations)
        {
            foreach (var weight in operation.Constants.Where(constant => constant.Bytes > 0))
            {
                nodes.Add(new PictureNode("W", null, "W", weight.Text));
                arrows.Add((nodes[^1], Node(operation.Result), false));
            }
            foreach (var gradient in operation.Gradients)
            {
                foreach (var target in gradient.Targets.Where(target => Node(target) != Node(operation.Result)))
                {
                    arrows.Add((Node(target), Node(operation.Result),
                        gradient.IsComputed && !gradient.Unformed.Contains(target)));
                }
            }
        }
        Place();
    }

    /// <summary>The results on the way from Y to the loss.</summary>
    public HashSet<ExplainedTensor> Folded { get; } = [];

    /// <summary>In reading order.</summary>
    public IReadOnlyList<PictureNode> Nodes => nodes;

    /// <summary>Both drawings.</summary>
    public Html Draw() => Html.Of($"{Draw(isWide: true)}{Draw(isWide: false)}");

    /// <summary>
    /// Results stand as deep as their longest way from the input, and the lane of a branch is that
    /// of its first op: a branch that is alone is the lower one. A leaf that one op alone reads
    /// stands above or below that op; of an op between the lanes, frozen leaves above.
    /// </summary>
    private void Place()
    {
        var main = nodes.Where(node => node.Tensor is { Operation: null }).MaxBy(node =>
            arrows.Count(arrow => arrow.From == node))!;
        main.Lane = 1.5f;
        var above = explanation.Operations.ToDictionary(operation => operation, operation => arrows
            .Where(arrow => arrow.To == Node(operation.Result)).Select(arrow => arrow.From).Distinct()
            .Where(node => node == main || node.Tensor?.Operation is not null).ToList());
        var lane = above.Values.Count(IsFirstOfBranch) == 1 ? 2 : 1;
        foreach (var operation in explanation.Operations)
        {
            var (result, from) = (Node(operation.Result), above[operation]);
            result.Depth = from.Select(node => node.Depth).DefaultIfEmpty(0).Max() + 1;
            result.Lane = from.Count > 1 ? 1.5f : from is [var only] && only != main ? only.Lane : lane;
            lane = IsFirstOfBranch(from) ? 3 - lane : lane;
        }
        var placed = new List<(float Depth, float Lane)>();
        foreach (var leaf in nodes.Where(node => node != main && node.Tensor?.Operation is null).ToList())
        {
            var reader = arrows.First(arrow => arrow.From == leaf).To;
            leaf.Lane = reader.Lane < 1.5f || reader.Lane == 1.5f && leaf.IsFrozen ? 0 : 3;
            var place = (reader.Depth, leaf.Lane);
            leaf.Depth = reader.Depth - 0.92f * placed.Count(other => other == place);
            placed.Add(place);
        }
        nodes.Sort((a, b) => (a.Depth, a.Lane).CompareTo((b.Depth, b.Lane)));
    }

    /// <param name="from">What an op reads of the input and of other ops.</param>
    private static bool IsFirstOfBranch(List<PictureNode> from) =>
        from.Count == 0 || from is [{ Tensor.Operation: null }];

    private Html Draw(bool isWide)
    {
        // the box of a node, and the way from one to the next, along and across the flow
        var (width, height, along, across) = isWide ? (138, 108, 196, 128) : (88, 132, 168, 97);
        var depth = nodes.Max(node => node.Depth);
        var (w, h) = isWide ? ((float)width + depth * along + 4, height + 3f * across + 4)
            : (width + 3f * across + 4, height + depth * along + 4);
        (float X, float Y) At(PictureNode node) => isWide ? (node.Depth * along + 2, node.Lane * across + 2)
            : (node.Lane * across + 2, node.Depth * along + 2);
        var direction = isWide ? "wide" : "narrow";
        return Html.Of($"""
            <svg class="graph {direction}" viewBox="0 0 {w:0} {h:0}" role="group"
            aria-label="The layer as a graph, from the input to the result">
            <defs>{Head($"forward-{direction}", "")}{Head($"backward-{direction}", "back")}</defs>
            {arrows.DistinctBy(arrow => (arrow.From, arrow.To)).Select(arrow =>
                Arrow(arrow, At, (width, height), isWide, direction))}
            {nodes.Select(node => Box(node, At(node), (width, height), isWide))}
            </svg>
            """);
    }

    /// <summary>The head of an arrow.</summary>
    private static Html Head(string id, string style) => Html.Of($"""
        <marker id="{id}" class="{style}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"
        orient="auto"><path d="M0 0.6L7.4 4L0 7.4z"/></marker>
        """);

    private static Html Arrow((PictureNode From, PictureNode To, bool IsBackward) arrow,
        Func<PictureNode, (float X, float Y)> at, (int Width, int Height) box, bool isWide, string direction)
    {
        var ((x1, y1), (x2, y2)) = (at(arrow.From), at(arrow.To));
        var (cx1, cy1) = (x1 + box.Width / 2f, y1 + box.Height / 2f);
        var (cx2, cy2) = (x2 + box.Width / 2f, y2 + box.Height / 2f);
        var isAlong = isWide ? Math.Abs(x2 - x1) > box.Width : Math.Abs(y2 - y1) > box.Height;
        // along the flow from the end of one box to the beginning of the next, else from side to side
        var (sx, sy, tx, ty) = isWide == isAlong
            ? (x1 + box.Width, cy1, x2, cy2)
            : (cx1, cy1 < cy2 ? y1 + box.Height : y1, cx2, cy1 < cy2 ? y2 : y2 + box.Height);
        if (!isWide && !isAlong)
        {
            (sx, sy, tx, ty) = (cx1 < cx2 ? x1 + box.Width : x1, cy1, cx2 > cx1 ? x2 : x2 + box.Width, cy2);
        }
        if (isWide && !isAlong && Math.Abs(cx1 - cx2) > 1)
        {
            (sx, tx) = (cx1, Math.Clamp(cx1, x2 + 12, x2 + box.Width - 12));
        }
        var isFlat = isWide == isAlong;
        Html Curve(float shift, bool isBack)
        {
            var (ax, ay, bx, by) = isFlat ? (sx, sy + shift, tx, ty + shift) : (sx + shift, sy, tx + shift, ty);
            if (isBack)
            {
                (ax, ay, bx, by) = (bx, by, ax, ay);
            }
            var (mx, my) = ((ax + bx) / 2, (ay + by) / 2);
            var (firstX, firstY, secondX, secondY) = isFlat ? (mx, ay, mx, by) : (ax, my, bx, my);
            var path = string.Create(CultureInfo.InvariantCulture,
                $"M{ax:0.#} {ay:0.#}C{firstX:0.#} {firstY:0.#} {secondX:0.#} {secondY:0.#} {bx:0.#} {by:0.#}");
            var kind = isBack ? "backward" : "forward";
            return Html.Of($"""<path class="flow {kind}" d="{path}" marker-end="url(#{kind}-{direction})"/>""");
        }
        return arrow.IsBackward ? Html.Of($"{Curve(-5, false)}{Curve(5, true)}\n") : Html.Of($"{Curve(0, false)}\n");
    }

    private static Html Box(PictureNode node, (float X, float Y) at, (int Width, int Height) box, bool isWide)
    {
        var (value, gradient) = (node.Tensor?.Matrix(), node.Tensor?.GradientMatrix());
        // what is to be read in the box, then what its colours say
        var label = $"{node.Name} {node.Shape}{(isWide && gradient is not null ? " value gradient" : "")}"
            + $"{(node.IsFrozen ? ", frozen" : "")}{(value is null ? "" : $", norm {PageMatrix.Number(Norm(value))}")}"
            + (gradient is null ? "" : $", norm of the gradient {PageMatrix.Number(Norm(gradient))}");
        // value and gradient beside each other, or below each other where their squares come out larger
        var (columns, rows) = value?.PictureSize ?? (1, 1);
        const float room = 44, largest = 10;
        var inner = (Width: box.Width - 20f, Height: box.Height - (isWide ? 50f : 58f));
        var beside = isWide ? Math.Min(largest, Math.Min((inner.Width - 4) / 2 / columns, inner.Height / rows)) : 0;
        var below = Math.Min(largest, Math.Min((isWide ? inner.Width - room : inner.Width) / columns,
            ((isWide ? inner.Height + 14 : inner.Height) - 8) / 2 / rows));
        var isBelow = below > 1.15f * beside;
        var square = isBelow ? below : beside;
        var (x, y) = (isWide ? 10f : 8f, isWide ? 32f : 42f);
        var (secondX, secondY) = isBelow ? (x, y + rows * square + 8) : (x + inner.Width / 2 + 2, y);
        var (right, middle) = (x + columns * square + 5, rows * square / 2 + 4);
        var captions = !isWide || gradient is null ? Html.Empty : isBelow
            ? Html.Of($"{Caption("value", right, y + middle)} {Caption("gradient", right, secondY + middle)}")
            : Html.Of($"{Caption("value", x, box.Height - 8)} {Caption("gradient", secondX, box.Height - 8)}");
        var anchor = isWide ? Html.Of($" text-anchor=\"end\"") : Html.Empty;
        var isLocked = node.IsFrozen && node.Tensor?.Role != TensorRole.Result;
        var (lockX, lockY) = isWide ? (box.Width - 22, box.Height - 22) : (box.Width - 20, 9);
        return Html.Of($"""
            <a class="node{(node.IsFrozen ? " frozen" : "")}" href="#node-{node.Id}" data-node="{node.Id}"
            aria-label="{label}"><g transform="translate({at.X:0.#} {at.Y:0.#})">
            <rect class="box" width="{box.Width}" height="{box.Height}" rx="9"/>
            <text class="name" x="{(isWide ? 10 : 8)}" y="21">{node.Name}</text>
            <text class="shape" x="{(isWide ? box.Width - 10 : 8)}" y="{(isWide ? 20 : 35)}"{anchor}>{node.Shape}</text>
            {(isLocked ? Lock(lockX, lockY) : Html.Empty)}
            {value?.Squares(x, y, square) ?? Html.Empty}
            {gradient?.Squares(secondX, secondY, square) ?? Html.Empty}{captions}
            </g></a>
            """);
    }

    private static Html Caption(string text, float x, float y) =>
        Html.Of($"""<text class="tiny" x="{x:0.#}" y="{y:0.#}">{text}</text>""");

    private static Html Lock(float x, float y) => Html.Of($"""
        <g class="lock" transform="translate({x:0.#} {y:0.#})"><path d="M2.5 6V4a3.5 3.5 0 0 1 7 0v2" fill="none"/>
        <rect y="6" width="12" height="8" rx="1.5"/></g>
        """);

    private static double Norm(PageMatrix matrix) => Math.Sqrt(matrix.Values.Sum(value => (double)value * value));

    private static IEnumerable<int> Sizes(Shape shape) =>
        shape.Rank == 0 ? [1] : Enumerable.Range(0, shape.Rank).Select(i => shape[i]);

    private PictureNode Node(ExplainedTensor tensor) =>
        nodes.First(node => node.Tensor == (Folded.Contains(tensor) ? explanation.Result : tensor));
}
