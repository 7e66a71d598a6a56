namespace LoraScratch.Kernels.Functions;

/// <summary>
/// A bundle of <see cref="Width"/> neighbouring floats: what kernels add to the alphabet of
/// <see cref="IReal{T}"/>. A SIMD register is a bundle, and so are the floats of a group of GPU
/// threads, one in each. A row is walked by
/// <c>for (var j = T.First; j &lt; columns; j += T.Width)</c>.
/// </summary>
/// <typeparam name="T">
/// <see cref="Scalar"/>, <see cref="Lanes"/>, <see cref="Lanes512"/>, or a GPU's.
/// </typeparam>
internal interface ILanes<T> : IReal<T> where T : struct, ILanes<T>
{
    /// <summary>Floats in the bundle.</summary>
    static abstract int Width { get; }

    /// <summary>
    /// Which float of the bundle this thread has first: 0 where threads do not share it.
    /// </summary>
    static abstract int First { get; }

    /// <summary>Whether this thread has float <paramref name="i"/> of a row.</summary>
    static abstract bool Has(int i);

    /// <summary>The floats from one on.</summary>
    static abstract T Load(ref float from);

    /// <summary>
    /// The floats from one on, of which <paramref name="left"/> are there, with
    /// <paramref name="rest"/> in the places past them.
    /// </summary>
    static abstract T Load(ref float from, int left, float rest);

    /// <summary>Writes the floats from one on.</summary>
    static abstract void Store(ref float to, T value);

    /// <summary>
    /// Writes the floats from one on, of which <paramref name="left"/> are there.
    /// </summary>
    static abstract void Store(ref float to, int left, T value);

    /// <summary>The sum over the bundle, in every thread that shares it.</summary>
    static abstract float Sum(T value);

    /// <summary>
    /// The largest of the bundle, which holds no NaN, in every thread that shares it.
    /// </summary>
    static abstract float Largest(T value);
}
