using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Tests;

/// <summary>
/// A backend, watched: it passes everything on, and remembers which kernels ran, how much they were
/// told to write, and which buffers were asked for.
/// </summary>
internal sealed class RecordingBackend : IBackend
{
    private readonly IBackend inner, integers;
    private readonly bool lendsNaN;
    private readonly HashSet<string> called = [];
    private readonly List<string> kernels = [];
    private readonly List<int> allocations = [];

    /// <summary>
    /// Watches the CPU, and lends its buffers filled with NaN, so that a kernel or op that reads
    /// what nobody wrote spoils its result.
    /// </summary>
    public RecordingBackend()
    {
        // Indices live until the garbage collector finds them, and would make Memory vary: they have a device of
        // their own.
        (inner, integers, lendsNaN) = (new CpuBackend(threads: 1), new CpuBackend(threads: 1), true);
    }

    /// <summary>Watches a backend, which goes with this one.</summary>
    public RecordingBackend(IBackend inner) => (this.inner, integers) = (inner, inner);

    /// <summary>Names of all methods that were called.</summary>
    public IReadOnlySet<string> Called => called;

    /// <summary>The kernels since <see cref="Forget"/>, in order, and what moved data.</summary>
    public IReadOnlyList<string> Kernels => kernels;

    /// <summary>
    /// The elements of every buffer that was asked for since <see cref="Forget"/>.
    /// </summary>
    public IReadOnlyList<int> Allocations => allocations;

    /// <summary>
    /// Floats of all destinations of all kernels so far, and of all buffers lent.
    /// </summary>
    public long DestinationFloats { get; private set; }

    public string Description => inner.Description;

    public bool UsesHostMemory => inner.UsesHostMemory;

    /// <summary>Without the indices of a backend that lends NaN.</summary>
    public MemoryUse Memory => inner.Memory;

    public void ForgetPeak() => Kernel(nameof(ForgetPeak), []).ForgetPeak();

    /// <summary>Begins a new record of kernels and buffers.</summary>
    public void Forget()
    {
        kernels.Clear();
        allocations.Clear();
    }

    public DeviceTurn TakeTurn()
    {
        called.Add(nameof(TakeTurn));
        return inner.TakeTurn();
    }

    public DeviceBuffer<T> Allocate<T>(int length, bool lasting = false) where T : unmanaged
    {
        called.Add(nameof(Allocate));
        allocations.Add(length);
        if (typeof(T) != typeof(float))
        {
            return integers.Allocate<T>(length, lasting);
        }
        DestinationFloats += length;
        var buffer = inner.Allocate<T>(length, lasting);
        if (lendsNaN)
        {
            var undefined = new T[length];
            Array.Fill(undefined, (T)(object)float.NaN);
            inner.Upload<T>(buffer, undefined);
        }
        return buffer;
    }

    public void Upload<T>(DeviceBuffer<T> destination, ReadOnlySpan<T> source) where T : unmanaged =>
        Kernel(nameof(Upload), []).Upload(destination, source);

    public void Download<T>(Span<T> destination, DeviceBuffer<T> source) where T : unmanaged =>
        Kernel(nameof(Download), []).Download(destination, source);

    public float[] DownloadFirsts(IReadOnlyList<DeviceBuffer<float>> sources) =>
        Kernel(nameof(DownloadFirsts), []).DownloadFirsts(sources);

    public void Synchronize() => Kernel(nameof(Synchronize), []).Synchronize();

    public void Dispose()
    {
        called.Add(nameof(Dispose));
        inner.Dispose();
        if (integers != inner)
        {
            integers.Dispose();
        }
    }

    public void Fill(DeviceBuffer<float> y, float value) =>
        Kernel(nameof(Fill), [y]).Fill(y, value);

    public void Copy(DeviceBuffer<float> y, DeviceBuffer<float> x) =>
        Kernel(nameof(Copy), [y]).Copy(y, x);

    public void Product(Matrix y, Matrix a, Matrix b, float scale = 1) =>
        Kernel(nameof(Product), [y.Buffer]).Product(y, a, b, scale);

    public void AddProduct(Matrix y, Matrix a, Matrix b, float scale = 1) =>
        Kernel(nameof(AddProduct), [y.Buffer]).AddProduct(y, a, b, scale);

    public void ProductPlus(Matrix y, Matrix z, Matrix a, Matrix b, float scale = 1) =>
        Kernel(nameof(ProductPlus), [y.Buffer]).ProductPlus(y, z, a, b, scale);

    public void SumOfProducts(Matrix y, Matrix? z, Matrix a, Matrix b, Matrix c, Matrix d, float scale) =>
        Kernel(nameof(SumOfProducts), [y.Buffer]).SumOfProducts(y, z, a, b, c, d, scale);

