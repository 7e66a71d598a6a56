namespace LoraScratch.Engine;

/// <summary>
/// Reverse-mode differentiation. The ops recorded a graph: every result knows, for each input, a function that adds (dY · ∂Y/∂X) to dX. The chain rule is
/// then a walk from the loss back to the leaves, in an order in which each result comes before its inputs, so that dY is complete when it is used.
/// </summary>
internal static class Backpropagation
{
    private static long passes;

    public static void Run(Tensor root, Tensor? upstream)
    {
        Check(root, upstream);
        var order = InputsFirst(root);
        Seed(root, upstream);                                               // d(root)/d(root) = 1, or what the caller says
        for (var i = order.Count - 1; i >= 0; i--)
        {
            var y = order[i];
            if (y.Gradient is { } dY)
            {
                for (var edge = y.Edges; edge is not null; edge = edge.Next)
                {
                    edge.Apply(dY);
                }
            }
            Free(y, isRoot: y == root);
        }
    }

    /// <summary>All op results that the root depends on, each after its inputs. Iterative: a graph may be deeper than the call stack.</summary>
    private static List<Tensor> InputsFirst(Tensor root)
    {
        var pass = Interlocked.Increment(ref passes);
        var order = new List<Tensor>();
        var path = new Stack<(Tensor Tensor, Edge? Edge, int Input)>();     // where the depth-first walk stands
        path.Push((root, root.Edges, 0));
        root.VisitedBy = pass;
        while (path.TryPop(out var at))
        {
            if (at.Edge is null)
            {
                order.Add(at.Tensor);
                continue;
            }
            var isLast = at.Input + 1 == at.Edge.Inputs.Length;
            path.Push((at.Tensor, isLast ? at.Edge.Next : at.Edge, isLast ? 0 : at.Input + 1));
            var input = at.Edge.Inputs[at.Input];
            if (input.IsGraphFreed)
            {
                throw FreedGraph(input);
            }
            if (input.Edges is not null && input.VisitedBy != pass)
            {
                input.VisitedBy = pass;
                path.Push((input, input.Edges, 0));
            }
        }
        return order;
    }

    /// <summary>Gives back the gradient and the value of an intermediate result, and what its edges held.</summary>
    private static void Free(Tensor y, bool isRoot)
    {
        y.FreeGraph();
        y.ZeroGradient();
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
                $"Backward: nothing that {root.Description} was computed from requires a gradient. Unfreeze a parameter or create an input with requiresGradient: true" +
                $"{(NoGradient.IsActive ? "; a NoGradient scope is open here" : "")}, and compute it outside NoGradient.");
        }
        if (upstream is null && root.Shape.Count != 1)
        {
            throw new InvalidOperationException($"Backward without an upstream gradient starts from a single number, {root.Description} has {root.Shape.Count}. Reduce it (Mean, Sum) or pass the upstream.");
        }
        if (upstream is not null && upstream.Shape != root.Shape)
        {
            throw new ShapeMismatchException($"Backward: the upstream gradient has shape {upstream.Shape}, the tensor {root.Shape}; they must be equal.");
        }
    }

    private static void Seed(Tensor root, Tensor? upstream)
    {
        var sum = new GradientSum(root);
        if (upstream is null)
        {
            root.Backend.Fill(sum.Data, 1);
        }
        else
        {
            sum.Add(upstream);
        }
    }

    private static InvalidOperationException FreedGraph(Tensor tensor) =>
        new($"Backward: the graph behind {tensor.Description} was freed by an earlier Backward(). Run the forward pass again; to sum two losses, add them before one Backward().");
}
