namespace LoraScratch.Engine;

/// <summary>
/// Activation checkpointing (Chen, Xu, Zhang and Guestrin 2016, "Training Deep Nets with Sublinear
/// Memory Cost", arXiv 1604.06174): memory for time.
/// <para>
/// The backward pass reads values of the forward pass, and so a model of n blocks holds what all of
/// them computed. Of a block in here its inputs alone are held. When the gradient dY of its result
/// has come, the block is computed a second time, now with its graph; that graph is differentiated,
/// from dY to the inputs and to every parameter that the block reads, and given up before the next
/// block is computed again:
/// </para>
/// <code>
/// held     n · (what a block computes)  becomes  n · (a block's inputs) + (what a block computes)
/// time     one more forward pass F of the blocks: a step of F + 2F (dX and dW) takes a third
///          more, one of F + F (dX alone, as with frozen weights beside LoRA) half as much again
/// </code>
/// <para>
/// <b>The same bits.</b> Kernels are deterministic, so the second computation gives the values of
/// the first. What is drawn at random meanwhile, such as the seeds of dropout masks, comes from
/// <see cref="RandomStream"/>s: each is put back to where the block found it, and afterwards to
/// where it was. A gradient is summed in the order in which it would be without this: the second
/// graph adds to the sum that an input has already.
/// </para>
/// <para>
/// <b>What is frozen costs nothing.</b> What the gradients go to is read from the graph that the
/// first computation recorded, which is taken away at once. Where it recorded none, the block is an
/// ordinary part of the forward pass and is never computed again.
/// </para>
/// </summary>
public static class Recompute
{
    /// <summary>The block's result.</summary>
    /// <param name="x">What it is computed from.</param>
    /// <param name="block">As for several inputs.</param>
    /// <exception cref="InvalidOperationException">As for several inputs.</exception>
    public static Tensor Of(Tensor x, Func<Tensor, Tensor> block) => Of([x], inputs => block(inputs[0]));

    /// <summary>The block's result.</summary>
    /// <param name="inputs">
    /// Every result of an op outside that the block reads and that requires a gradient. Parameters
    /// need not be named. What else it reads must be there until Backward.
    /// </param>
    /// <param name="block">
    /// Computes a result from these inputs: at once, and again in the backward pass from stand-ins
    /// for them. It must compute the same both times and do nothing else.
    /// </param>
    /// <returns>The block's result, of which the graph knows the inputs only.</returns>
    /// <exception cref="InvalidOperationException">
    /// The block reads a result from outside that requires a gradient and is none of the inputs, or
    /// calls <see cref="Tensor.Keep"/>; in Backward: it does not compute what it did before.
    /// </exception>
    public static Tensor Of(IReadOnlyList<Tensor> inputs, Func<IReadOnlyList<Tensor>, Tensor> block)
    {
        using var scope = new TensorScope();
        var tape = Tape.Current;
        var before = tape?.Entries.Count ?? 0;
        Tensor y;
        GraphPart part;
        using (part = new GraphPart())
        {
            y = block(inputs);
        }
        if (!part.Results.Contains(y))
        {
            return scope.Return(y);                             // all is frozen, or within NoGradient
        }
        var recomputed = new RecomputedBlock([.. inputs], block, part, y.Shape);
        part.FreeGraph();
        var result = y.View(y.Shape, nameof(Recompute), "Y = f(X)");
        tape?.Fold(before, result);
        return scope.Return(result.GradientFor(recomputed.Leaves, "dX += dY·∂f(X)/∂X, where f(X) is computed again",
            recomputed.AddGradients, needs: recomputed.Inputs));
    }
}

/// <summary>What is known of a block after its first computation.</summary>
internal sealed class RecomputedBlock
{
    private readonly Tensor[] inputs, leaves;
    private readonly Func<IReadOnlyList<Tensor>, Tensor> block;
    private readonly Shape shape;
    private readonly (RandomStream Stream, ulong Seed, ulong Start, ulong End)[] draws;

