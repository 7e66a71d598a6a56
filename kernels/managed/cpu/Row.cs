using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Cpu;

/// <summary>Reads and writes of a row that need not be a whole number of registers long.</summary>
internal static unsafe class Row
{
    /// <summary>
    /// row[j … j + T.Width), with <paramref name="rest"/> in the places past the row's end.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Load<T>(float* row, int j, int columns, float rest) where T : struct, ILanes<T> =>
        j <= columns - T.Width ? T.Load(row + j) : LoadEnd<T>(row + j, columns - j, rest);

    /// <summary>row[j … j + T.Width) = value, where the row has such places.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<T>(float* row, int j, int columns, T value) where T : struct, ILanes<T>
    {
        if (j <= columns - T.Width)
        {
            T.Store(row + j, value);
        }
        else
        {
            StoreEnd(row + j, columns - j, value);
        }
    }

    /// <summary>Σⱼ rowⱼ · otherⱼ</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Dot<T>(float* row, float* other, int columns) where T : struct, ILanes<T>
    {
        var sum = T.Of(0f);
        for (var j = 0; j < columns; j += T.Width)
        {
            sum = T.MultiplyAdd(Load<T>(row, j, columns, 0), Load<T>(other, j, columns, 0), sum);
        }
        return T.Sum(sum);
    }

    /// <summary>The largest element of those that are numbers.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Largest<T>(float* row, int columns) where T : struct, ILanes<T>
    {
        var largest = T.Of(float.NegativeInfinity);
        for (var j = 0; j < columns; j += T.Width)
        {
            largest = T.Max(Load<T>(row, j, columns, float.NegativeInfinity), largest);
        }
        return T.Largest(largest);
    }

    /// <summary>y = exp(x − shift); returns its sum. In place allowed.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static float Exponentials<T>(float* y, float* x, int columns, float shift) where T : struct, ILanes<T>
    {
        var sum = T.Of(0f);
        for (var j = 0; j < columns; j += T.Width)
        {
            var e = Exponential.Value(Load<T>(x, j, columns, float.NegativeInfinity) - T.Of(shift));
            Store(y, j, columns, e);
            sum += e;
        }
        return T.Sum(sum);
    }

    /// <summary>row = factor·row</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scale<T>(float* row, int columns, float factor) where T : struct, ILanes<T>
    {
        for (var j = 0; j < columns; j += T.Width)
        {
            Store(row, j, columns, Load<T>(row, j, columns, 0) * T.Of(factor));
        }
    }

    /// <summary>row = row ⊙ other</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Multiply<T>(float* row, float* other, int columns) where T : struct, ILanes<T>
    {
        for (var j = 0; j < columns; j += T.Width)
        {
            Store(row, j, columns, Load<T>(row, j, columns, 0) * Load<T>(other, j, columns, 0));
        }
    }

    // Copied float by float into a register's image, and inlined: a call here would push the sums of the loop around it
    // out of their registers.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T LoadEnd<T>(float* from, int count, float rest) where T : struct, ILanes<T>
    {
        var value = T.Of(rest);
        var places = (float*)Unsafe.AsPointer(ref value);
        for (var i = 0; i < count; i++)
        {
            places[i] = from[i];
        }
        return value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreEnd<T>(float* to, int count, T value) where T : struct, ILanes<T>
    {
        var copy = value;
        var places = (float*)Unsafe.AsPointer(ref copy);
        for (var i = 0; i < count; i++)
        {
            to[i] = places[i];
        }
    }
}
