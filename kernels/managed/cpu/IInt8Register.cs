using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// What the integer product needs of a SIMD register: it holds sums of a few outputs, to which
/// products of four codes of X and four of W are added at a time, exactly.
/// </summary>
/// <typeparam name="V">The register.</typeparam>
internal unsafe interface IInt8Register<V> where V : struct
{
    /// <summary>Outputs whose sums a register holds.</summary>
    static abstract int Outputs { get; }

    /// <summary>
    /// Bytes of a code of X as this register reads them: 1, or 2 where codes have to be widened
    /// before.
    /// </summary>
    static abstract int BytesOfCode { get; }

    /// <summary>Four codes each of <see cref="Outputs"/> neighbouring outputs of a panel.</summary>
    static abstract V Load(sbyte* panel);

    /// <summary>The same four codes of X for every output.</summary>
    static abstract V Of(byte* quad);

    /// <summary>sums + ⟨x, w⟩ for each output.</summary>
    static abstract V MultiplyAdd(V sums, V x, V w);

    /// <summary>to[0 … Outputs) = sums</summary>
    static abstract void Store(int* to, V sums);
}

/// <summary>
/// AVX-VNNI: one instruction multiplies four unsigned bytes with four signed ones and adds all four
/// products to a sum of 32 bits, without saturation.
/// </summary>
internal readonly unsafe struct Vnni256 : IInt8Register<Vector256<int>>
{
    public static int Outputs => Vector256<int>.Count;

    public static int BytesOfCode => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Load(sbyte* panel) => Vector256.Load(panel).AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Of(byte* quad) => Vector256.Create(*(int*)quad);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> MultiplyAdd(Vector256<int> sums, Vector256<int> x, Vector256<int> w) =>
    AvxVnni.MultiplyWideningAndAdd(sums, x.AsByte(), w.AsSByte());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(int* to, Vector256<int> sums) => sums.Store(to);
}

/// <summary>
/// AVX-512 without that instruction: products of neighbouring codes of 16 bits, two of which have
/// room in a sum of 32. The instruction for bytes that there is adds two products in 16 bits, where
/// 2·255·127 has no room. A register holds two sums of every output, which <see cref="Store"/>
/// adds.
/// </summary>
internal readonly unsafe struct Pairs512 : IInt8Register<Vector512<int>>
{
    public static int Outputs => Vector512<int>.Count / 2;

    public static int BytesOfCode => sizeof(short);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Load(sbyte* panel) =>
    Avx512BW.ConvertToVector512Int16(Vector256.Load(panel)).AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> Of(byte* quad) => Vector512.Create(*(long*)quad).AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector512<int> MultiplyAdd(Vector512<int> sums, Vector512<int> x, Vector512<int> w) =>
    sums + Avx512BW.MultiplyAddAdjacent(x.AsInt16(), w.AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(int* to, Vector512<int> sums)
    {
        const byte Order = 0b_11_01_10_00;      // the neighbours' sums come as 0 1 | 4 5 | 2 3 | 6 7
        Avx2.Permute4x64(Avx2.HorizontalAdd(sums.GetLower(), sums.GetUpper()).AsInt64(), Order).AsInt32().Store(to);
    }
}

/// <summary>The same with AVX2.</summary>
internal readonly unsafe struct Pairs256 : IInt8Register<Vector256<int>>
{
    public static int Outputs => Vector256<int>.Count / 2;

    public static int BytesOfCode => sizeof(short);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Load(sbyte* panel) => Avx2.ConvertToVector256Int16(panel).AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> Of(byte* quad) => Vector256.Create(*(long*)quad).AsInt32();

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<int> MultiplyAdd(Vector256<int> sums, Vector256<int> x, Vector256<int> w) =>
    sums + Avx2.MultiplyAddAdjacent(x.AsInt16(), w.AsInt16());

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store(int* to, Vector256<int> sums) =>
    Ssse3.HorizontalAdd(sums.GetLower(), sums.GetUpper()).Store(to);
}
