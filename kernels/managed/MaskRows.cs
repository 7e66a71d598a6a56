namespace LoraScratch.Kernels;

/// <summary>
/// Some rows of a matrix, for a dropout whose input has only those: row i has the mask that row
/// Rows[i] has where all are there.
/// </summary>
/// <param name="Rows">[rows of the input]</param>
/// <param name="Columns">Length of a row.</param>
internal readonly record struct MaskRows(DeviceBuffer<int> Rows, int Columns);
