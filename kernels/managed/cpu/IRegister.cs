using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// What matrix products need of a SIMD register. It speaks of the bare vector, not of a struct with
/// operators around it as the formulas do (<see cref="Functions.ILanes{T}"/>): the JIT keeps such a
/// struct's register, but moves it once more for each multiply-add, and products pass little else.
/// </summary>
/// <typeparam name="V">
/// The register: <see cref="Vector512{T}"/>, <see cref="Vector{T}"/>, or one float where there is
/// no SIMD.
/// </typeparam>
internal unsafe interface IRegister<V> where V : struct
{
    /// <summary>Floats in the register.</summary>
    static abstract int Width { get; }

    /// <summary>The same number everywhere.</summary>
    static abstract V Of(float value);

    /// <summary>from[0 … Width)</summary>
    static abstract V Load(float* from);

    /// <summary>to[0 … Width) = value</summary>
    static abstract void Store(float* to, V value);

    /// <summary>a + b</summary>
    static abstract V Add(V a, V b);

    /// <summary>a · b</summary>
    static abstract V Multiply(V a, V b);

    /// <summary>a · b + c, in one rounding where the processor has a fused instruction.</summary>
    static abstract V MultiplyAdd(V a, V b, V c);
}

/// <summary>A register of AVX-512.</summary>
internal readonly unsafe struct Register512 : IRegister<Vector512<float>>
{
    public static int Width => Vector512<float>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Of(float value) => Vector512.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Load(float* from) => Vector512.Load(from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float* to, Vector512<float> value) => value.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Add(Vector512<float> a, Vector512<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> Multiply(Vector512<float> a, Vector512<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<float> MultiplyAdd(Vector512<float> a, Vector512<float> b, Vector512<float> c) =>
    Vector512.MultiplyAddEstimate(a, b, c);
}

/// <summary>
/// The register that the runtime finds best: AVX2, or what another processor has.
/// </summary>
internal readonly unsafe struct Register : IRegister<Vector<float>>
{
    public static int Width => Vector<float>.Count;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Of(float value) => Vector.Create(value);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Load(float* from) => Vector.Load(from);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float* to, Vector<float> value) => value.Store(to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Add(Vector<float> a, Vector<float> b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Multiply(Vector<float> a, Vector<float> b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> MultiplyAdd(Vector<float> a, Vector<float> b, Vector<float> c) =>
    Vector.MultiplyAddEstimate(a, b, c);
}

/// <summary>One float: a processor without SIMD.</summary>
internal readonly unsafe struct RegisterOfOne : IRegister<float>
{
    public static int Width => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Of(float value) => value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Load(float* from) => *from;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(float* to, float value) => *to = value;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Add(float a, float b) => a + b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float Multiply(float a, float b) => a * b;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static float MultiplyAdd(float a, float b, float c) => float.MultiplyAddEstimate(a, b, c);
}
