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
    public void Attention(DeviceBuffer<float> y, DeviceBuffer<float> logSumExp, DeviceBuffer<float> q, DeviceBuffer<float> k, DeviceBuffer<float> v, DeviceBuffer<int> offsets, AttentionShape shape) => throw Unwritten(nameof(Attention));

    /// <inheritdoc/>
    public void AddAttentionGradient(DeviceBuffer<float>? dQ, DeviceBuffer<float>? dK, DeviceBuffer<float>? dV, DeviceBuffer<float> dY, DeviceBuffer<float> y, DeviceBuffer<float> logSumExp, DeviceBuffer<float> q, DeviceBuffer<float> k, DeviceBuffer<float> v, DeviceBuffer<int> offsets, AttentionShape shape) => throw Unwritten(nameof(AddAttentionGradient));

    private static NotSupportedException Unwritten(string kernel) => new($"{kernel} is not written for GPUs yet. Use the CPU.");
}
