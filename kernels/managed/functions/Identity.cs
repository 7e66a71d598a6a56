namespace LoraScratch.Kernels.Functions;

/// <summary>x</summary>
internal readonly struct Identity : IFormula
{
    /// <inheritdoc/>
    public static Reads DerivativeReads => 0;

    /// <inheritdoc/>
    public static T Value<T>(T x) where T : struct, IReal<T> => x;

    /// <inheritdoc/>
    public static T Derivative<T>(T x, T y) where T : struct, IReal<T> => T.One;
}
