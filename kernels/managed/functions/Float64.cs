namespace LoraScratch.Kernels.Functions;

/// <summary>
/// One double as an <see cref="IReal{T}"/>: a formula of the kernels in double arithmetic, as the
/// reference that its gradient is checked against. Its constants stay what they are in float32. A
/// mask is 1 or 0.
/// </summary>
/// <param name="Value">The number.</param>
internal readonly record struct Float64(double Value) : IReal<Float64>
{
    public static Float64 One => new(1);

    public static Float64 Of(float value) => new(value);

    public static Float64 operator +(Float64 a, Float64 b) => new(a.Value + b.Value);

    public static Float64 operator -(Float64 a, Float64 b) => new(a.Value - b.Value);

    public static Float64 operator *(Float64 a, Float64 b) => new(a.Value * b.Value);

    public static Float64 operator /(Float64 a, Float64 b) => new(a.Value / b.Value);

    public static Float64 operator -(Float64 a) => new(-a.Value);

    public static Float64 MultiplyAdd(Float64 a, Float64 b, Float64 c) => new(Math.FusedMultiplyAdd(a.Value, b.Value,
        c.Value));

    public static Float64 Round(Float64 x) => new(Math.Round(x.Value, MidpointRounding.ToEven));

    public static Float64 ScaleByPowerOfTwo(Float64 x, Float64 exponent) =>
        new(Math.ScaleB(x.Value, (int)exponent.Value));

    public static Float64 Sqrt(Float64 x) => new(Math.Sqrt(x.Value));

    public static Float64 Abs(Float64 x) => new(Math.Abs(x.Value));

    public static Float64 Max(Float64 a, Float64 b) => a.Value > b.Value ? a : b;

    public static Float64 Min(Float64 a, Float64 b) => a.Value < b.Value ? a : b;

    public static Float64 Less(Float64 a, Float64 b) => new(a.Value < b.Value ? 1 : 0);

    public static Float64 Select(Float64 mask, Float64 ifTrue, Float64 ifFalse) => mask.Value != 0 ? ifTrue : ifFalse;
}
