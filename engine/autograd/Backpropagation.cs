namespace LoraScratch.Engine;

/// <summary>
/// Reverse-mode differentiation. The ops recorded a graph: every result knows, for each input, a
/// function that adds (dY · ∂Y/∂X) to dX. The chain rule is then a walk from the loss back to the
/// leaves, in an order in which each result comes before its inputs, so that dY is complete when it
/// is used.
/// </summary>
internal static class Backpropagation
{
    private static long passes;

    public static void Run(Tensor root, Tensor? upstream)
    {
        Check(root, upstream);
        var order = InputsFirst(root);
        // gradient functions may use ops themselves:
        using var noSecondGraph = new NoGradient();
        using var scope = new TensorScope();                                // what those compute ends here
        // d(root)/d(root) = 1, or what the caller says
        Seed(root, upstream);
        var tape = Tape.Current;
        for (var i = order.Count - 1; i >= 0; i--)
        {
            var y = order[i];
            if (y.Gradient is { } dY)
            {
                tape?.Reached(y, dY);
                for (var edge = y.Edges; edge is not null; edge = edge.Next)
                {
                    edge.Apply(dY);
                    tape?.Ran(edge);
                }
            }
            Free(y, isRoot: y == root);
        }
    }

    public static string Describe(Tensor root)
    {
        var lines = new List<string>();
        var order = InputsFirst(root);
        for (var i = order.Count - 1; i >= 0; i--)
        {
            for (var edge = order[i].Edges; edge is not null; edge = edge.Next)
            {
                lines.Add($"{order[i].Description}: {edge.Equation} → "
                    + $"{string.Join(", ", edge.Inputs.ToArray().Select(input => input.Description))}");
            }
        }
        return string.Join('\n', lines);
    }

    /// <summary>
    /// All op results that the root depends on, each after its inputs. Iterative: a graph may be
    /// deeper than the call stack.
    /// </summary>
    private static List<Tensor> InputsFirst(Tensor root)
    {
        var pass = Interlocked.Increment(ref passes);
        var order = new List<Tensor>();
        var open = new Stack<Tensor>([root]);
        while (open.TryPeek(out var y))
        {
            // met for the first time: its inputs go on top of it
            if (y.VisitedBy != pass && y.VisitedBy != -pass)
            {
                y.VisitedBy = pass;
                for (var edge = y.Edges; edge is not null; edge = edge.Next)
                {
                    foreach (var input in edge.Inputs)
                    {
                        if (input.IsGraphFreed)
                        {
                            throw FreedGraph(input);
                        }
                        if (input.Edges is not null && input.VisitedBy != -pass)
                        {
                            open.Push(input);
                        }
                    }
                }
                continue;
            }
            open.Pop();                                             // on top again: its inputs are in the order
            if (y.VisitedBy == pass)
            {
                y.VisitedBy = -pass;
                order.Add(y);
            }
        }
        return order;
    }

    /// <summary>
    /// Gives back the gradient and the value of an intermediate result, and what its edges held;
    /// of a result that is kept, only the latter.
    /// </summary>
    private static void Free(Tensor y, bool isRoot)
    {
        y.FreeGraph();
        if (!y.IsKept || y.IsDisposed)
        {
            y.ZeroGradient();
        }
        else if (y.Gradient is not null)
        {
            // its owner may change it, so it is no longer lent
            _ = new GradientSum(y).OwnGradient();
        }
        if (!isRoot && !y.IsKept)
        {
            y.Dispose();
        }
    }

    private static void Check(Tensor root, Tensor? upstream)
    {
        if (root.IsGraphFreed)
        {
            throw FreedGraph(root);
        }
        if (root.Edges is null)
        {
            throw new InvalidOperationException(
                $"Backward: nothing that {root.Description} was computed from requires a gradient. Unfreeze a "
                    + "parameter or create an input with requiresGradient: true" +
                $"{(NoGradient.IsActive ? "; a NoGradient scope is open here" : "")}, and compute it outside "
                    + "NoGradient.");
        }
        if (upstream is null && root.Shape.Count != 1)
        {
            throw new InvalidOperationException("Backward without an upstream gradient starts from a single number, "
                + $"{root.Description} has {root.Shape.Count}. Reduce it (Mean, Sum) or pass the upstream.");
        }
        if (upstream is not null)
        {
            if (upstream.Shape != root.Shape)
            {
                throw new ShapeMismatchException($"Backward: the upstream gradient has shape {upstream.Shape}, the "
                    + $"tensor {root.Shape}; they must be equal.");
            }
            Device.RequireSame(nameof(Tensor.Backward), "the tensor", root.Backend, "the upstream", upstream.Backend);
        }
    }

    private static void Seed(Tensor root, Tensor? upstream)
    {
        var sum = new GradientSum(root);
        if (upstream is null)
        {
            root.Backend.Fill(sum.Data.Buffer, 1);
        }
        else
        {
            sum.Add(upstream);
        }
    }

    private static InvalidOperationException FreedGraph(Tensor tensor) =>
        new($"Backward: the graph behind {tensor.Description} was freed by an earlier Backward(). Run the forward "
            + "pass again; to sum two losses, add them before one Backward().");
}
