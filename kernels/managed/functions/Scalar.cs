using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Functions;

/// <summary>
/// One float32 as an <see cref="IReal{T}"/>: the tail of a SIMD loop, and a GPU thread. A mask is 1
/// or 0.
/// </summary>
/// <param name="Value">The number.</param>
internal readonly record struct Scalar(float Value) : ILanes<Scalar>
{
    /// <summary>
    /// 1.5·2²³: beside it a float32 has no bits left for a fraction, so adding it rounds to a whole
    /// number.
    /// </summary>
    private const float RoundingShift = 12582912f;

    /// <inheritdoc/>
    public static Scalar One => new(1f);
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Scalar Of(float value) => new(value);
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Scalar operator +(Scalar a, Scalar b) => new(a.Value + b.Value);
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Scalar operator -(Scalar a, Scalar b) => new(a.Value - b.Value);
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Scalar operator *(Scalar a, Scalar b) => new(a.Value * b.Value);
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Scalar operator /(Scalar a, Scalar b) => new(a.Value / b.Value);
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Scalar operator -(Scalar a) => new(-a.Value);
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Scalar MultiplyAdd(Scalar a, Scalar b, Scalar c) =>
    new(float.MultiplyAddEstimate(a.Value, b.Value, c.Value));
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Scalar Round(Scalar x) => new(x.Value + RoundingShift - RoundingShift);
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Scalar ScaleByPowerOfTwo(Scalar x, Scalar exponent)
    {
        // Two factors of half the exponent each: 2ᵉ alone is no float32 below −126 or above 127.
        var whole = (int)exponent.Value;
        var half = whole >> 1;
        return new(x.Value * BitConverter.Int32BitsToSingle((half + 127) << 23)
            * BitConverter.Int32BitsToSingle((whole - half + 127) << 23));
    }
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Scalar Sqrt(Scalar x) => new(MathF.Sqrt(x.Value));
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Scalar Abs(Scalar x) => new(MathF.Abs(x.Value));
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Scalar Max(Scalar a, Scalar b) => new(a.Value > b.Value ? a.Value : b.Value);
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Scalar Min(Scalar a, Scalar b) => new(a.Value < b.Value ? a.Value : b.Value);
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Scalar Less(Scalar a, Scalar b) => new(a.Value < b.Value ? 1f : 0f);
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Scalar Select(Scalar mask, Scalar ifTrue, Scalar ifFalse) => mask.Value != 0f ? ifTrue : ifFalse;

    static int ILanes<Scalar>.Width => 1;
    static int ILanes<Scalar>.First => 0;
    static bool ILanes<Scalar>.Has(int i) => true;
    static Scalar ILanes<Scalar>.Load(ref float from) => new(from);
    static Scalar ILanes<Scalar>.Load(ref float from, int left, float rest) => new(from);
    static void ILanes<Scalar>.Store(ref float to, Scalar value) => to = value.Value;
    static void ILanes<Scalar>.Store(ref float to, int left, Scalar value) => to = value.Value;
    static float ILanes<Scalar>.Sum(Scalar value) => value.Value;
    static float ILanes<Scalar>.Largest(Scalar value) => value.Value;
}
