namespace LoraScratch.Engine;

public static partial class Ops
{
    /// <summary>
    /// Each row becomes probabilities: Y[i, :] = exp(X[i, :] − max) / Σ exp(X[i, :] − max).
    /// </summary>
    /// <param name="x">[…, columns]</param>
    /// <returns>The same shape; rows sum to 1.</returns>
    public static Tensor Softmax(this Tensor x)
    {
        var y = Tensor.Result(x.Shape, x.Backend,
            equation: "Y[i, :] = exp(X[i, :] − max) / Σ exp(X[i, :] − max)");
        y.Backend.Softmax(y.Data, x.Data, x.Shape.Columns);
        return y.GradientFor(x, "dX += Y ⊙ (dY − ⟨dY, Y⟩ per row)",
            (dY, dX) => dY.Backend.AddSoftmaxGradient(dX.Data, dY.Data, y.Data, y.Shape.Columns), needs: y);
    }

    /// <summary>
    /// The cross-entropy of each row with its class: Losses[i] = log Σⱼ exp(Logits[i, j]) −
    /// Logits[i, labels[i]].
    /// </summary>
    /// <param name="logits">[rows, classes]</param>
    /// <param name="labels">[rows], each in [0, classes)</param>
    /// <returns>[rows]</returns>
    /// <exception cref="ShapeMismatchException">There is not one label per row.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A label is not a class.</exception>
    public static Tensor CrossEntropyPerRow(this Tensor logits, Indices labels)
    {
        if (logits.Shape.Rank != 2 || logits.Shape.Rows != labels.Count)
        {
            throw new ShapeMismatchException(
                $"CrossEntropy: logits {logits.Shape} need shape [{labels.Count}, classes]: one row per label.");
        }
        Device.RequireSame("CrossEntropy", "logits", logits.Backend, "labels", labels.Backend);
        labels.RequireBelow("CrossEntropy", logits.Shape.Columns, "classes of the logits");
        var losses = Tensor.Result(new Shape(labels.Count), logits.Backend,
            equation: "Losses[i] = log Σⱼ exp(Logits[i, j]) − Logits[i, labels[i]]");
        losses.Backend.CrossEntropy(losses.Data, logits.Data, labels.Data);
        return losses.GradientFor(logits, "dLogits += dLosses ⊙ (softmax(Logits) − onehot(labels))",
            (dLosses, dLogits) => dLosses.Backend
                .AddCrossEntropyGradient(dLogits.Data, dLosses.Data, logits.Data, labels.Data), needs: logits);
    }

    /// <summary>The mean cross-entropy of the rows; see <see cref="CrossEntropyPerRow"/>.</summary>
    /// <param name="logits">[rows, classes]</param>
    /// <param name="labels">[rows]</param>
    /// <returns>[]</returns>
    public static Tensor CrossEntropy(this Tensor logits, Indices labels)
    {
        using var scope = new TensorScope();
        return scope.Return(logits.CrossEntropyPerRow(labels).Mean());
    }

    /// <summary>
    /// The mean binary cross-entropy of independent yes-or-no labels: −log σ(x) where the label
    /// holds, −log(1 − σ(x)) where it does not. Both are log(1 + exp(∓x)), so that no loss is a
    /// difference of large numbers.
    /// </summary>
    /// <param name="logits">[rows, labels]</param>
    /// <param name="labels">Whether each label holds, row by row: rows · labels of them.</param>
    /// <returns>[]</returns>
    /// <exception cref="ShapeMismatchException">There is not one label per logit.</exception>
    public static Tensor BinaryCrossEntropy(this Tensor logits, ReadOnlySpan<bool> labels)
    {
        if (labels.Length != logits.Shape.Count)
        {
            throw new ShapeMismatchException(
                $"BinaryCrossEntropy: {labels.Length} labels for logits {logits.Shape}: one per logit is needed.");
        }
        var values = new float[labels.Length];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = labels[i] ? -1 : 1;
        }
        using var signs = Tensor.From(values, logits.Shape, logits.Backend);
        using var scope = new TensorScope();
        return scope.Return(logits.Multiply(signs).Softplus().Mean());
    }
}
