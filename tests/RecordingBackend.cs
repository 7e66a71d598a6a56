using LoraScratch.Kernels;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Tests;

/// <summary>
/// Passes everything on to another backend and notes which kernels ran and how large the buffers
/// were that were asked for.
/// </summary>
internal sealed class RecordingBackend(IBackend inner) : IBackend
{
    private readonly List<string> kernels = [];
    private readonly List<int> allocations = [];

    /// <summary>The kernels since <see cref="Forget"/>, in order.</summary>
    public IReadOnlyList<string> Kernels => kernels;

    /// <summary>
    /// The elements of every buffer that was asked for since <see cref="Forget"/>.
    /// </summary>
    public IReadOnlyList<int> Allocations => allocations;

    public string Description => inner.Description;

    public bool UsesHostMemory => inner.UsesHostMemory;

    public MemoryUse Memory => inner.Memory;

    /// <summary>Begins a new record.</summary>
    public void Forget()
    {
        kernels.Clear();
        allocations.Clear();
    }

    public DeviceTurn TakeTurn() => inner.TakeTurn();

    public DeviceBuffer<T> Allocate<T>(int length) where T : unmanaged
    {
        allocations.Add(length);
        return inner.Allocate<T>(length);
    }

    public void Dispose() => inner.Dispose();

    private IBackend Noting(string kernel)
    {
        kernels.Add(kernel);
        return inner;
    }

    public void Upload<T>(DeviceBuffer<T> destination, ReadOnlySpan<T> source) where T : unmanaged =>
        Noting(nameof(Upload)).Upload<T>(destination, source);

    public void Download<T>(Span<T> destination, DeviceBuffer<T> source) where T : unmanaged =>
        Noting(nameof(Download)).Download<T>(destination, source);

    public void Synchronize() => Noting(nameof(Synchronize)).Synchronize();

    public void Fill(DeviceBuffer<float> y, float value) => Noting(nameof(Fill)).Fill(y, value);

    public void Copy(DeviceBuffer<float> y, DeviceBuffer<float> x) => Noting(nameof(Copy)).Copy(y, x);

    public void Product(Matrix y, Matrix a, Matrix b, float scale = 1) =>
        Noting(nameof(Product)).Product(y, a, b, scale);

    public void AddProduct(Matrix y, Matrix a, Matrix b, float scale = 1) =>
        Noting(nameof(AddProduct)).AddProduct(y, a, b, scale);

    public void ProductPlus(Matrix y, Matrix z, Matrix a, Matrix b, float scale = 1) =>
        Noting(nameof(ProductPlus)).ProductPlus(y, z, a, b, scale);

    public void Product(Matrix y, Matrix a, QuantizedMatrix b) => Noting(nameof(Product)).Product(y, a, b);

    public void AddProduct(Matrix y, Matrix a, QuantizedMatrix b) => Noting(nameof(AddProduct)).AddProduct(y, a, b);

    public void QuantizeRows(DeviceBuffer<byte> codes, DeviceBuffer<RowGrid> grids, DeviceBuffer<float> x) =>
        Noting(nameof(QuantizeRows)).QuantizeRows(codes, grids, x);

    public void Product(DeviceBuffer<int> s, DeviceBuffer<byte> a, Int8Matrix b) =>
        Noting(nameof(Product)).Product(s, a, b);

    public void Dequantize(DeviceBuffer<float> y, DeviceBuffer<int> s, DeviceBuffer<RowGrid> grids, Int8Matrix b,
        DeviceBuffer<float>? bias) => Noting(nameof(Dequantize)).Dequantize(y, s, grids, b, bias);

    public void Transpose(DeviceBuffer<float> y, DeviceBuffer<float> x, int rows, int columns) =>
        Noting(nameof(Transpose)).Transpose(y, x, rows, columns);

    public void Map<TFormula>(DeviceBuffer<float> y, DeviceBuffer<float> x) where TFormula : struct, IFormula =>
        Noting(nameof(Map)).Map<TFormula>(y, x);

    public void AddMapGradient<TFormula>(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float>? x,
        DeviceBuffer<float>? y) where TFormula : struct, IFormula =>
        Noting(nameof(AddMapGradient)).AddMapGradient<TFormula>(dX, dY, x, y);

    public void WeightedSum(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> a, float beta,
        DeviceBuffer<float> b) => Noting(nameof(WeightedSum)).WeightedSum(y, alpha, a, beta, b);

    public void AddScaled(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x) =>
        Noting(nameof(AddScaled)).AddScaled(y, alpha, x);

    public void Scale(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x) =>
        Noting(nameof(Scale)).Scale(y, alpha, x);

    public void Multiply(DeviceBuffer<float> y, DeviceBuffer<float> a, DeviceBuffer<float> b) =>
        Noting(nameof(Multiply)).Multiply(y, a, b);

    public void AddMultiply(Accumulator y, DeviceBuffer<float> a, DeviceBuffer<float> b) =>
        Noting(nameof(AddMultiply)).AddMultiply(y, a, b);

    public void AddBroadcast(Accumulator y, float alpha, DeviceBuffer<float> x) =>
        Noting(nameof(AddBroadcast)).AddBroadcast(y, alpha, x);

    public void Dropout(DeviceBuffer<float> y, DeviceBuffer<float> x, float probability, ulong seed, MaskRows? rows) =>
        Noting(nameof(Dropout)).Dropout(y, x, probability, seed, rows);

