namespace LoraScratch.Kernels.Functions;

/// <summary>
/// The alphabet that every formula is written in. One formula over <see cref="IReal{T}"/> serves a
/// single float (<see cref="Scalar"/>: the tail of a row, and a GPU thread) and a whole SIMD
/// register (<see cref="Lanes"/>, <see cref="Lanes512"/>): T is then a bundle of numbers and every
/// operation works on all of them. Comparisons answer with a mask that only <see cref="Select"/>
/// reads.
/// </summary>
/// <typeparam name="T">The number, or bundle of numbers.</typeparam>
internal interface IReal<T> where T : struct, IReal<T>
{
    /// <summary>The constant 1.</summary>
    static abstract T One { get; }

    /// <summary>A constant, rounded to float32.</summary>
    static abstract T Of(float value);

    /// <summary>a + b</summary>
    static abstract T operator +(T a, T b);

    /// <summary>a − b</summary>
    static abstract T operator -(T a, T b);

    /// <summary>a · b</summary>
    static abstract T operator *(T a, T b);

    /// <summary>a / b</summary>
    static abstract T operator /(T a, T b);

    /// <summary>−a</summary>
    static abstract T operator -(T a);

    /// <summary>
    /// a · b + c, in one rounding where the processor has a fused instruction and in two where it
    /// has none.
    /// </summary>
    static abstract T MultiplyAdd(T a, T b, T c);

    /// <summary>The nearest whole number, halves to even; defined for |x| below 2²².</summary>
    static abstract T Round(T x);

    /// <summary>
    /// x · 2ᵉ for a whole number e in [−252, 254]; results below the smallest normal float lose
    /// bits as denormals do.
    /// </summary>
    static abstract T ScaleByPowerOfTwo(T x, T exponent);

    /// <summary>√x</summary>
    static abstract T Sqrt(T x);

    /// <summary>|x|</summary>
    static abstract T Abs(T x);

    /// <summary>
    /// The larger of two numbers. Where b is not a number it is the answer; where only a is none,
    /// the answer is unspecified.
    /// </summary>
    static abstract T Max(T a, T b);

    /// <summary>
    /// The smaller of two numbers. Where b is not a number it is the answer; where only a is none,
    /// the answer is unspecified.
    /// </summary>
    static abstract T Min(T a, T b);

    /// <summary>
    /// The mask of a &lt; b, for <see cref="Select"/>; false where either is not a number.
    /// </summary>
    static abstract T Less(T a, T b);

    /// <summary>
    /// <paramref name="ifTrue"/> where the mask holds, else <paramref name="ifFalse"/>; neither
    /// side's infinities or NaNs reach the other.
    /// </summary>
    static abstract T Select(T mask, T ifTrue, T ifFalse);
}
