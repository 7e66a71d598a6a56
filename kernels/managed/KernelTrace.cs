namespace LoraScratch.Kernels;

/// <summary>
/// While one is open on this thread, every kernel that the thread calls on any device is noted:
/// what it costs, and on demand how to compute it again in double arithmetic. What a gradient
/// costs, and what its float64 reference is, thus comes from the very kernels that it calls.
/// </summary>
internal sealed class KernelTrace : IDisposable
{
    [ThreadStatic]
    private static KernelTrace? current;

    private readonly KernelTrace? outer = current;
    private readonly bool runsKernels;
    private readonly Float64Program? program;
    private bool ended;

    /// <summary>Begins to take note.</summary>
    /// <param name="runsKernels">
    /// False: kernels only count, and what they would have written stays undefined.
    /// </param>
    /// <param name="program">
    /// Takes the calls, to run them again in double; null: they only count.
    /// </param>
    public KernelTrace(bool runsKernels = true, Float64Program? program = null)
    {
        (this.runsKernels, this.program) = (runsKernels, program);
        current = this;
    }

    /// <summary>The innermost one of this thread.</summary>
    public static KernelTrace? Current => current;

    /// <summary>
    /// Called at every kernel, when the buffers that it works on have been lent; null: nobody
    /// looks.
    /// </summary>
    public Action? Noted { get; init; }

    /// <summary>
    /// Whether values of the host arrive although no kernel runs; what is read back stays
    /// undefined.
    /// </summary>
    public bool TakesUploads { get; init; }

    /// <summary>
    /// Floating-point operations so far. A matrix product [M, K]·[K, N] counts 2·M·K·N, other
    /// kernels the operations of their equation, in which a function such as exp or GELU is one.
    /// </summary>
    public long Flops { get; private set; }

    /// <summary>A device's kernels with this one before them.</summary>
    public IBackend Around(IBackend kernels) => new TracingKernels(kernels, this);

    /// <summary>Notes a call.</summary>
    /// <returns>Whether the kernel is to run.</returns>
    public bool Note(IBackend kernels, long flops, KernelCall call)
    {
        Flops += flops;
        Noted?.Invoke();
        program?.Add(kernels, call);
        return runsKernels;
    }

    /// <summary>Whether the calls are kept, with what they read.</summary>
    public bool IsRecorded => program is not null;

    /// <summary>Whether data may move between host and device.</summary>
    public bool MovesData => runsKernels;

    /// <summary>Notes values that come from the host.</summary>
    public void NoteUpload(object buffer) => program?.Uploaded(buffer);

    /// <summary>Notes values that the host reads.</summary>
    public void NoteDownload(object buffer) => program?.Downloaded(buffer);

    /// <summary>Ends it.</summary>
    public void Dispose()
    {
        if (!ended)
        {
            ended = true;
            current = outer;
        }
    }
}

/// <summary>One kernel call as a <see cref="Float64Program"/> keeps it.</summary>
/// <param name="Kernel">Name, for messages.</param>
/// <param name="Reads">Buffers whose contents it uses.</param>
/// <param name="Writes">Buffers that it changes.</param>
/// <param name="Compute">
/// The same in double; null where there is none, as for products of whole numbers.
/// </param>
internal sealed record KernelCall(string Kernel, DeviceBuffer<float>?[] Reads, DeviceBuffer<float>?[] Writes,
    Action<Float64Memory>? Compute);
