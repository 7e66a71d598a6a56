using System.Numerics;
using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Functions;

/// <summary>
/// As many floats as a <see cref="Vector{T}"/> holds: 8 with AVX2, 4 with SSE or NEON and in
/// software. A mask has all bits of a place set or none.
/// </summary>
internal readonly record struct Lanes(Vector<float> Value) : ILanes<Lanes>
{
    /// <inheritdoc/>
    public static Lanes One => new(Vector<float>.One);
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Of(float value) => new(Vector.Create(value));
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes operator +(Lanes a, Lanes b) => new(a.Value + b.Value);
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes operator -(Lanes a, Lanes b) => new(a.Value - b.Value);
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes operator *(Lanes a, Lanes b) => new(a.Value * b.Value);
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes operator /(Lanes a, Lanes b) => new(a.Value / b.Value);
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes operator -(Lanes a) => new(-a.Value);
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes MultiplyAdd(Lanes a, Lanes b, Lanes c) =>
    new(Vector.MultiplyAddEstimate(a.Value, b.Value, c.Value));
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Round(Lanes x) => new(Vector.Round(x.Value));
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes ScaleByPowerOfTwo(Lanes x, Lanes exponent)
    {
        // Two factors of half the exponent each: 2ᵉ alone is no float32 below −126 or above 127.
        var whole = Vector.ConvertToInt32Native(exponent.Value);
        var half = whole >> 1;
        return new(x.Value * PowerOfTwo(half) * PowerOfTwo(whole - half));
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> PowerOfTwo(Vector<int> exponent) =>
    Vector.AsVectorSingle((exponent + Vector.Create(127)) << 23);

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Sqrt(Lanes x) => new(Vector.SquareRoot(x.Value));
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Abs(Lanes x) => new(Vector.Abs(x.Value));
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Max(Lanes a, Lanes b) => new(Vector.MaxNative(a.Value, b.Value));
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Min(Lanes a, Lanes b) => new(Vector.MinNative(a.Value, b.Value));
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Less(Lanes a, Lanes b) => new(Vector.AsVectorSingle(Vector.LessThan(a.Value, b.Value)));
    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Lanes Select(Lanes mask, Lanes ifTrue, Lanes ifFalse) =>
    new(Vector.ConditionalSelect(mask.Value, ifTrue.Value, ifFalse.Value));

    static int ILanes<Lanes>.Width => Vector<float>.Count;

    static int ILanes<Lanes>.First => 0;

    static bool ILanes<Lanes>.Has(int i) => true;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Lanes ILanes<Lanes>.Load(ref float from) => new(Vector.LoadUnsafe(ref from));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static Lanes ILanes<Lanes>.Load(ref float from, int left, float rest) => RowEnd.Load<Lanes>(ref from, left, rest);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void ILanes<Lanes>.Store(ref float to, Lanes value) => value.Value.StoreUnsafe(ref to);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    static void ILanes<Lanes>.Store(ref float to, int left, Lanes value) => RowEnd.Store(ref to, left, value);

    static float ILanes<Lanes>.Sum(Lanes value) => Vector.Sum(value.Value);

    static float ILanes<Lanes>.Largest(Lanes value)
    {
        var largest = value.Value[0];
        for (var i = 1; i < Vector<float>.Count; i++)
        {
            largest = MathF.Max(largest, value.Value[i]);
        }
        return largest;
    }
}
