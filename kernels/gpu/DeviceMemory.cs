using ILGPU;
using LoraScratch.Kernels.Common;

namespace LoraScratch.Kernels.Gpu;

/// <summary>Floats in the device's memory.</summary>
/// <param name="view">All of them.</param>
internal readonly struct DeviceFloats(ArrayView<float> view) : IFloats<DeviceFloats>
{
    /// <inheritdoc/>
    public static bool IsAtHand => false;

    /// <inheritdoc/>
    public ref float this[int i] => ref view[i];

    /// <inheritdoc/>
    public DeviceFloats From(int start) => new(view.SubView(start));
}

/// <summary>Whole numbers in the device's memory.</summary>
/// <param name="view">All of them.</param>
internal readonly struct DeviceInts(ArrayView<int> view) : IMemory<int>
{
    /// <inheritdoc/>
    public ref int this[int i] => ref view[i];
}
