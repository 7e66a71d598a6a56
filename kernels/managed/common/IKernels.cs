using LoraScratch.Kernels.Functions;

namespace LoraScratch.Kernels.Common;

/// <summary>
/// A kernel whose elements do not depend on each other: a handful of buffers and factors.
/// </summary>
internal interface IElementKernel
{
    /// <summary>Computes elements i … i + T.Width − 1.</summary>
    void At<T>(int i) where T : struct, ILanes<T>;
}

/// <summary>
/// A kernel that is run over the elements of several tensors together, all parameters of a model: a
/// GPU has a form of each of these that runs eight beside each other.
/// </summary>
internal interface IParameterKernel : IElementKernel
{
}

/// <summary>A kernel whose rows do not depend on each other.</summary>
internal interface IRowKernel
{
    /// <summary>Computes one row in steps of T.Width.</summary>
    void Row<T>(int row) where T : struct, ILanes<T>;
}

/// <summary>The terms of a sum down the columns of a matrix.</summary>
internal interface IColumnTerm
{
    /// <summary>The terms at (row, column) … (row, column + T.Width − 1).</summary>
    T At<T>(int row, int column) where T : struct, ILanes<T>;
}
