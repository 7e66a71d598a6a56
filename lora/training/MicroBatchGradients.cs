using System.Runtime.InteropServices;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Processes;

namespace LoraScratch.Lora.Training;

/// <summary>
/// The gradients of a step from micro-batches (<see cref="TrainingOptions.MicroBatch"/>), each
/// computed by itself, with random numbers of its own, and then added up in the order of a
/// <see cref="SumTree"/>. Nothing of it depends on who computes which: any number of processes
/// gets the same bits. What travels are the gradients of what is trained, never activations or
/// frozen weights.
/// </summary>
/// <param name="task">What is trained.</param>
/// <param name="processes">Who shares the micro-batches.</param>
internal sealed class MicroBatchGradients(ITrainingTask task, ProcessGroup processes)
{
    // Of a position in a random stream, from the top: one bit that sets it apart from what was drawn before the run,
    // the step (after 8 million the first come again), the micro-batch, the words that it draws.
    private const int DrawBits = 20, MicroBatchBits = 20, StepBits = 23;

    private readonly Parameter[] parameters = [.. task.Trainable().Select(entry => entry.Parameter)];
    private readonly (RandomStream Stream, ulong Seed)[] random =
        [.. task.RandomStreams().Select(stream => (stream, stream.Seed))];
    private readonly SumExchange exchange = new(processes);
    private readonly List<float[]> vectors = [];        // [nodes][elements that are trained], kept between steps

    /// <summary>Bytes that this process has sent to the others so far.</summary>
    public long BytesSent => exchange.BytesSent;

    /// <summary>Seconds in which gradients travelled so far.</summary>
    public double ExchangeSeconds => exchange.Seconds;

    /// <summary>
    /// Forward and backward of a step; the parameters have its gradients afterwards.
    /// </summary>
    /// <param name="group">The micro-batches of the step.</param>
    /// <param name="step">Steps before this one.</param>
    /// <param name="epoch">From 1.</param>
    /// <returns>The loss, in every process.</returns>
    public float Add(IReadOnlyList<PackedBatch> group, int step, int epoch)
    {
        var shares = task.SharesOf(group, epoch);
        var (first, end) = processes.ShareOf(group.Count);
        var losses = new List<Tensor>();
        var (nodes, sums) = (new List<SumNode>(), new List<Tensor?[]>());
        for (var i = first; i < end; i++)
        {
            GoTo(step, i);
            losses.Add(task.AddGradients(group[i], shares[i], epoch));
            nodes.Add(new SumNode(0, i));
            sums.Add(Take());
            while (SumTree.Joins(nodes))
            {
                SumTree.Join(nodes);
                Join(sums);
            }
        }
        GoTo(step + 1, 0);
        if (processes.HasOthers)
        {
            SumOfAll(group.Count, sums);
        }
        else
        {
            var known = nodes.Zip(sums).ToDictionary(entry => entry.First, entry => entry.Second);
            Give(SumTree.Total(group.Count, known, Sum));
        }
        var values = Tensor.Items(losses);
        losses.ForEach(loss => loss.Dispose());
        return processes.Gather<float>(values).SelectMany(part => part).Sum();
    }

    /// <summary>Puts every random stream where a micro-batch begins.</summary>
    private void GoTo(int step, int microBatch)
    {
        var place = 1UL << 63 | ((ulong)step & ((1UL << StepBits) - 1)) << (MicroBatchBits + DrawBits)
            | (ulong)microBatch << DrawBits;
        foreach (var (stream, seed) in random)
        {
            stream.Restore(seed, place);
        }
    }

    /// <summary>
    /// Takes the gradients from the parameters, so that the next begin at nothing.
    /// </summary>
    private Tensor?[] Take() => [.. parameters.Select(parameter =>
    {
        var gradient = parameter.Gradient;
        parameter.Gradient = null;
        return gradient;
    })];

    private void Give(Tensor?[] gradients)
    {
        foreach (var (parameter, gradient) in parameters.Zip(gradients))
        {
            parameter.Gradient = gradient;
        }
    }

    private static void Join(List<Tensor?[]> sums)
    {
        sums[^2] = Sum(sums[^2], sums[^1]);
        sums.RemoveAt(sums.Count - 1);
    }

    /// <summary>
    /// Adds the second to the first and frees it; what has no gradient adds nothing.
    /// </summary>
    private static Tensor?[] Sum(Tensor?[] left, Tensor?[] right)
    {
        for (var i = 0; i < left.Length; i++)
        {
            if (left[i] is not { } sum)
            {
                left[i] = right[i];
            }
            else if (right[i] is { } other)
            {
                sum.Backend.AddScaled(sum.Data, 1, other.Data);
                other.Dispose();
            }
        }
        return left;
    }

    /// <summary>Adds up the gradients of all processes, and gives each process the sum.</summary>
    private void SumOfAll(int microBatches, List<Tensor?[]> sums)
    {
        var isThere = WithGradient(sums);
        var length = parameters.Where((_, i) => isThere[i]).Sum(parameter => parameter.Shape.Count);
        while (vectors.Count < Math.Max(1, sums.Count))
        {
            vectors.Add([]);
        }
        for (var node = 0; node < vectors.Count; node++)
        {
            vectors[node] = vectors[node].Length == length ? vectors[node] : new float[length];
        }
        for (var node = 0; node < sums.Count; node++)
        {
            Download(sums[node], isThere, vectors[node]);
        }
        var sum = vectors[0];
        exchange.Add(microBatches, length, vectors[..sums.Count], sum);
        var at = 0;
        for (var i = 0; i < parameters.Length; i++)
        {
            if (isThere[i])
            {
                var count = parameters[i].Shape.Count;
                var gradient = Tensor.Empty(parameters[i].Shape, parameters[i].Backend, lasting: true);
                gradient.Set(sum.AsSpan(at, count));
                parameters[i].Gradient = gradient;
                at += count;
            }
        }
    }

    /// <summary>[parameters] Whether a micro-batch of any process has a gradient of it.</summary>
    private bool[] WithGradient(List<Tensor?[]> sums)
    {
        var mine = parameters.Select((_, i) => sums.Exists(node => node[i] is not null)).ToArray();
        var all = new bool[processes.Size * mine.Length];
        processes.AllGather(MemoryMarshal.AsBytes(mine.AsSpan()), MemoryMarshal.AsBytes(all.AsSpan()));
        return [.. mine.Select((_, i) => Enumerable.Range(0, processes.Size).Any(rank => all[rank * mine.Length + i]))];
    }

    /// <summary>
    /// The gradients one after another, zeros where there is none; they are freed.
    /// </summary>
    private void Download(Tensor?[] gradients, bool[] isThere, float[] vector)
    {
        var at = 0;
        for (var i = 0; i < gradients.Length; i++)
        {
            if (!isThere[i])
            {
                continue;
            }
            var part = vector.AsSpan(at, parameters[i].Shape.Count);
            at += part.Length;
            if (gradients[i] is { } gradient)
            {
                gradient.Backend.Download(part, gradient.Data);
                gradient.Dispose();
            }
            else
            {
                part.Clear();
            }
        }
    }
}