    public RecomputedBlock(Tensor[] inputs, Func<IReadOnlyList<Tensor>, Tensor> block, GraphPart first, Shape shape)
    {
        (this.inputs, this.block, this.shape, leaves) = (inputs, block, shape, [.. first.Leaves()]);
        draws = [.. first.Streams.Select(entry =>
            (entry.Key, entry.Value.Seed, entry.Value.Position, entry.Key.Position))];
        if (Array.Find(leaves, leaf => leaf.Edges is not null && !inputs.Contains(leaf)) is { } unnamed)
        {
            throw new InvalidOperationException($"Recompute: the block reads {unnamed.Description}, which was computed "
                + "outside of it and requires a gradient. Name it among the inputs, and read the one that the block "
                + "is given.");
        }
        if (first.Results.FirstOrDefault(result => result.IsKept) is { } kept)
        {
            throw new InvalidOperationException($"Recompute: Keep() was called on {kept.Description} within the block, "
                + "which holds nothing that it computes. Call it on the block's result, or leave the block as it is.");
        }
    }

    /// <summary>What the block is given.</summary>
    public ReadOnlySpan<Tensor> Inputs => inputs;

    /// <summary>What has a gradient from it: inputs, and parameters that it reads.</summary>
    public ReadOnlySpan<Tensor> Leaves => leaves;

    /// <summary>Computes the block again and differentiates it.</summary>
    /// <param name="dY">Gradient of its result.</param>
    /// <param name="_">
    /// Gradients of the leaves: those of the inputs are handed to their stand-ins, the second graph
    /// knows the parameters itself.
    /// </param>
    public void AddGradients(Tensor dY, ReadOnlySpan<GradientSum?> _)
    {
        using var recording = NoGradient.Lift();
        using var hidden = Tape.Hide();                         // for Explain it is one gradient of one op
        using var scope = new TensorScope();
        var standIns = Array.ConvertAll(inputs, input => input.StandIn());
        var y = Again(standIns);
        if (y.Edges is not null)                                // else all was frozen after the forward pass
        {
            for (var i = 0; i < inputs.Length; i++)
            {
                (standIns[i].Gradient, inputs[i].Gradient) = (inputs[i].Gradient, null);
            }
            y.Backward(dY);
            for (var i = 0; i < inputs.Length; i++)
            {
                HandBack(standIns[i], inputs[i]);
            }
        }
    }

    /// <summary>The second computation, with the random numbers of the first.</summary>
    private Tensor Again(Tensor[] standIns)
    {
        var states = Array.ConvertAll(draws, draw => (draw.Stream, draw.Stream.Seed, draw.Stream.Position));
        try
        {
            foreach (var (stream, seed, start, _) in draws)
            {
                stream.Restore(seed, start);
            }
            using var part = new GraphPart();
            var y = block(standIns);
            RequireSame(y, part, standIns);
            return y;
        }
        finally
        {
            foreach (var (stream, seed, position) in states)
            {
                stream.Restore(seed, position);
            }
        }
    }

    private void RequireSame(Tensor y, GraphPart part, Tensor[] standIns)
    {
        var difference = y.Shape != shape ? $"a result of shape {y.Shape}, which was {shape}"
            : part.Streams.Count != draws.Length || draws.Any(draw => draw.Stream.Position != draw.End)
            ? "with other random numbers: modules were switched between training and evaluation meanwhile"
            : part.Leaves().Except(standIns).Except(leaves).FirstOrDefault() is { } other
            ? $"from {other.Description} too, which was frozen, or not read, in the forward pass" : null;
        if (difference is not null)
        {
            throw new InvalidOperationException($"Recompute: in the backward pass the block computed {difference}. "
                + "Leave everything as it was in the forward pass until Backward.");
        }
    }

    private static void HandBack(Tensor standIn, Tensor input)
    {
        if (input.Gradient is null)
        {
            (input.Gradient, standIn.Gradient) = (standIn.Gradient, null);
        }
        else if (standIn.Gradient is { } share)                 // the block reads it under two names
        {
            new GradientSum(input).Add(share);
            standIn.ZeroGradient();
        }
    }
}
