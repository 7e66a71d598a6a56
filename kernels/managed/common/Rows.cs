using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Common;

/// <summary>What kernels do with a row.</summary>
/// <typeparam name="TFloats">A buffer of floats.</typeparam>
internal static class Rows<TFloats> where TFloats : struct, IFloats<TFloats>
{
    /// <summary>Σⱼ aⱼ·bⱼ</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Dot<T>(TFloats a, TFloats b, int columns) where T : struct, ILanes<T>
    {
        var sum = T.Of(0f);
        for (var j = T.First; j < columns; j += T.Width)
        {
            sum = T.MultiplyAdd(T.Load(ref a[j], columns - j, 0), T.Load(ref b[j], columns - j, 0),
                sum);
        }
        return T.Sum(sum);
    }

    /// <summary>The largest element of those that are numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Largest<T>(TFloats x, int columns) where T : struct, ILanes<T>
    {
        var largest = T.Of(float.NegativeInfinity);
        for (var j = T.First; j < columns; j += T.Width)
        {
            largest = T.Max(T.Load(ref x[j], columns - j, float.NegativeInfinity), largest);
        }
        return T.Largest(largest);
    }

    /// <summary>Σⱼ exp(xⱼ − shift)</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float SumOfExponentials<T>(TFloats x, int columns, float shift)
        where T : struct, ILanes<T>
    {
        var sum = T.Of(0f);
        for (var j = T.First; j < columns; j += T.Width)
        {
            sum += Exponential.Value(T.Load(ref x[j], columns - j, float.NegativeInfinity) - T.Of(shift));
        }
        return T.Sum(sum);
    }

    /// <summary>y = exp(x − shift); returns its sum. In place allowed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Exponentials<T>(TFloats y, TFloats x, int columns, float shift)
        where T : struct, ILanes<T>
    {
        var sum = T.Of(0f);
        for (var j = T.First; j < columns; j += T.Width)
        {
            var e = Exponential.Value(T.Load(ref x[j], columns - j, float.NegativeInfinity) - T.Of(shift));
            T.Store(ref y[j], columns - j, e);
            sum += e;
        }
        return T.Sum(sum);
    }

    /// <summary>row = factor·row</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scale<T>(TFloats row, int columns, float factor) where T : struct, ILanes<T>
    {
        for (var j = T.First; j < columns; j += T.Width)
        {
            T.Store(ref row[j], columns - j, T.Load(ref row[j], columns - j, 0) * T.Of(factor));
        }
    }

    /// <summary>row = row ⊙ other</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<T>(TFloats row, TFloats other, int columns) where T : struct, ILanes<T>
    {
        for (var j = T.First; j < columns; j += T.Width)
        {
            T.Store(ref row[j], columns - j,
                T.Load(ref row[j], columns - j, 0) * T.Load(ref other[j], columns - j, 0));
        }
    }
}