    public void AddDropoutGradient(Accumulator dX, DeviceBuffer<float> dY, float probability, ulong seed,
        MaskRows? rows) =>
        Noting(nameof(AddDropoutGradient)).AddDropoutGradient(dX, dY, probability, seed, rows);

    public void AddBias(DeviceBuffer<float> y, DeviceBuffer<float> x, DeviceBuffer<float> bias) =>
        Noting(nameof(AddBias)).AddBias(y, x, bias);

    public void AddColumnSums(Accumulator y, DeviceBuffer<float> x) =>
        Noting(nameof(AddColumnSums)).AddColumnSums(y, x);

    public void Sum(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x) => Noting(nameof(Sum)).Sum(y, alpha, x);

    public void AddSumOfSquares(DeviceBuffer<float> y, DeviceBuffer<float> x) =>
        Noting(nameof(AddSumOfSquares)).AddSumOfSquares(y, x);

    public void GroupSums(DeviceBuffer<float> y, float alpha, DeviceBuffer<float> x) =>
        Noting(nameof(GroupSums)).GroupSums(y, alpha, x);

    public void AddGroupBroadcast(Accumulator y, float alpha, DeviceBuffer<float> x) =>
        Noting(nameof(AddGroupBroadcast)).AddGroupBroadcast(y, alpha, x);

    public void Softmax(DeviceBuffer<float> y, DeviceBuffer<float> x, int columns) =>
        Noting(nameof(Softmax)).Softmax(y, x, columns);

    public void AddSoftmaxGradient(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float> y, int columns) =>
        Noting(nameof(AddSoftmaxGradient)).AddSoftmaxGradient(dX, dY, y, columns);

    public void CrossEntropy(DeviceBuffer<float> losses, DeviceBuffer<float> logits, DeviceBuffer<int> labels) =>
        Noting(nameof(CrossEntropy)).CrossEntropy(losses, logits, labels);

    public void AddCrossEntropyGradient(Accumulator dLogits, DeviceBuffer<float> dLosses, DeviceBuffer<float> logits,
        DeviceBuffer<int> labels) =>
        Noting(nameof(AddCrossEntropyGradient)).AddCrossEntropyGradient(dLogits, dLosses, logits, labels);

    public void LayerNorm(DeviceBuffer<float> y, DeviceBuffer<float> mean, DeviceBuffer<float> rstd,
        DeviceBuffer<float> x, DeviceBuffer<float> gamma, DeviceBuffer<float> beta, float epsilon) =>
        Noting(nameof(LayerNorm)).LayerNorm(y, mean, rstd, x, gamma, beta, epsilon);

    public void AddLayerNormGradient(Accumulator dX, DeviceBuffer<float> dY, DeviceBuffer<float> x,
        DeviceBuffer<float> mean, DeviceBuffer<float> rstd, DeviceBuffer<float> gamma) =>
        Noting(nameof(AddLayerNormGradient)).AddLayerNormGradient(dX, dY, x, mean, rstd, gamma);

    public void AddLayerNormGammaGradient(Accumulator dGamma, DeviceBuffer<float> dY, DeviceBuffer<float> x,
        DeviceBuffer<float> mean, DeviceBuffer<float> rstd) =>
        Noting(nameof(AddLayerNormGammaGradient)).AddLayerNormGammaGradient(dGamma, dY, x, mean, rstd);

    public void Gather(DeviceBuffer<float> y, DeviceBuffer<float> table, DeviceBuffer<int> indices, int columns) =>
        Noting(nameof(Gather)).Gather(y, table, indices, columns);

    public void AddScatter(Accumulator dTable, DeviceBuffer<float> dY, DeviceBuffer<int> indices, int columns) =>
        Noting(nameof(AddScatter)).AddScatter(dTable, dY, indices, columns);

    public void Attention(DeviceBuffer<float> y, DeviceBuffer<float> logSumExp, DeviceBuffer<float> q,
        DeviceBuffer<float> k, DeviceBuffer<float> v, DeviceBuffer<int> offsets, AttentionQueries? queries,
        AttentionShape shape) =>
        Noting(nameof(Attention)).Attention(y, logSumExp, q, k, v, offsets, queries, shape);

    public void AddAttentionGradient(Accumulator? dQ, Accumulator? dK, Accumulator? dV, DeviceBuffer<float> dY,
        DeviceBuffer<float> y, DeviceBuffer<float> logSumExp, DeviceBuffer<float> q, DeviceBuffer<float> k,
        DeviceBuffer<float> v, DeviceBuffer<int> offsets, AttentionQueries? queries,
        AttentionShape shape) =>
        Noting(nameof(AddAttentionGradient))
        .AddAttentionGradient(dQ, dK, dV, dY, y, logSumExp, q, k, v, offsets, queries, shape);

    public void SgdStep(DeviceBuffer<float> w, DeviceBuffer<float> gradient, DeviceBuffer<float>? velocity,
        SgdStep step) => Noting(nameof(SgdStep)).SgdStep(w, gradient, velocity, step);

    public void AdamStep(DeviceBuffer<float> w, DeviceBuffer<float> gradient, DeviceBuffer<float> m,
        DeviceBuffer<float> v, AdamStep step) => Noting(nameof(AdamStep)).AdamStep(w, gradient, m, v, step);
}
