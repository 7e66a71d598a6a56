using ILGPU.Frontend.Intrinsic;

namespace LoraScratch.Kernels.Gpu;

/// <summary>What formulas call and ILGPU does not know.</summary>
internal static class DeviceMath
{
    /// <summary>Makes ILGPU compile the methods here in place of their namesakes.</summary>
    public static void Register() =>
        RemappedIntrinsics.AddRemapping(typeof(float), typeof(DeviceMath), nameof(float.MultiplyAddEstimate),
            typeof(float), typeof(float), typeof(float));

    /// <summary>a·b + c: the driver's compiler makes one fused instruction of it.</summary>
    public static float MultiplyAddEstimate(float a, float b, float c) => a * b + c;
}
