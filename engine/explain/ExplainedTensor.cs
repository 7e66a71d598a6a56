namespace LoraScratch.Engine;

/// <summary>What a tensor is to the expression that is explained.</summary>
internal enum TensorRole
{
    /// <summary>A leaf that nobody differentiates by.</summary>
    Frozen,

    /// <summary>A leaf that gets a gradient.</summary>
    Trainable,

    /// <summary>What an op computed.</summary>
    Result,

    /// <summary>What an op keeps for its gradient besides its inputs and its result.</summary>
    Statistic,
}

/// <summary>A tensor of an explained expression.</summary>
public sealed class ExplainedTensor
{
    private readonly Tensor? leaf;
    private float[]? values;

    internal ExplainedTensor(string name, Tensor tensor, TensorRole role, float[]? values)
    {
        (Name, Shape, Role, this.values) = (name, tensor.Shape, role, values);
        leaf = values is null ? tensor : null;
    }

    /// <summary>
    /// Its name, unique in the explanation. It may be changed: the equations follow.
    /// </summary>
    public string Name { get; set; }

    /// <summary>Sizes.</summary>
    public Shape Shape { get; }

    /// <summary>What it is to the expression.</summary>
    internal TensorRole Role { get; }

    /// <summary>The op that computed it; null for a leaf.</summary>
    public ExplainedOperation? Operation { get; internal set; }

    /// <summary>Bytes of its values.</summary>
    public long Bytes => sizeof(float) * (long)Shape.Count;

    /// <summary>
    /// Its values, row-major: a copy from the time of the pass. Those of a large frozen leaf are
    /// read when they are first asked for.
    /// </summary>
    public IReadOnlyList<float> Values => values ??= leaf!.ToArray();

    /// <summary>
    /// d(result)/d(this), row-major; of a leaf with what it held before the pass. Null where none
    /// was computed.
    /// </summary>
    public IReadOnlyList<float>? Gradient { get; internal set; }

    /// <summary>"W [5, 8]"</summary>
    public override string ToString() => $"{Name} {Shape}";
}

/// <summary>
/// What a gradient function holds besides tensors: a number, or a packed weight.
/// </summary>
/// <param name="Name">The name of the variable in the op's code.</param>
/// <param name="Text">"0.25", "INT4, groups of 4 [5, 8]"</param>
/// <param name="Number">Of a factor, float or double; null for whole numbers and weights.</param>
/// <param name="Bytes">Of a weight; 0 for a number.</param>
internal sealed record ExplainedConstant(string Name, string Text, double? Number, long Bytes);

/// <summary>A value that is kept for the backward pass.</summary>
/// <param name="Tensor">Whose value.</param>
/// <param name="Bytes">Of the value.</param>
/// <param name="IsExtra">
/// Whether it lives only because it was saved: a parameter and an input are there anyway.
/// </param>
public sealed record SavedValue(ExplainedTensor Tensor, long Bytes, bool IsExtra);