    public void Product(Matrix y, Matrix a, QuantizedMatrix b) =>
        Kernel(nameof(Product), [y.Buffer]).Product(y, a, b);

    public void AddProduct(Matrix y, Matrix a, QuantizedMatrix b) =>
        Kernel(nameof(AddProduct), [y.Buffer]).AddProduct(y, a, b);

    public void QuantizeRows(DeviceBuffer<byte> codes, DeviceBuffer<RowGrid> grids, DeviceBuffer<float> x) =>
        Kernel(nameof(QuantizeRows), []).QuantizeRows(codes, grids, x);

    public void Product(DeviceBuffer<int> s, DeviceBuffer<byte> a, Int8Matrix b) =>
        Kernel(nameof(Product), []).Product(s, a, b);

    public void Dequantize(DeviceBuffer<float> y, DeviceBuffer<int> s, DeviceBuffer<RowGrid> grids, Int8Matrix b,
        DeviceBuffer<float>? bias) =>
        Kernel(nameof(Dequantize), [y]).Dequantize(y, s, grids, b, bias);

    public void Transpose(DeviceBuffer<float> y, DeviceBuffer<float> x, int rows, int columns) =>
        Kernel(nameof(Transpose), [y]).Transpose(y, x, rows, columns);

    public void Map<TFormula>(DeviceBuffer<float> y, DeviceBuffer<float> x) where TFormula : struct, IFormula =>
        Kernel(nameof(Map), [y]).Map<TFormula>(y, x);

    public void AddMapGradient<TFormula>(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float>? x,
        DeviceBuffer<float>? y) where TFormula : struct, IFormula =>
        Kernel(nameof(AddMapGradient), [dX.Buffer]).AddMapGradient<TFormula>(dX, dY, x, y);

    public void WeightedSum(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> a, float beta,
        DeviceBuffer<float> b) =>
        Kernel(nameof(WeightedSum), [y]).WeightedSum(y, alpha, a, beta, b);

    public void AddScaled(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x) =>
        Kernel(nameof(AddScaled), [y]).AddScaled(y, alpha, x);

    public void Scale(IReadOnlyList<DeviceBuffer<float>> ys, float alpha) =>
        Kernel(nameof(Scale), [.. ys]).Scale(ys, alpha);

    public void Scale(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x) =>
        Kernel(nameof(Scale), [y]).Scale(y, alpha, x);

    public void Multiply(DeviceBuffer<float> y, DeviceBuffer<float> a, DeviceBuffer<float> b) =>
        Kernel(nameof(Multiply), [y]).Multiply(y, a, b);

    public void AddMultiply(Accumulator y, DeviceBuffer<float> a, DeviceBuffer<float> b) =>
        Kernel(nameof(AddMultiply), [y.Buffer]).AddMultiply(y, a, b);

    public void AddBroadcast(Accumulator y, float alpha, DeviceBuffer<float> x) =>
        Kernel(nameof(AddBroadcast), [y.Buffer]).AddBroadcast(y, alpha, x);

    public void Dropout(DeviceBuffer<float> y, DeviceBuffer<float> x, float probability, ulong seed, MaskRows? rows) =>
        Kernel(nameof(Dropout), [y]).Dropout(y, x, probability, seed, rows);

    public void AddDropoutGradient(Accumulator dX, DeviceBuffer<float> dY, float probability, ulong seed,
        MaskRows? rows) =>
        Kernel(nameof(AddDropoutGradient), [dX.Buffer]).AddDropoutGradient(dX, dY, probability, seed, rows);

    public void PlusBias(DeviceBuffer<float> y, DeviceBuffer<float> x, DeviceBuffer<float> bias) =>
        Kernel(nameof(PlusBias), [y]).PlusBias(y, x, bias);

    public void AddColumnSums(Accumulator y, DeviceBuffer<float> x) =>
        Kernel(nameof(AddColumnSums), [y.Buffer]).AddColumnSums(y, x);

    public void Sum(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x) =>
        Kernel(nameof(Sum), [y]).Sum(y, alpha, x);

    public void AddSumOfSquares(Accumulator y, IReadOnlyList<DeviceBuffer<float>> xs) =>
        Kernel(nameof(AddSumOfSquares), [y.Buffer]).AddSumOfSquares(y, xs);

    public void GroupSums(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x) =>
        Kernel(nameof(GroupSums), [y]).GroupSums(y, alpha, x);

    public void AddGroupBroadcast(Accumulator y, float alpha, DeviceBuffer<float> x) =>
        Kernel(nameof(AddGroupBroadcast), [y.Buffer]).AddGroupBroadcast(y, alpha, x);

    public void Softmax(DeviceBuffer<float> y, DeviceBuffer<float> x, int columns) =>
        Kernel(nameof(Softmax), [y]).Softmax(y, x, columns);

