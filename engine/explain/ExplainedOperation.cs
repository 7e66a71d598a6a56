namespace LoraScratch.Engine;

/// <summary>One op of an explained expression.</summary>
public sealed class ExplainedOperation
{
    private readonly string? equation;

    internal ExplainedOperation(int number, string name, string? equation, ExplainedTensor result, string resultLetter,
        IReadOnlyList<(string Letter, ExplainedTensor Tensor)> inputs, IReadOnlyList<ExplainedConstant> constants,
        long flops)
    {
        (Number, Name, this.equation, Result, Constants, Flops) = (number, name, equation, result, constants, flops);
        Inputs = [.. inputs.Select(input => input.Tensor)];
        Letters = new Dictionary<string, ExplainedTensor>(inputs.Select(input => KeyValuePair.Create(input.Letter,
            input.Tensor)).Append(KeyValuePair.Create(resultLetter, result)).DistinctBy(entry => entry.Key));
    }

    /// <summary>Place in the order of computation, from 1.</summary>
    public int Number { get; }

    /// <summary>The op's name: that of its method.</summary>
    public string Name { get; }

    /// <summary>What it computed.</summary>
    public ExplainedTensor Result { get; }

    /// <summary>What it computed it from, each input once for each part that it plays.</summary>
    public IReadOnlyList<ExplainedTensor> Inputs { get; }

    /// <summary>The numbers and packed weights that it uses.</summary>
    internal IReadOnlyList<ExplainedConstant> Constants { get; }

    /// <summary>Floating-point operations of the forward pass, from the kernels that ran.</summary>
    public long Flops { get; }

    /// <summary>How its gradient reaches each input, in the order of the inputs.</summary>
    public IReadOnlyList<ExplainedGradient> Gradients { get; internal set; } = [];

    /// <summary>
    /// The equation as the op's code has it, in the op's own letters; null where it has none.
    /// </summary>
    public string? OwnEquation => equation;

    /// <summary>
    /// The equation in the names of the tensors: "H = X·A". Of an op that says none: "Y =
    /// MyMatMul(X, W)".
    /// </summary>
    public string Equation => Write(equation, withShapes: false);

    /// <summary>The same with shapes: "H [6, 2] = X [6, 8]·A [8, 2]".</summary>
    public string EquationWithShapes => Write(equation, withShapes: true);

    /// <summary>The op's letters.</summary>
    internal IReadOnlyDictionary<string, ExplainedTensor> Letters { get; }

    /// <summary>An equation of this op in the names of the tensors.</summary>
    internal string Translate(string text, bool withShapes) => Equations.In(text,
        Letters.ToDictionary(entry => entry.Key, entry => (Func<bool, bool, string>)((isTransposed, maySayShape) =>
            Shown(entry.Value, isTransposed, withShapes && maySayShape))), Constants);

    /// <summary>"3  MatMul  H [6, 2] = X [6, 8]·A [8, 2]"</summary>
    public override string ToString() => $"{Number}  {Name}  {EquationWithShapes}";

    private string Write(string? text, bool withShapes) => text is not null ? Translate(text, withShapes)
        : $"{Shown(Result, false, withShapes)} = {Name}("
            + $"{string.Join(", ", Inputs.Distinct().Select(input => Shown(input, false, withShapes)))})";

    private static string Shown(ExplainedTensor tensor, bool isTransposed, bool withShape)
    {
        var name = tensor.Name + (isTransposed ? "ᵀ" : "");
        return !withShape ? name : isTransposed && tensor.Shape.Rank == 2
            ? $"{name} [{tensor.Shape[1]}, {tensor.Shape[0]}]" : $"{name} {tensor.Shape}";
    }
}

/// <summary>
/// How the gradient of one op's result reaches an input, or several that share work.
/// </summary>
public sealed class ExplainedGradient
{
    internal ExplainedGradient(ExplainedOperation operation, string equation, IReadOnlyList<ExplainedTensor> targets,
        IReadOnlyList<ExplainedTensor> unformed, IReadOnlyList<SavedValue> needs, long flops, long? unformedFlops,
        bool isComputed)
    {
        (Operation, OwnEquation, Targets, Unformed, Needs) = (operation, equation, targets, unformed, needs);
        (Flops, UnformedFlops, IsComputed) = (flops, unformedFlops, isComputed);
    }

    /// <summary>The op.</summary>
    public ExplainedOperation Operation { get; }

    /// <summary>The inputs whose gradients it adds to, frozen ones with them.</summary>
    public IReadOnlyList<ExplainedTensor> Targets { get; }

    /// <summary>Those of them whose gradient is never formed, for nobody asks for it.</summary>
    public IReadOnlyList<ExplainedTensor> Unformed { get; }

    /// <summary>What it reads: kept from the forward pass on, if it is computed.</summary>
    public IReadOnlyList<SavedValue> Needs { get; }

    /// <summary>Whether Backward computed it.</summary>
    public bool IsComputed { get; }

    /// <summary>Floating-point operations, from the kernels that ran.</summary>
    public long Flops { get; }

    /// <summary>
    /// Floating-point operations of what was not formed, from the kernels that would have run; null
    /// where a gradient computes on the host and they could not be counted.
    /// </summary>
    public long? UnformedFlops { get; }

    /// <summary>Bytes of the gradients that were not formed.</summary>
    public long UnformedBytes => Unformed.Sum(tensor => tensor.Bytes);

    /// <summary>The equation as the op's code has it, in the op's own letters.</summary>
    public string OwnEquation { get; }

    /// <summary>The equation in the names of the tensors: "dA += Xᵀ·dH".</summary>
    public string Equation => Operation.Translate(OwnEquation, withShapes: false);

    /// <summary>The same with shapes: "dA [8, 2] += Xᵀ [8, 6]·dH [6, 2]".</summary>
    public string EquationWithShapes => Operation.Translate(OwnEquation, withShapes: true);

    /// <summary>The equation with shapes.</summary>
    public override string ToString() => EquationWithShapes;
}
