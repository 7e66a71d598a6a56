using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels;

/// <summary>
/// A backend that any number of threads may use: every kernel runs within a turn of its
/// <see cref="DeviceGate"/>, so that the kernels of all threads run one after the other, each on
/// all of the device. What the kernels themselves need not know stands here once for every device.
/// </summary>
internal abstract class ThreadSafeBackend : IBackend
{
    private readonly IBackend ownKernels;
    private readonly DeviceGate gate;

    private protected ThreadSafeBackend(IBackend kernels, DeviceGate gate) =>
        (ownKernels, this.gate) = (kernels, gate);

    /// <summary>The device's kernels, behind whatever takes note of this thread's calls.</summary>
    private IBackend Kernels => KernelTrace.Current?.Around(ownKernels) ?? ownKernels;

    /// <inheritdoc/>
    public string Description => ownKernels.Description;

    /// <inheritdoc/>
    public string Arithmetic => ownKernels.Arithmetic;

    /// <inheritdoc/>
    public bool UsesHostMemory => ownKernels.UsesHostMemory;

    /// <inheritdoc/>
    public MemoryUse Memory => ownKernels.Memory;

    /// <inheritdoc/>
    public void ForgetPeak() => ownKernels.ForgetPeak();

    /// <inheritdoc/>
    public DeviceTurn TakeTurn() => gate.Enter();

