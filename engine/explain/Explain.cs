namespace LoraScratch.Engine;

/// <summary>
/// Takes an expression apart: every op with its equation and shapes, how its gradient reaches each
/// input, what is kept for that, what it costs, what is never formed, and all the numbers.
/// <para>
/// Nothing about an op is written here. The equations are those that the op gave
/// <see cref="Tensor.Result"/> and GradientFor, the costs are those of the kernels that ran, and so
/// an op of your own appears like the engine's.
/// </para>
/// <code>
/// Console.WriteLine(Explain.Run(() => x.MatMul(w).Square().Mean(), [("X", x), ("W", w)]));
/// </code>
/// </summary>
public static class Explain
{
    /// <summary>
    /// Runs an expression forward and backward. As after <see cref="Tensor.Backward"/>, the
    /// gradients of its leaves are added to; its intermediate results are freed, and their values
    /// and gradients are in the explanation.
    /// </summary>
    /// <param name="expression">
    /// Computes a tensor with ops. Where nothing in it requires a gradient only the forward pass is
    /// explained.
    /// </param>
    /// <param name="names">
    /// Names of leaves. Others have their parameter's name, or the letter of the op that takes
    /// them.
    /// </param>
    /// <param name="upstream">
    /// d(loss)/d(result); may be left out where the result is a single number.
    /// </param>
    /// <exception cref="InvalidOperationException">
    /// The result has several elements, requires a gradient, and no upstream was given; or it was
    /// computed before.
    /// </exception>
    public static Explanation Run(Func<Tensor> expression, IReadOnlyList<(string Name, Tensor Value)>? names = null,
        Tensor? upstream = null)
    {
        using var scope = new TensorScope();
        using var tape = new Tape();
        var root = expression();
        var entry = tape.Entries.FirstOrDefault(entry => entry.Result == root)
            ?? throw new InvalidOperationException($"Explain: {root.Description} was not computed by the expression. "
                + "Compute it inside: Explain.Run(() => x.MatMul(w)).");
        var builder = new ExplanationBuilder(tape, entry, names ?? []);
        if (root.RequiresGradient)
        {
            tape.Backward(root, upstream);
        }
        else
        {
            tape.End();
        }
        tape.CountUnformed();
        return builder.Build();
    }
}
