namespace LoraScratch.Engine;

/// <summary>Makes an <see cref="Explanation"/> of a <see cref="Tape"/>.</summary>
internal sealed class ExplanationBuilder
{
    private const int CopiedAtOnce = 1 << 16;       // elements of a frozen leaf: a larger one is read on demand

    private readonly Tape tape;
    private readonly TapeEntry root;
    private readonly List<TapeEntry> entries;
    private readonly Dictionary<Tensor, string> given;
    private readonly HashSet<string> taken = [];
    private readonly Dictionary<Tensor, ExplainedTensor> tensors = [];
    private readonly Dictionary<Tensor, TapeEntry> results;

    public ExplanationBuilder(Tape tape, TapeEntry root, IReadOnlyList<(string Name, Tensor Value)> names)
    {
        (this.tape, this.root) = (tape, root);
        given = names.DistinctBy(entry => entry.Value).ToDictionary(entry => entry.Value, entry => entry.Name);
        taken.UnionWith(given.Values);
        results = tape.Entries.ToDictionary(entry => entry.Result);
        entries = Reachable();
        foreach (var leaf in entries.SelectMany(entry => entry.Gradients).SelectMany(gradient => gradient.Inputs)
            .Where(input => !results.ContainsKey(input) && input.OwnName is { } name && !given.ContainsKey(input)))
        {
            taken.Add(leaf.OwnName!);
        }
    }

    public Explanation Build()
    {
        var operations = new List<ExplainedOperation>();
        var gradients = new Dictionary<TapeGradient, ExplainedGradient>();
        var computed = tape.Applied.ToHashSet();
        var keeps = new HashSet<object>();
        foreach (var entry in entries)
        {
            var inputs = Inputs(entry);
            var result = Result(entry, operations.Count + 1);
            var letter = Equations.ResultLetter(entry.Equation, entry.Gradients.Select(gradient => gradient.Equation));
            var constants = entry.Gradients.SelectMany(gradient => Captured.Constants(gradient.Function))
                .DistinctBy(constant => constant.Name).ToList();
            var operation = new ExplainedOperation(operations.Count + 1, OperationName(entry.Result), entry.Equation,
                result, letter, inputs, constants, entry.Flops);
            result.Operation = operation;
            operations.Add(operation);
            operation.Gradients = [.. entry.Gradients.Select(gradient =>
                gradients[gradient] = Gradient(operation, gradient, computed.Contains(gradient)))];
        }
        foreach (var (tensor, explained) in tensors)
        {
            explained.Gradient = results.TryGetValue(tensor, out var entry) ? entry.Gradient
                : tensor.Gradient?.ToArray();
        }
        return new Explanation(operations, [.. tape.Applied.Select(gradient => gradients[gradient])],
            [.. tensors.Values], tensors[root.Result]);
    }

    /// <summary>The ops that the root depends on, in the order of computation.</summary>
    private List<TapeEntry> Reachable()
    {
        var needed = new HashSet<Tensor>();
        var open = new Stack<Tensor>([root.Result]);
        while (open.TryPop(out var tensor))
        {
            if (needed.Add(tensor) && results.TryGetValue(tensor, out var entry))
            {
                foreach (var input in entry.Gradients.SelectMany(gradient => gradient.Inputs))
                {
                    open.Push(input);
                }
            }
        }
        return [.. tape.Entries.Where(entry => needed.Contains(entry.Result))];
    }

    private List<(string Letter, ExplainedTensor Tensor)> Inputs(TapeEntry entry)
    {
        var inputs = new List<(string, ExplainedTensor)>();
        foreach (var gradient in entry.Gradients)
        {
            var letters = Equations.Targets(gradient.Equation);
            for (var i = 0; i < gradient.Inputs.Length; i++)
            {
                var letter = i < letters.Count ? letters[i] : $"X{i + 1}";
                inputs.Add((letter, Leaf(gradient.Inputs[i], letter)));
            }
        }
        return inputs;
    }

    private ExplainedGradient Gradient(ExplainedOperation operation, TapeGradient gradient, bool isComputed)
    {
        var targets = gradient.Inputs.Select(input => tensors[input]).ToList();
        var unformed = gradient.Inputs.Where(input => !isComputed || !input.RequiresGradient)
            .Select(input => tensors[input]).Distinct().ToList();
        var needs = gradient.Needs.DistinctBy(tensor => tensor.Memory).Select(tensor =>
        {
            var explained = Leaf(tensor, Captured.NameOf(gradient.Function, tensor) ?? "T", TensorRole.Statistic);
            return new SavedValue(explained, explained.Bytes,
                explained.Role is TensorRole.Result or TensorRole.Statistic);
        }).ToList();
        return new ExplainedGradient(operation, gradient.Equation, targets, unformed, needs, gradient.Flops,
            unformed.Count == 0 ? 0 : gradient.UnformedFlops, isComputed);
    }

    private ExplainedTensor Result(TapeEntry entry, int number)
    {
        var explained = new ExplainedTensor(NameFor(entry.Result, $"y{number}"), entry.Result, TensorRole.Result,
            Read(entry));
        tensors.Add(entry.Result, explained);
        return explained;
    }

    /// <summary>
    /// The op's name; of a local function the compiler hands over the method around it,
    /// "&lt;Main&gt;$".
    /// </summary>
    private static string OperationName(Tensor result) =>
        result.Operation is [not '<', ..] name ? name : "op";

    /// <summary>The values of a result, which its owner may have given up already.</summary>
    private static float[] Read(TapeEntry entry)
    {
        var values = new float[entry.Result.Shape.Count];
        entry.Held.Backend.Download(values.AsSpan(), entry.Held.Buffer!);
        return values;
    }

    private ExplainedTensor Leaf(Tensor tensor, string letter, TensorRole? role = null)
    {
        if (!tensors.TryGetValue(tensor, out var explained))
        {
            var kind = tensor.RequiresGradient ? TensorRole.Trainable : role ?? TensorRole.Frozen;
            explained = new ExplainedTensor(NameFor(tensor, letter), tensor, kind,
                kind == TensorRole.Frozen && tensor.Shape.Count > CopiedAtOnce ? null : tensor.ToArray());
            tensors.Add(tensor, explained);
        }
        return explained;
    }

    private string NameFor(Tensor tensor, string otherwise)
    {
        if (given.TryGetValue(tensor, out var name))
        {
            return name;
        }
        if (tensor.OwnName is { } own && !tensors.Values.Any(other => other.Name == own)
            && !given.ContainsValue(own))
        {
            return own;
        }
        var wanted = tensor.OwnName ?? otherwise;
        name = wanted;
        for (var number = 2; !taken.Add(name); number++)
        {
            name = $"{wanted}{number}";
        }
        return name;
    }
}
