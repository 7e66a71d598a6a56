namespace LoraScratch.Kernels;

/// <summary>
/// A device's kernels, each noted by a <see cref="KernelTrace"/> before it runs: what it costs,
/// what it reads and writes, and the same in double. A kernel that only gradients call has no form
/// in double, for numeric gradients are differences of the forward pass.
/// </summary>
/// <param name="kernels">The device's.</param>
/// <param name="trace">Takes the notes.</param>
internal sealed partial class TracingKernels(IBackend kernels, KernelTrace trace) : IBackend
{
    public string Description => kernels.Description;

    public bool UsesHostMemory => kernels.UsesHostMemory;

    public MemoryUse Memory => kernels.Memory;

    public void ForgetPeak() => kernels.ForgetPeak();

    public DeviceTurn TakeTurn() => kernels.TakeTurn();

    public void Synchronize() => kernels.Synchronize();

    public void Dispose()
    {
    }

    public DeviceBuffer<T> Allocate<T>(int length, bool lasting = false) where T : unmanaged =>
        kernels.Allocate<T>(length, lasting);

    public void Upload<T>(DeviceBuffer<T> destination, ReadOnlySpan<T> source) where T : unmanaged
    {
        trace.NoteUpload(destination);
        if (trace.MovesData || trace.TakesUploads)
        {
            kernels.Upload(destination, source);
        }
    }

    public void Download<T>(Span<T> destination, DeviceBuffer<T> source) where T : unmanaged
    {
        trace.NoteDownload(source);
        if (trace.MovesData)
        {
            kernels.Download(destination, source);
        }
    }

    public float[] DownloadFirsts(IReadOnlyList<DeviceBuffer<float>> sources)
    {
        foreach (var source in sources)
        {
            trace.NoteDownload(source);
        }
        return trace.MovesData ? kernels.DownloadFirsts(sources) : new float[sources.Count];
    }

    public void Fill(DeviceBuffer<float> y, float value)
    {
        if (Note(nameof(Fill), 0, [], [y], m => Array.Fill(m[y], value)))
        {
            kernels.Fill(y, value);
        }
    }

    public void Copy(DeviceBuffer<float> y, DeviceBuffer<float> x)
    {
        if (Note(nameof(Copy), 0, [x], [y], m => m.Set(y, m[x])))
        {
            kernels.Copy(y, x);
        }
    }

    // ---------------------------------------------------------------- matrix products

    public void Product(Matrix y, Matrix a, Matrix b, float scale = 1)
    {
        if (Note(nameof(Product), Work(y, a), [a.Buffer, b.Buffer], [y.Buffer],
            m => Float64Kernels.Product(m, y, null, a, b, scale)))
        {
            kernels.Product(y, a, b, scale);
        }
    }

    public void AddProduct(Matrix y, Matrix a, Matrix b, float scale = 1)
    {
        if (Note(nameof(AddProduct), Work(y, a), [y.Buffer, a.Buffer, b.Buffer], [y.Buffer],
            m => Float64Kernels.Product(m, y, y, a, b, scale)))
        {
            kernels.AddProduct(y, a, b, scale);
        }
    }

    public void ProductPlus(Matrix y, Matrix z, Matrix a, Matrix b, float scale = 1)
    {
        if (Note(nameof(ProductPlus), Work(y, a) + ((long)y.Rows * y.Columns), [z.Buffer, a.Buffer, b.Buffer],
            [y.Buffer], m => Float64Kernels.Product(m, y, z, a, b, scale)))
        {
            kernels.ProductPlus(y, z, a, b, scale);
        }
    }

    public void SumOfProducts(Matrix y, Matrix? z, Matrix a, Matrix b, Matrix c, Matrix d, float scale)
    {
        var elements = (long)y.Rows * y.Columns;
        if (Note(nameof(SumOfProducts), Work(y, a) + Work(y, c) + (z is null ? elements : 2 * elements),
            [z?.Buffer, a.Buffer, b.Buffer, c.Buffer, d.Buffer], [y.Buffer], m =>
            {
                Float64Kernels.Product(m, y, z, a, b, 1);
                Float64Kernels.Product(m, y, y, c, d, scale);
            }))
        {
            kernels.SumOfProducts(y, z, a, b, c, d, scale);
        }
    }

