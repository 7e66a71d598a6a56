namespace LoraScratch.Kernels;

/// <summary>
/// The kernels that an expression called, in order, to be run again in double arithmetic with other
/// inputs: a straight line, without the code that called them. Dropout masks are those of the
/// recorded run.
/// </summary>
internal sealed class Float64Program
{
    private readonly List<KernelCall> calls = [];
    private readonly Dictionary<DeviceBuffer<float>, double[]> given = [];      // contents that no call wrote
    private readonly HashSet<DeviceBuffer<float>> written = [];

    /// <summary>
    /// Why it cannot stand for the expression, as the end of a sentence; null where it can.
    /// </summary>
    public string? Obstacle { get; private set; }

    /// <summary>Runs it.</summary>
    /// <param name="inputs">
    /// Contents of some buffers, in place of those of the recorded run.
    /// </param>
    /// <param name="result">The buffer that is asked for.</param>
    /// <returns>A new array.</returns>
    public double[] Run(IEnumerable<(DeviceBuffer<float> Buffer, double[] Values)> inputs, DeviceBuffer<float> result)
    {
        var memory = new Float64Memory(given);
        foreach (var (buffer, values) in inputs)
        {
            memory.Set(buffer, values);
        }
        foreach (var call in calls)
        {
            call.Compute!(memory);
        }
        return [.. memory[result]];
    }

    /// <summary>Whether the expression used the buffer's contents.</summary>
    public bool Knows(DeviceBuffer<float> buffer) => given.ContainsKey(buffer) || written.Contains(buffer);

    /// <summary>Adds a call that is about to run.</summary>
    public void Add(IBackend kernels, KernelCall call)
    {
        if (call.Compute is null)
        {
            Obstacle ??= $"{call.Kernel} has no form in float64";
            return;
        }
        foreach (var read in call.Reads.OfType<DeviceBuffer<float>>())
        {
            if (!Knows(read))
            {
                var values = new float[read.Length];
                kernels.Download(values.AsSpan(), read);
                given[read] = Array.ConvertAll(values, value => (double)value);
            }
        }
        written.UnionWith(call.Writes.OfType<DeviceBuffer<float>>());
        calls.Add(call);
    }

    /// <summary>
    /// The host has written a buffer: its contents are a constant, if nothing wrote it yet.
    /// </summary>
    public void Uploaded(object buffer)
    {
        if (buffer is DeviceBuffer<float> values && Knows(values))
        {
            Obstacle ??= "it overwrites values from the host";
        }
    }

    /// <summary>The host has read a buffer, and may compute with it what no kernel sees.</summary>
    public void Downloaded(object buffer)
    {
        if (buffer is DeviceBuffer<float>)
        {
            Obstacle ??= "it reads values back to the host (ToArray, Item), and what is computed there is not seen";
        }
    }
}

/// <summary>Buffers in double.</summary>
/// <param name="given">Contents at the beginning, not changed.</param>
internal sealed class Float64Memory(IReadOnlyDictionary<DeviceBuffer<float>, double[]> given)
{
    private readonly Dictionary<DeviceBuffer<float>, double[]> values = [];

    /// <summary>The contents of a buffer; of one that nothing is known of, zeros.</summary>
    public double[] this[DeviceBuffer<float> buffer]
    {
        get
        {
            if (!values.TryGetValue(buffer, out var found))
            {
                found = given.TryGetValue(buffer, out var first) ? [.. first] : new double[buffer.Length];
                values.Add(buffer, found);
            }
            return found;
        }
    }

    /// <summary>Overwrites a buffer with a copy of the values.</summary>
    public void Set(DeviceBuffer<float> buffer, double[] contents) => values[buffer] = [.. contents];
}