    public void AddSoftmaxGradient(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float> y, int columns) =>
        Kernel(nameof(AddSoftmaxGradient), [dX.Buffer]).AddSoftmaxGradient(dX, dY, y, columns);

    public void CrossEntropy(DeviceBuffer<float> losses, DeviceBuffer<float> logits, DeviceBuffer<int> labels) =>
        Kernel(nameof(CrossEntropy), [losses]).CrossEntropy(losses, logits, labels);

    public void AddCrossEntropyGradient(Accumulator dLogits, DeviceBuffer<float> dLosses, DeviceBuffer<float> logits,
        DeviceBuffer<int> labels) =>
        Kernel(nameof(AddCrossEntropyGradient), [dLogits.Buffer])
        .AddCrossEntropyGradient(dLogits, dLosses, logits, labels);

    public void LayerNorm(DeviceBuffer<float> y, DeviceBuffer<float> mean, DeviceBuffer<float> rstd,
        DeviceBuffer<float> x, DeviceBuffer<float> gamma, DeviceBuffer<float> beta, float epsilon) =>
        Kernel(nameof(LayerNorm), [y, mean, rstd]).LayerNorm(y, mean, rstd, x, gamma, beta, epsilon);

    public void LayerNormOfSum(DeviceBuffer<float> y, DeviceBuffer<float> x, DeviceBuffer<float> mean,
        DeviceBuffer<float> rstd, DeviceBuffer<float> u, DeviceBuffer<float> v, DeviceBuffer<float> gamma,
        DeviceBuffer<float> beta, float epsilon) => Kernel(nameof(LayerNormOfSum), [y, x, mean, rstd])
            .LayerNormOfSum(y, x, mean, rstd, u, v, gamma, beta, epsilon);

    public void AddLayerNormGradient(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float> x,
        DeviceBuffer<float> mean, DeviceBuffer<float> rstd, DeviceBuffer<float> gamma) =>
        Kernel(nameof(AddLayerNormGradient), [dX.Buffer]).AddLayerNormGradient(dX, dY, x, mean, rstd, gamma);

    public void AddLayerNormGammaGradient(Accumulator dGamma, DeviceBuffer<float> dY, DeviceBuffer<float> x,
        DeviceBuffer<float> mean, DeviceBuffer<float> rstd) =>
        Kernel(nameof(AddLayerNormGammaGradient), [dGamma.Buffer]).AddLayerNormGammaGradient(dGamma, dY, x, mean, rstd);

    public void Gather(DeviceBuffer<float> y, DeviceBuffer<float> table, DeviceBuffer<int> indices, int columns) =>
        Kernel(nameof(Gather), [y]).Gather(y, table, indices, columns);

    public void AddScatter(Accumulator dTable, DeviceBuffer<float> dY, DeviceBuffer<int> indices, int columns) =>
        Kernel(nameof(AddScatter), [dTable.Buffer]).AddScatter(dTable, dY, indices, columns);

    public void Attention(DeviceBuffer<float> y, DeviceBuffer<float> logSumExp, DeviceBuffer<float> q,
        DeviceBuffer<float> k, DeviceBuffer<float> v, DeviceBuffer<int> offsets, AttentionQueries? queries,
        AttentionShape shape) =>
        Kernel(nameof(Attention), [y, logSumExp]).Attention(y, logSumExp, q, k, v, offsets, queries, shape);

    public void AddAttentionGradient(Accumulator? dQ, Accumulator? dK, Accumulator? dV, DeviceBuffer<float> dY,
        DeviceBuffer<float> y, DeviceBuffer<float> logSumExp, DeviceBuffer<float> q, DeviceBuffer<float> k,
        DeviceBuffer<float> v, DeviceBuffer<int> offsets, AttentionQueries? queries,
        AttentionShape shape) =>
        Kernel(nameof(AddAttentionGradient), [dQ?.Buffer, dK?.Buffer, dV?.Buffer])
        .AddAttentionGradient(dQ, dK, dV, dY, y, logSumExp, q, k, v, offsets, queries, shape);

    public void SgdStep(IReadOnlyList<SgdParameter> parameters, SgdStep step) =>
        Kernel(nameof(SgdStep), [.. parameters.Select(each => each.Weights)]).SgdStep(parameters, step);

    public void AdamStep(IReadOnlyList<AdamParameter> parameters, AdamStep step) =>
        Kernel(nameof(AdamStep), [.. parameters.Select(each => each.Weights)]).AdamStep(parameters, step);

    private IBackend Kernel(string name, ReadOnlySpan<DeviceBuffer<float>?> destinations)
    {
        called.Add(name);
        kernels.Add(name);
        foreach (var destination in destinations)
        {
            DestinationFloats += destination?.Length ?? 0;
        }
        return inner;
    }
}
