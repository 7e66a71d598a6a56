using System.Diagnostics;
using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Common;

internal abstract partial class CommonKernels<TFloats, TInts>
{
    /// <inheritdoc cref="IBackend.AddColumnSums"/>
    public void AddColumnSums(Accumulator y, DeviceBuffer<float> x)
    {
        Debug.Assert(x.Length % y.Length == 0);
        AddDownColumns(y, x.Length / y.Length, new ElementTerm(Floats(x), y.Length));
    }

    internal readonly struct ElementTerm(TFloats x, int columns) : IColumnTerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public T At<T>(int row, int column) where T : struct, ILanes<T> => T.Load(ref x[row * columns + column]);
    }
}
