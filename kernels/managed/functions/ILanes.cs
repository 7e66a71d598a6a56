namespace LoraScratch.Kernels.Functions;

/// <summary>
/// A bundle of <see cref="Width"/> neighbouring floats in memory: what the CPU kernels add to the
/// alphabet of <see cref="IReal{T}"/>.
/// </summary>
/// <typeparam name="T">
/// <see cref="Scalar"/>, <see cref="Lanes"/> or <see cref="Lanes512"/>.
/// </typeparam>
internal unsafe interface ILanes<T> : IReal<T> where T : struct, ILanes<T>
{
    /// <summary>Floats in the bundle.</summary>
    static abstract int Width { get; }

    /// <summary>from[0 … Width)</summary>
    static abstract T Load(float* from);

    /// <summary>to[0 … Width) = value</summary>
    static abstract void Store(float* to, T value);

    /// <summary>The sum over the bundle.</summary>
    static abstract float Sum(T value);

    /// <summary>The largest of the bundle, which holds no NaN.</summary>
    static abstract float Largest(T value);
}