    public void Product(Matrix y, Matrix a, QuantizedMatrix b)
    {
        var stored = trace.IsRecorded ? Decode(b) : [];
        if (Note(nameof(Product), Work(y, a), [a.Buffer], [y.Buffer],
            m => Float64Kernels.Product(m, y, a, b, stored, add: false)))
        {
            kernels.Product(y, a, b);
        }
    }

    public void AddProduct(Matrix y, Matrix a, QuantizedMatrix b)
    {
        var stored = trace.IsRecorded ? Decode(b) : [];
        if (Note(nameof(AddProduct), Work(y, a), [y.Buffer, a.Buffer], [y.Buffer],
            m => Float64Kernels.Product(m, y, a, b, stored, add: true)))
        {
            kernels.AddProduct(y, a, b);
        }
    }

    public void QuantizeRows(DeviceBuffer<byte> codes, DeviceBuffer<RowGrid> grids, DeviceBuffer<float> x)
    {
        if (Note("the product of whole numbers (QuantizeRows)", 4L * x.Length, [x], [], null))
        {
            kernels.QuantizeRows(codes, grids, x);
        }
    }

    public void Product(DeviceBuffer<int> s, DeviceBuffer<byte> a, Int8Matrix b)
    {
        if (Note("the product of whole numbers", 2L * s.Length * b.Inputs, [], [], null))
        {
            kernels.Product(s, a, b);
        }
    }

    public void Dequantize(DeviceBuffer<float> y, DeviceBuffer<int> s, DeviceBuffer<RowGrid> grids, Int8Matrix b,
        DeviceBuffer<float>? bias)
    {
        if (Note("the product of whole numbers (Dequantize)", 4L * y.Length, [bias], [y], null))
        {
            kernels.Dequantize(y, s, grids, b, bias);
        }
    }

    public void Transpose(DeviceBuffer<float> y, DeviceBuffer<float> x, int rows, int columns)
    {
        if (Note(nameof(Transpose), 0, [x], [y], m => Float64Kernels.Transpose(m[y], m[x], rows, columns)))
        {
            kernels.Transpose(y, x, rows, columns);
        }
    }

    // ---------------------------------------------------------------- what a call is

    private bool Note(string kernel, long flops, DeviceBuffer<float>?[] reads, DeviceBuffer<float>?[] writes,
        Action<Float64Memory>? compute) => trace.Note(kernels, flops, new KernelCall(kernel, reads, writes, compute));

    private static long Elements(IEnumerable<DeviceBuffer<float>> buffers) =>
        buffers.Sum(buffer => (long)buffer.Length);

    private static long Work(Matrix y, Matrix a) => 2L * y.Batch * y.Rows * y.Columns * a.Columns;

    /// <summary>The additions to what a sum holds already.</summary>
    private static long Added(Accumulator sum) => sum.IsEmpty ? 0 : sum.Length;

    private static DeviceBuffer<float>? Read(Accumulator sum) => sum.IsEmpty ? null : sum.Buffer;

    private static double Before(Accumulator sum, double[] values, int i) => sum.IsEmpty ? 0 : values[i];

    /// <summary>Pairs of a query and a token of the same sequence.</summary>
    private static long Pairs(int[] queries, int[] tokens) =>
        Enumerable.Range(1, tokens.Length - 1)
            .Sum(s => (long)(queries[s] - queries[s - 1]) * (tokens[s] - tokens[s - 1]));

    /// <summary>Where each sequence's queries begin, and the token of each.</summary>
    private (int[] Offsets, int[] Tokens) Asking(AttentionQueries? queries, int[] bounds) => queries is { } some
        ? (Host(some.Offsets), Host(some.Tokens)) : (bounds, [.. Enumerable.Range(0, bounds[^1])]);

    private int[] Host(DeviceBuffer<int> buffer)
    {
        var values = new int[buffer.Length];
        kernels.Download(values.AsSpan(), buffer);
        return values;
    }

    private float[] Decode(QuantizedMatrix b)
    {
        var packed = new byte[b.Codes.Length];
        var grids = new GroupGrid[b.Grids.Length];
        kernels.Download(packed.AsSpan(), b.Codes);
        kernels.Download(grids.AsSpan(), b.Grids);
        var codes = new byte[b.StoredRows * b.StoredColumns];
        PackedCodes.Unpack(codes, packed, b.Bits);
        return [.. codes.Select((code, i) => grids[i / b.GroupSize].Value(code))];
    }
}
