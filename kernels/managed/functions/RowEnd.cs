using System.Runtime.CompilerServices;

namespace LoraScratch.Kernels.Functions;

/// <summary>Reads and writes of a row that need not be a whole number of registers long.</summary>
internal static class RowEnd
{
    /// <inheritdoc cref="ILanes{T}.Load(ref float, int, float)"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static T Load<T>(ref float from, int left, float rest) where T : struct, ILanes<T> =>
        left >= T.Width ? T.Load(ref from) : LoadSome<T>(ref from, left, rest);

    /// <inheritdoc cref="ILanes{T}.Store(ref float, int, T)"/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Store<T>(ref float to, int left, T value) where T : struct, ILanes<T>
    {
        if (left >= T.Width)
        {
            T.Store(ref to, value);
        }
        else
        {
            StoreSome(ref to, left, value);
        }
    }

    // Copied float by float into a register's image, and inlined: a call here would push the sums of the loop around it
    // out of their registers. Not a part of the methods above, whose every call would clear the image.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static T LoadSome<T>(ref float from, int count, float rest) where T : struct, ILanes<T>
    {
        var value = T.Of(rest);
        for (var i = 0; i < count; i++)
        {
            Unsafe.Add(ref Unsafe.As<T, float>(ref value), i) = Unsafe.Add(ref from, i);
        }
        return value;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void StoreSome<T>(ref float to, int count, T value) where T : struct, ILanes<T>
    {
        var copy = value;
        for (var i = 0; i < count; i++)
        {
            Unsafe.Add(ref to, i) = Unsafe.Add(ref Unsafe.As<T, float>(ref copy), i);
        }
    }
}
