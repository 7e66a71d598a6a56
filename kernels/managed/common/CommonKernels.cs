namespace LoraScratch.Kernels.Common;

/// <summary>
/// The kernels that every backend computes by the same code. A backend adds where memory lies and
/// how the elements and rows of a kernel are shared out.
/// </summary>
/// <typeparam name="TFloats">A buffer of floats.</typeparam>
/// <typeparam name="TInts">A buffer of whole numbers.</typeparam>
internal abstract partial class CommonKernels<TFloats, TInts>
    where TFloats : struct, IFloats<TFloats> where TInts : struct, IMemory<int>
{
    /// <summary>The elements of a buffer of this backend.</summary>
    protected abstract TFloats Floats(DeviceBuffer<float> buffer);

    /// <summary>The elements of a buffer of this backend.</summary>
    protected abstract TInts Ints(DeviceBuffer<int> buffer);

    /// <summary>Runs a kernel over elements 0 … count − 1.</summary>
    protected abstract void ForEach<TKernel>(int count, in TKernel kernel) where TKernel : struct, IElementKernel;

    /// <summary>
    /// Runs several kernels of a kind that do not depend on each other, each over elements of its
    /// own.
    /// </summary>
    protected abstract void ForEach<TKernel>(IReadOnlyList<(int Count, TKernel Kernel)> kernels)
        where TKernel : struct, IParameterKernel;

    /// <summary>Runs a kernel over rows 0 … rows − 1 of some length.</summary>
    protected abstract void ForEachRow<TKernel>(int rows, int columns, in TKernel kernel)
        where TKernel : struct, IRowKernel;

    /// <summary>y[j] += Σᵢ term(i, j), the rows summed in fixed blocks.</summary>
    protected abstract void AddDownColumns<TTerm>(Accumulator y, int rows, in TTerm term)
        where TTerm : struct, IColumnTerm;

    /// <summary>
    /// What a kernel is to keep of a sum: 1, or 0 where nothing is defined in it yet. (ILGPU takes
    /// no bool as an argument.)
    /// </summary>
    protected static int Keep(Accumulator sum) => sum.IsEmpty ? 0 : 1;
}
