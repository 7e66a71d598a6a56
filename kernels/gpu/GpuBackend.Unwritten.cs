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

    private static NotSupportedException Unwritten(string kernel) => new($"{kernel} is not written for GPUs yet. Use the CPU.");
}