    /// <summary>
    /// Ends the device's threads or waits for it, and frees its memory; buffers still lent become
    /// unusable.
    /// </summary>
    /// <exception cref="InvalidOperationException">Another thread computes on it.</exception>
    public void Dispose()
    {
        // the finalizer holds the gate for a moment while it gives memory back: that is no computation
        if (!gate.TryEnter(TimeSpan.FromSeconds(1)))
        {
            throw new InvalidOperationException(
                $"{Description}: the device cannot be disposed while another thread computes on it. Wait for that "
                    + "thread first.");
        }
        using var turn = gate.Entered();
        ownKernels.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <inheritdoc/>
    public DeviceBuffer<T> Allocate<T>(int length, bool lasting = false) where T : unmanaged
    {
        using var turn = gate.Enter();
        return Kernels.Allocate<T>(length, lasting);
    }

    /// <inheritdoc/>
    public void Upload<T>(DeviceBuffer<T> destination, ReadOnlySpan<T> source) where T : unmanaged
    {
        using var turn = gate.Enter();
        Kernels.Upload(destination, source);
    }

    /// <inheritdoc/>
    public void Download<T>(Span<T> destination, DeviceBuffer<T> source) where T : unmanaged
    {
        using var turn = gate.Enter();
        Kernels.Download(destination, source);
    }

    /// <inheritdoc/>
    public float[] DownloadFirsts(IReadOnlyList<DeviceBuffer<float>> sources)
    {
        using var turn = gate.Enter();
        return Kernels.DownloadFirsts(sources);
    }

    /// <inheritdoc/>
    public void Synchronize()
    {
        using var turn = gate.Enter();
        ownKernels.Synchronize();
    }

    /// <inheritdoc/>
    public void Fill(DeviceBuffer<float> y, float value)
    {
        using var turn = gate.Enter();
        Kernels.Fill(y, value);
    }

    /// <inheritdoc/>
    public void Copy(DeviceBuffer<float> y, DeviceBuffer<float> x)
    {
        using var turn = gate.Enter();
        Kernels.Copy(y, x);
    }

    // ---------------------------------------------------------------- matrix products

    /// <inheritdoc/>
    public void Product(Matrix y, Matrix a, Matrix b, float scale = 1)
    {
        using var turn = gate.Enter();
        Kernels.Product(y, a, b, scale);
    }

    /// <inheritdoc/>
    public void AddProduct(Matrix y, Matrix a, Matrix b, float scale = 1)
    {
        using var turn = gate.Enter();
        Kernels.AddProduct(y, a, b, scale);
    }

    /// <inheritdoc/>
    public void ProductPlus(Matrix y, Matrix z, Matrix a, Matrix b, float scale = 1)
    {
        using var turn = gate.Enter();
        Kernels.ProductPlus(y, z, a, b, scale);
    }

    /// <inheritdoc/>
    public void SumOfProducts(Matrix y, Matrix? z, Matrix a, Matrix b, Matrix c, Matrix d, float scale)
    {
        using var turn = gate.Enter();
        Kernels.SumOfProducts(y, z, a, b, c, d, scale);
    }

    /// <inheritdoc/>
    public void Product(Matrix y, Matrix a, QuantizedMatrix b)
    {
        using var turn = gate.Enter();
        Kernels.Product(y, a, b);
    }

    /// <inheritdoc/>
    public void AddProduct(Matrix y, Matrix a, QuantizedMatrix b)
    {
        using var turn = gate.Enter();
        Kernels.AddProduct(y, a, b);
    }

    /// <inheritdoc/>
    public void QuantizeRows(DeviceBuffer<byte> codes, DeviceBuffer<RowGrid> grids, DeviceBuffer<float> x)
    {
        using var turn = gate.Enter();
        Kernels.QuantizeRows(codes, grids, x);
    }

    /// <inheritdoc/>
    public void Product(DeviceBuffer<int> s, DeviceBuffer<byte> a, Int8Matrix b)
    {
        using var turn = gate.Enter();
        Kernels.Product(s, a, b);
    }

    /// <inheritdoc/>
    public void Dequantize(
        DeviceBuffer<float> y, DeviceBuffer<int> s, DeviceBuffer<RowGrid> grids, Int8Matrix b,
        DeviceBuffer<float>? bias)
    {
        using var turn = gate.Enter();
        Kernels.Dequantize(y, s, grids, b, bias);
    }

    /// <inheritdoc/>
    public void Transpose(DeviceBuffer<float> y, DeviceBuffer<float> x, int rows, int columns)
    {
        using var turn = gate.Enter();
        Kernels.Transpose(y, x, rows, columns);
    }

    // ---------------------------------------------------------------- elementwise

    /// <inheritdoc/>
    public void Map<TFormula>(DeviceBuffer<float> y, DeviceBuffer<float> x) where TFormula : struct, IFormula
    {
        using var turn = gate.Enter();
        Kernels.Map<TFormula>(y, x);
    }

    /// <inheritdoc/>
    public void AddMapGradient<TFormula>(
        Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float>? x,
        DeviceBuffer<float>? y) where TFormula : struct, IFormula
    {
        using var turn = gate.Enter();
        Kernels.AddMapGradient<TFormula>(dX, dY, x, y);
    }

    /// <inheritdoc/>
    public void WeightedSum(
        DeviceBuffer<float> y, float alpha, DeviceBuffer<float> a, float beta, DeviceBuffer<float> b)
    {
        using var turn = gate.Enter();
        Kernels.WeightedSum(y, alpha, a, beta, b);
    }

    /// <inheritdoc/>
    public void AddScaled(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        using var turn = gate.Enter();
        Kernels.AddScaled(y, alpha, x);
    }

    /// <inheritdoc/>
    public void Scale(IReadOnlyList<DeviceBuffer<float>> ys, float alpha)
    {
        using var turn = gate.Enter();
        Kernels.Scale(ys, alpha);
    }

    /// <inheritdoc/>
    public void Scale(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        using var turn = gate.Enter();
        Kernels.Scale(y, alpha, x);
    }

    /// <inheritdoc/>
    public void Multiply(DeviceBuffer<float> y, DeviceBuffer<float> a, DeviceBuffer<float> b)
    {
        using var turn = gate.Enter();
        Kernels.Multiply(y, a, b);
    }

    /// <inheritdoc/>
    public void AddMultiply(Accumulator y, DeviceBuffer<float> a, DeviceBuffer<float> b)
    {
        using var turn = gate.Enter();
        Kernels.AddMultiply(y, a, b);
    }

    /// <inheritdoc/>
    public void AddBroadcast(Accumulator y, float alpha, DeviceBuffer<float> x)
    {
        using var turn = gate.Enter();
        Kernels.AddBroadcast(y, alpha, x);
    }

    /// <inheritdoc/>
    public void Dropout(DeviceBuffer<float> y, DeviceBuffer<float> x, float probability, ulong seed, MaskRows? rows)
    {
        using var turn = gate.Enter();
        Kernels.Dropout(y, x, probability, seed, rows);
    }

    /// <inheritdoc/>
    public void AddDropoutGradient(Accumulator dX, DeviceBuffer<float> dY, float probability, ulong seed,
        MaskRows? rows)
    {
        using var turn = gate.Enter();
        Kernels.AddDropoutGradient(dX, dY, probability, seed, rows);
    }

    // ---------------------------------------------------------------- rows and columns

    /// <inheritdoc/>
    public void PlusBias(DeviceBuffer<float> y, DeviceBuffer<float> x, DeviceBuffer<float> bias)
    {
        using var turn = gate.Enter();
        Kernels.PlusBias(y, x, bias);
    }

    /// <inheritdoc/>
    public void AddColumnSums(Accumulator y, DeviceBuffer<float> x)
    {
        using var turn = gate.Enter();
        Kernels.AddColumnSums(y, x);
    }

    /// <inheritdoc/>
    public void Sum(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        using var turn = gate.Enter();
        Kernels.Sum(y, alpha, x);
    }

    /// <inheritdoc/>
    public void AddSumOfSquares(Accumulator y, IReadOnlyList<DeviceBuffer<float>> xs)
    {
        using var turn = gate.Enter();
        Kernels.AddSumOfSquares(y, xs);
    }

    /// <inheritdoc/>
    public void GroupSums(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x)
    {
        using var turn = gate.Enter();
        Kernels.GroupSums(y, alpha, x);
    }

    /// <inheritdoc/>
    public void AddGroupBroadcast(Accumulator y, float alpha, DeviceBuffer<float> x)
    {
        using var turn = gate.Enter();
        Kernels.AddGroupBroadcast(y, alpha, x);
    }

    /// <inheritdoc/>
    public void Softmax(DeviceBuffer<float> y, DeviceBuffer<float> x, int columns)
    {
        using var turn = gate.Enter();
        Kernels.Softmax(y, x, columns);
    }

    /// <inheritdoc/>
    public void AddSoftmaxGradient(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float> y, int columns)
    {
        using var turn = gate.Enter();
        Kernels.AddSoftmaxGradient(dX, dY, y, columns);
    }

    /// <inheritdoc/>
    public void CrossEntropy(DeviceBuffer<float> losses, DeviceBuffer<float> logits, DeviceBuffer<int> labels)
    {
        using var turn = gate.Enter();
        Kernels.CrossEntropy(losses, logits, labels);
    }

    /// <inheritdoc/>
    public void AddCrossEntropyGradient(
        Accumulator dLogits, DeviceBuffer<float> dLosses, DeviceBuffer<float> logits, DeviceBuffer<int> labels)
    {
        using var turn = gate.Enter();
        Kernels.AddCrossEntropyGradient(dLogits, dLosses, logits, labels);
    }

    /// <inheritdoc/>
    public void LayerNorm(
        DeviceBuffer<float> y, DeviceBuffer<float> mean, DeviceBuffer<float> rstd, DeviceBuffer<float> x,
        DeviceBuffer<float> gamma, DeviceBuffer<float> beta, float epsilon)
    {
        using var turn = gate.Enter();
        Kernels.LayerNorm(y, mean, rstd, x, gamma, beta, epsilon);
    }

    /// <inheritdoc/>
    public void LayerNormOfSum(
        DeviceBuffer<float> y, DeviceBuffer<float> x, DeviceBuffer<float> mean, DeviceBuffer<float> rstd,
        DeviceBuffer<float> u, DeviceBuffer<float> v, DeviceBuffer<float> gamma, DeviceBuffer<float> beta,
        float epsilon)
    {
        using var turn = gate.Enter();
        Kernels.LayerNormOfSum(y, x, mean, rstd, u, v, gamma, beta, epsilon);
    }

    /// <inheritdoc/>
    public void AddLayerNormGradient(
        Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float> x, DeviceBuffer<float> mean,
        DeviceBuffer<float> rstd, DeviceBuffer<float> gamma)
    {
        using var turn = gate.Enter();
        Kernels.AddLayerNormGradient(dX, dY, x, mean, rstd, gamma);
    }

    /// <inheritdoc/>
    public void AddLayerNormGammaGradient(
        Accumulator dGamma, DeviceBuffer<float> dY, DeviceBuffer<float> x, DeviceBuffer<float> mean,
        DeviceBuffer<float> rstd)
    {
        using var turn = gate.Enter();
        Kernels.AddLayerNormGammaGradient(dGamma, dY, x, mean, rstd);
    }

    /// <inheritdoc/>
    public void Gather(DeviceBuffer<float> y, DeviceBuffer<float> table, DeviceBuffer<int> indices, int columns)
    {
        using var turn = gate.Enter();
        Kernels.Gather(y, table, indices, columns);
    }

    /// <inheritdoc/>
    public void AddScatter(Accumulator dTable, DeviceBuffer<float> dY, DeviceBuffer<int> indices, int columns)
    {
        using var turn = gate.Enter();
        Kernels.AddScatter(dTable, dY, indices, columns);
    }

    // ---------------------------------------------------------------- attention

    /// <inheritdoc/>
    public void Attention(
        DeviceBuffer<float> y, DeviceBuffer<float> logSumExp, DeviceBuffer<float> q, DeviceBuffer<float> k,
        DeviceBuffer<float> v, DeviceBuffer<int> offsets, AttentionQueries? queries, AttentionShape shape)
    {
        using var turn = gate.Enter();
        Kernels.Attention(y, logSumExp, q, k, v, offsets, queries, shape);
    }

    /// <inheritdoc/>
    public void AddAttentionGradient(
        Accumulator? dQ, Accumulator? dK, Accumulator? dV, DeviceBuffer<float> dY, DeviceBuffer<float> y,
        DeviceBuffer<float> logSumExp, DeviceBuffer<float> q, DeviceBuffer<float> k, DeviceBuffer<float> v,
        DeviceBuffer<int> offsets, AttentionQueries? queries, AttentionShape shape)
    {
        using var turn = gate.Enter();
        Kernels.AddAttentionGradient(dQ, dK, dV, dY, y, logSumExp, q, k, v, offsets, queries, shape);
    }

    // ---------------------------------------------------------------- optimizer updates

    /// <inheritdoc/>
    public void SgdStep(IReadOnlyList<SgdParameter> parameters, SgdStep step)
    {
        using var turn = gate.Enter();
        Kernels.SgdStep(parameters, step);
    }

    /// <inheritdoc/>
    public void AdamStep(IReadOnlyList<AdamParameter> parameters, AdamStep step)
    {
        using var turn = gate.Enter();
        Kernels.AdamStep(parameters, step);
    }
}
