namespace LoraScratch.Kernels.Gpu;

/// <content>Kernels of the contract that are not written for GPUs yet; each moves to the file named as its twin in kernels/managed/cpu.</content>
public sealed partial class GpuBackend
{
    /// <inheritdoc/>
    public void Product(Matrix y, Matrix a, Matrix b, float scale = 1) => throw Unwritten(nameof(Product));

    /// <inheritdoc/>
    public void AddProduct(Matrix y, Matrix a, Matrix b, float scale = 1) => throw Unwritten(nameof(AddProduct));

    /// <inheritdoc/>
    public void Transpose(DeviceBuffer<float> y, DeviceBuffer<float> x, int rows, int columns) => throw Unwritten(nameof(Transpose));

    /// <inheritdoc/>
    public void Dropout(DeviceBuffer<float> y, DeviceBuffer<float> x, float probability, ulong seed) => throw Unwritten(nameof(Dropout));

    /// <inheritdoc/>
    public void AddDropoutGradient(DeviceBuffer<float> dX, DeviceBuffer<float> dY, float probability, ulong seed) => throw Unwritten(nameof(AddDropoutGradient));

    /// <inheritdoc/>
    public void Softmax(DeviceBuffer<float> y, DeviceBuffer<float> x, int columns) => throw Unwritten(nameof(Softmax));

    /// <inheritdoc/>
    public void AddSoftmaxGradient(DeviceBuffer<float> dX, DeviceBuffer<float> dY, DeviceBuffer<float> y, int columns) => throw Unwritten(nameof(AddSoftmaxGradient));

    /// <inheritdoc/>
    public void CrossEntropy(DeviceBuffer<float> losses, DeviceBuffer<float> logits, DeviceBuffer<int> labels) => throw Unwritten(nameof(CrossEntropy));

    /// <inheritdoc/>
    public void AddCrossEntropyGradient(DeviceBuffer<float> dLogits, DeviceBuffer<float> dLosses, DeviceBuffer<float> logits, DeviceBuffer<int> labels) => throw Unwritten(nameof(AddCrossEntropyGradient));

    /// <inheritdoc/>
    public void LayerNorm(DeviceBuffer<float> y, DeviceBuffer<float> mean, DeviceBuffer<float> rstd, DeviceBuffer<float> x, DeviceBuffer<float> gamma, DeviceBuffer<float> beta, float epsilon) => throw Unwritten(nameof(LayerNorm));

    /// <inheritdoc/>
    public void AddLayerNormGradient(DeviceBuffer<float> dX, DeviceBuffer<float> dY, DeviceBuffer<float> x, DeviceBuffer<float> mean, DeviceBuffer<float> rstd, DeviceBuffer<float> gamma) => throw Unwritten(nameof(AddLayerNormGradient));

    /// <inheritdoc/>
    public void AddLayerNormGammaGradient(DeviceBuffer<float> dGamma, DeviceBuffer<float> dY, DeviceBuffer<float> x, DeviceBuffer<float> mean, DeviceBuffer<float> rstd) => throw Unwritten(nameof(AddLayerNormGammaGradient));

    /// <inheritdoc/>
    public void Gather(DeviceBuffer<float> y, DeviceBuffer<float> table, DeviceBuffer<int> indices, int columns) => throw Unwritten(nameof(Gather));

    /// <inheritdoc/>
    public void AddScatter(DeviceBuffer<float> dTable, DeviceBuffer<float> dY, DeviceBuffer<int> indices, int columns) => throw Unwritten(nameof(AddScatter));

    /// <inheritdoc/>
    public void Attention(DeviceBuffer<float> y, DeviceBuffer<float> logSumExp, DeviceBuffer<float> q, DeviceBuffer<float> k, DeviceBuffer<float> v, DeviceBuffer<int> offsets, AttentionShape shape) => throw Unwritten(nameof(Attention));

    /// <inheritdoc/>
    public void AddAttentionGradient(DeviceBuffer<float>? dQ, DeviceBuffer<float>? dK, DeviceBuffer<float>? dV, DeviceBuffer<float> dY, DeviceBuffer<float> y, DeviceBuffer<float> logSumExp, DeviceBuffer<float> q, DeviceBuffer<float> k, DeviceBuffer<float> v, DeviceBuffer<int> offsets, AttentionShape shape) => throw Unwritten(nameof(AddAttentionGradient));

    /// <inheritdoc/>
    public void SgdStep(DeviceBuffer<float> w, DeviceBuffer<float> gradient, DeviceBuffer<float>? velocity, SgdStep step) => throw Unwritten(nameof(SgdStep));

    /// <inheritdoc/>
    public void AdamStep(DeviceBuffer<float> w, DeviceBuffer<float> gradient, DeviceBuffer<float> m, DeviceBuffer<float> v, AdamStep step) => throw Unwritten(nameof(AdamStep));

    private static NotSupportedException Unwritten(string kernel) => new($"{kernel} is not written for GPUs yet. Use the CPU.");
}
