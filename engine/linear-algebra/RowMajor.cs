namespace LoraScratch.Engine.LinearAlgebra;

/// <summary>Matrices as the host holds them: their rows, one after the other.</summary>
internal static class RowMajor
{
    /// <summary>The transpose.</summary>
    /// <param name="values">[rows, columns]</param>
    /// <param name="rows">Rows of the matrix.</param>
    /// <param name="columns">Columns of the matrix.</param>
    /// <returns>[columns, rows]</returns>
    public static float[] Transposed(float[] values, int rows, int columns)
    {
        var transposed = new float[values.Length];
        for (var i = 0; i < rows; i++)
        {
            for (var j = 0; j < columns; j++)
            {
                transposed[j * rows + i] = values[i * columns + j];
            }
        }
        return transposed;
    }
}
