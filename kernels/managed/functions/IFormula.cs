namespace LoraScratch.Kernels.Functions;

/// <summary>
/// An elementwise function y = f(x) with its derivative, written once for every backend and
/// register width.
/// </summary>
internal interface IFormula
{
    /// <summary>
    /// What <see cref="Derivative"/> reads: what an op must keep until the backward pass.
    /// </summary>
    static abstract Reads DerivativeReads { get; }

    /// <summary>f(x)</summary>
    static abstract T Value<T>(T x) where T : struct, IReal<T>;

    /// <summary>
    /// f′(x), given x and y = f(x); an argument that <see cref="DerivativeReads"/> leaves out may
    /// hold anything.
    /// </summary>
    static abstract T Derivative<T>(T x, T y) where T : struct, IReal<T>;
}

/// <summary>The arguments that a derivative reads.</summary>
[Flags]
internal enum Reads
{
    /// <summary>The input x.</summary>
    Input = 1,

    /// <summary>The output y = f(x).</summary>
    Output = 2,
}
