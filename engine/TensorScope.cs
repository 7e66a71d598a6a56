namespace LoraScratch.Engine;

/// <summary>
/// Owns what the ops inside it compute, and lets go of it at the end: <c>using var scope = new
/// TensorScope(); … return scope.Return(y);</c>. Values that a recorded gradient still needs stay
/// until Backward. Every module opens one in its forward pass, so that at most one layer's
/// intermediate values are alive; open one around a training step or an evaluation loop. Tensors
/// that you create (leaves, parameters, gradients) are not affected.
/// </summary>
public sealed class TensorScope : IDisposable
{
    [ThreadStatic]
    private static TensorScope? innermost;

    private readonly TensorScope? outer = innermost;
    private readonly List<Tensor> owned = [];
    private bool ended;

    /// <summary>Opens a scope on this thread, inside the one that is open now.</summary>
    public TensorScope() => innermost = this;

    /// <summary>
    /// Hands a result to the scope around this one (or to the caller, where there is none).
    /// </summary>
    /// <returns>The same tensor.</returns>
    public Tensor Return(Tensor result)
    {
        // Results are handed out last, so the search from the end ends at once.
        var index = owned.LastIndexOf(result);
        if (index >= 0)
        {
            owned.RemoveAt(index);
            outer?.owned.Add(result);
        }
        return result;
    }

    /// <summary>
    /// Lets go of one result before the scope ends, such as the input of a layer once its output is
    /// there. Does nothing for a tensor that this scope does not own (a leaf, a parameter, the
    /// caller's input) or that is kept; a recorded gradient that needs the value still holds it.
    /// </summary>
    public void Release(Tensor result)
    {
        var index = owned.LastIndexOf(result);
        if (index >= 0 && !result.IsKept)
        {
            owned.RemoveAt(index);
            result.Dispose();
        }
    }

    internal static Tensor Own(Tensor result)
    {
        innermost?.owned.Add(result);
        return result;
    }

    /// <summary>
    /// Lets go of everything computed in the scope that was neither returned nor kept.
    /// </summary>
    /// <exception cref="InvalidOperationException">An inner scope is still open.</exception>
    public void Dispose()
    {
        if (ended)
        {
            return;
        }
        if (innermost != this)
        {
            throw new InvalidOperationException("A TensorScope was ended while another one, opened later, is still "
                + "open (or on another thread). End scopes in the reverse order: use `using`.");
        }
        ended = true;
        innermost = outer;
        foreach (var tensor in owned)
        {
            if (!tensor.IsKept)
            {
                tensor.Dispose();
            }
        }
    }
}
