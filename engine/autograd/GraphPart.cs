namespace LoraScratch.Engine;

/// <summary>
/// While one is open on this thread, what is recorded of the graph is written down, and which
/// random streams are drawn from: what <see cref="Recompute"/> must know of a block to take its
/// graph away, and to compute it again with the same random numbers.
/// </summary>
internal sealed class GraphPart : IDisposable
{
    [ThreadStatic]
    private static GraphPart? current;

    private readonly GraphPart? outer = current;
    private readonly List<Tensor> results = [];
    private readonly Dictionary<RandomStream, (ulong Seed, ulong Position)> streams = [];

    /// <summary>Begins to write down.</summary>
    public GraphPart() => current = this;

    /// <summary>The results whose gradients are recorded, in the order of computation.</summary>
    public IReadOnlyList<Tensor> Results => results;

    /// <summary>Every stream that was drawn from, and what its state was before.</summary>
    public IReadOnlyDictionary<RandomStream, (ulong Seed, ulong Position)> Streams => streams;

    /// <summary>A gradient of a result has been recorded.</summary>
    public static void Recorded(Tensor result) => current?.results.Add(result);

    /// <summary>A stream is about to be drawn from.</summary>
    public static void Draws(RandomStream stream)
    {
        for (var part = current; part is not null; part = part.outer)
        {
            part.streams.TryAdd(stream, (stream.Seed, stream.Position));
        }
    }

    /// <summary>
    /// Where the gradients that are recorded here go: tensors from outside, each once.
    /// </summary>
    public IReadOnlyList<Tensor> Leaves()
    {
        var (inside, leaves) = (results.ToHashSet(), new List<Tensor>());
        foreach (var result in results)
        {
            for (var edge = result.Edges; edge is not null; edge = edge.Next)
            {
                foreach (var input in edge.Inputs)
                {
                    if (input.RequiresGradient && !inside.Contains(input) && !leaves.Contains(input))
                    {
                        leaves.Add(input);
                    }
                }
            }
        }
        return leaves;
    }

    /// <summary>Takes the graph away, and lets go of the values that it held.</summary>
    public void FreeGraph() => results.ForEach(result => result.FreeGraph());

    /// <summary>Ends it.</summary>
    public void Dispose() => current = outer;
}
