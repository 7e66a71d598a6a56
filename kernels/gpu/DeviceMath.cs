using ILGPU.Frontend.Intrinsic;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Gpu;

/// <summary>What formulas call and ILGPU does not know.</summary>
internal static class DeviceMath
{
    /// <summary>Makes ILGPU compile the methods here in place of their namesakes.</summary>
    public static void Register() =>
        RemappedIntrinsics.AddRemapping(typeof(float), typeof(DeviceMath), nameof(float.MultiplyAddEstimate),
            typeof(float), typeof(float), typeof(float));

    /// <summary>eˣ by the formula of every backend.</summary>
    public static float Exp(float x) => Exponential.Value(new Scalar(x)).Value;

    /// <summary>a·b + c: the driver's compiler makes one fused instruction of it.</summary>
    public static float MultiplyAddEstimate(float a, float b, float c) => a * b + c;
}
