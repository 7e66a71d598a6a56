using System.Globalization;
using System.Text;

namespace LoraScratch.Engine;

/// <summary>
/// An expression taken apart; see <see cref="Explain"/>. Printed, it is the terminal's view.
/// </summary>
public sealed class Explanation
{
    internal Explanation(IReadOnlyList<ExplainedOperation> operations, IReadOnlyList<ExplainedGradient> backward,
        IReadOnlyList<ExplainedTensor> tensors, ExplainedTensor result)
    {
        (Operations, Backward, Tensors, Result) = (operations, backward, tensors, result);
        Saved = [.. backward.SelectMany(gradient => gradient.Needs).DistinctBy(saved => saved.Tensor)];
        Unformed = [.. operations.SelectMany(operation => operation.Gradients)
            .Where(gradient => gradient.Unformed.Count > 0)];
    }

    /// <summary>The ops, in the order of computation.</summary>
    public IReadOnlyList<ExplainedOperation> Operations { get; }

    /// <summary>The gradients that Backward computed, in that order.</summary>
    public IReadOnlyList<ExplainedGradient> Backward { get; }

    /// <summary>The gradients that were not formed, or not for all of their inputs.</summary>
    public IReadOnlyList<ExplainedGradient> Unformed { get; }

    /// <summary>Every tensor: leaves and results in the order in which the ops use them.</summary>
    public IReadOnlyList<ExplainedTensor> Tensors { get; }

    /// <summary>What the expression computed.</summary>
    public ExplainedTensor Result { get; }

    /// <summary>
    /// What is kept from the forward pass for the backward pass, each value once.
    /// </summary>
    public IReadOnlyList<SavedValue> Saved { get; }

    /// <summary>Bytes of the values that live only because they were saved.</summary>
    public long SavedBytes => Saved.Where(saved => saved.IsExtra).Sum(saved => saved.Bytes);

    /// <summary>
    /// Bytes of results that would be kept as well, if nothing were frozen: only the gradients that
    /// were not formed read them.
    /// </summary>
    public long SparedBytes => Unformed.SelectMany(gradient => gradient.Needs).DistinctBy(saved => saved.Tensor)
        .Where(saved => saved.IsExtra && !Saved.Any(kept => kept.Tensor == saved.Tensor)).Sum(saved => saved.Bytes);

    /// <summary>Floating-point operations of the forward pass.</summary>
    public long ForwardFlops => Operations.Sum(operation => operation.Flops);

    /// <summary>Floating-point operations of the backward pass.</summary>
    public long BackwardFlops => Backward.Sum(gradient => gradient.Flops);

    /// <summary>
    /// Floating-point operations of the gradients that were not formed, as far as known.
    /// </summary>
    public long UnformedFlops => Unformed.Sum(gradient => gradient.UnformedFlops ?? 0);

    /// <summary>Bytes of the gradients that were not formed: each tensor's once.</summary>
    public long UnformedBytes => Unformed.SelectMany(gradient => gradient.Unformed).Distinct()
        .Where(tensor => tensor.Gradient is null).Sum(tensor => tensor.Bytes);

    /// <summary>The tensor of a name.</summary>
    /// <exception cref="KeyNotFoundException">There is none.</exception>
    public ExplainedTensor this[string name] => Tensors.FirstOrDefault(tensor => tensor.Name == name)
        ?? throw new KeyNotFoundException(
            $"There is no tensor '{name}'; there are {string.Join(", ", Tensors.Select(tensor => tensor.Name))}.");

    /// <summary>
    /// The whole as text: equations, costs, what is saved and what is not formed, numbers.
    /// </summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append("forward\n");
        AppendTable(text, [.. Operations.Select(operation => new[]
        {
            $"{operation.Number}", operation.Name, operation.EquationWithShapes,
            string.Join(", ", operation.Constants.Select(constant => $"{constant.Name} = {constant.Text}")),
            Flops(operation.Flops),
        })]);
        text.Append("\nbackward\n");
        AppendTable(text, [.. Backward.Select(gradient => new[]
        {
            $"{gradient.Operation.Number}", gradient.Operation.Name, gradient.EquationWithShapes, "",
            Flops(gradient.Flops),
        })]);
        if (Saved.Count > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"\nsaved for the backward pass: {SavedBytes:N0} bytes\n");
            AppendTable(text, [.. Saved.Select(saved => new[]
            {
                saved.Tensor.ToString(), $"{saved.Bytes.ToString("N0", CultureInfo.InvariantCulture)} bytes",
                saved.IsExtra ? "" : "is there anyway",
            })]);
        }
        if (Unformed.Count > 0)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"\nnever formed: {UnformedFlops:N0} flops and {UnformedBytes:N0} bytes of gradients spared, ")
                .Append(CultureInfo.InvariantCulture, $"and {SparedBytes:N0} bytes that would be saved for them\n");
            AppendTable(text, [.. Unformed.Select(gradient => new[]
            {
                $"{gradient.Operation.Number}", gradient.Operation.Name, gradient.EquationWithShapes,
                gradient.UnformedFlops is { } flops ? Flops(flops) : "flops not known",
                $"{gradient.UnformedBytes.ToString("N0", CultureInfo.InvariantCulture)} bytes",
            })]);
        }
        text.Append(CultureInfo.InvariantCulture, $"\nforward {ForwardFlops:N0} flops, backward {BackwardFlops:N0} ")
            .Append("flops\n");
        foreach (var tensor in Tensors.Where(tensor => tensor.Role != TensorRole.Statistic))
        {
            Append(text, tensor.ToString(), tensor.Shape, tensor.Values);
            if (tensor.Gradient is { } gradient)
            {
                Append(text, $"d{tensor}", tensor.Shape, gradient);
            }
        }
        return text.ToString().TrimEnd('\n');
    }

    private static void Append(StringBuilder text, string title, Shape shape, IReadOnlyList<float> values)
    {
        var numbers = values as float[] ?? [.. values];
        text.Append('\n').Append(title).Append('\n').Append("  ").Append((TensorText.ShowsAll(shape)
            ? TensorText.Of(numbers, shape) : TensorText.Statistics(numbers))
            .Replace("\n", "\n  ", StringComparison.Ordinal)).Append('\n');
    }

    private static void AppendTable(StringBuilder text, IReadOnlyList<string[]> rows)
    {
        var widths = Enumerable.Range(0, rows.Count == 0 ? 0 : rows[0].Length)
            .Select(column => rows.Max(row => Width(row[column]))).ToArray();
        foreach (var row in rows)
        {
            text.Append("  ").AppendJoin("  ",
                row.Select((cell, column) => cell + new string(' ', widths[column] - Width(cell)))
                    .Where((_, column) => widths[column] > 0));
            while (text[^1] == ' ')
            {
                text.Length--;
            }
            text.Append('\n');
        }
    }

    /// <summary>Letters as they are seen: X̃ is two characters.</summary>
    private static int Width(string text) => new StringInfo(text).LengthInTextElements;

    private static string Flops(long flops) => $"{flops.ToString("N0", CultureInfo.InvariantCulture)} flops";
}
