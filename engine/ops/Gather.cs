namespace LoraScratch.Engine;

public static partial class Ops
{
    /// <summary>
    /// Y[i, :] = Table[indices[i], :]: an embedding look-up, or a choice of rows (the first token
    /// of each sequence).
    /// </summary>
    /// <param name="table">[rows, columns]</param>
    /// <param name="indices">[n], each in [0, rows)</param>
    /// <returns>[n, columns]</returns>
    /// <exception cref="ShapeMismatchException">The table is not a matrix.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An index is outside the table.</exception>
    public static Tensor Gather(this Tensor table, Indices indices)
    {
        if (table.Shape.Rank != 2)
        {
            throw new ShapeMismatchException($"Gather: needs a table of shape [rows, columns], got {table.Shape}.");
        }
        Device.RequireSame(nameof(Gather), "table", table.Backend, "indices", indices.Backend);
        indices.RequireBelow(nameof(Gather), table.Shape.Rows, $"rows of the table {table.Description}");
        var columns = table.Shape.Columns;
        var y = Tensor.Result(new Shape(indices.Count, columns), table.Backend,
            equation: "Y[i, :] = Table[indices[i], :]");
        y.Backend.Gather(y.Data, table.Data, indices.Data, columns);
        return y.GradientFor(table, "dTable[indices[i], :] += dY[i, :]",
            (dY, dTable) => dY.Backend.AddScatter(dTable.Data, dY.Data, indices.Data, columns));
    }
}
