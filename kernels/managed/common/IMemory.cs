namespace LoraScratch.Kernels.Common;

/// <summary>A buffer as the kernels of a backend see it: a pointer, or a view of ILGPU's.</summary>
/// <typeparam name="T">What lies in it.</typeparam>
internal interface IMemory<T>
{
    /// <summary>Element i, to be read or written.</summary>
    ref T this[int i] { get; }
}

/// <summary>A buffer of floats.</summary>
/// <typeparam name="TSelf">The type itself.</typeparam>
internal interface IFloats<TSelf> : IMemory<float> where TSelf : struct, IFloats<TSelf>
{
    /// <summary>
    /// Whether a row that was just written costs less to read than to compute again: it is in the
    /// processor's first cache.
    /// </summary>
    static abstract bool IsAtHand { get; }

    /// <summary>The elements from one on: a row of a matrix.</summary>
    TSelf From(int start);
}
