using System.Runtime.InteropServices;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// Four neighbours in memory, which a thread reads and writes with one instruction.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct Float4(float x, float y, float z, float w)
{
    public float X = x, Y = y, Z = z, W = w;

    /// <summary>One of the four.</summary>
    public readonly float Element(int i) => i == 0 ? X : i == 1 ? Y : i == 2 ? Z : W;

    public static Float4 operator +(Float4 a, Float4 b) => new(a.X + b.X, a.Y + b.Y, a.Z + b.Z, a.W + b.W);

    public static Float4 operator *(Float4 a, Float4 b) => new(a.X * b.X, a.Y * b.Y, a.Z * b.Z, a.W * b.W);

    public static Float4 operator *(float a, Float4 b) => new(a * b.X, a * b.Y, a * b.Z, a * b.W);
}
