using System.Diagnostics;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
{
    /// <inheritdoc/>
    public void Product(Matrix y, Matrix a, Matrix b, float scale = 1) =>
        Multiply(y, null, a, b, scale, ProductModes.None);

    /// <inheritdoc/>
    public void AddProduct(Matrix y, Matrix a, Matrix b, float scale = 1) =>
        Multiply(y, null, a, b, scale, ProductModes.Accumulate);

    /// <inheritdoc/>
    public void ProductPlus(Matrix y, Matrix z, Matrix a, Matrix b, float scale = 1) =>
        Multiply(y, z, a, b, scale, ProductModes.Plus);

    /// <inheritdoc/>
    public void SumOfProducts(Matrix y, Matrix? z, Matrix a, Matrix b, Matrix c, Matrix d, float scale)
    {
        Multiply(y, z, a, b, scale: 1, z is null ? ProductModes.None : ProductModes.Plus);
        Multiply(y, null, c, d, scale, ProductModes.Accumulate);
    }

    /// <summary>
    /// How a product is cut, from its rows, columns, depth and batch; tests take other ways than
    /// the best one.
    /// </summary>
    internal Func<int, int, int, int, ProductPlan> PlanProduct { get; init; } = ProductPlan.For;

    private void Multiply(Matrix y, Matrix? z, Matrix a, Matrix b, float scale, ProductModes modes)
    {
        Debug.Assert(z is not { } added || (!added.Transposed && added.Rows == y.Rows && added.Columns == y.Columns
            && y.Batch == 1), $"{y} = {z} + {a} · {b}");
        Debug.Assert(!y.Transposed && y.Rows == a.Rows && y.Columns == b.Columns && a.Columns == b.Rows,
            $"{y} = {a} · {b}");
        Debug.Assert(y.Batch == a.Batch && y.Batch == b.Batch && (y.Batch == 1 || y.BatchStride != 0));
        var asRows = y.Batch == 1 ? IndependentRows.Of(a) : 0;
        var plan = PlanProduct(asRows > 0 ? asRows : y.Rows, y.Columns, a.Columns, y.Batch);
        var output = Output(y, z ?? y, scale, modes, plan.Mirrored, partStride: 0);
        if (plan.Tile == ProductTile.Element)
        {
            ForEachThread(y.Rows * y.Columns * y.Batch, new ElementProductKernel(
                output, new MatrixView(View(a.Buffer), a), new MatrixView(View(b.Buffer), b), y.Rows, y.Columns,
                    a.Columns));
            return;
        }
        if (plan.Parts == 1)
        {
            Launch(plan, output, y, a, b);
            return;
        }
        var count = checked(y.Rows * y.Columns * y.Batch);
        using var parts = Allocate<float>(checked(count * plan.Parts));
        var partial = new Matrix(parts, y.Rows, y.Columns, y.Columns, batch: y.Batch, batchStride: y.Rows * y.Columns);
        Launch(plan, Output(partial, partial, 1, ProductModes.None, plan.Mirrored, count), y, a, b);
        ForEachThread(count, new SumPartsKernel(output, View(parts), plan.Parts, count));
    }

    private void Launch(ProductPlan plan, in ProductOutput output, Matrix y, Matrix a, Matrix b)
    {
        var grid = new ProductGrid(plan.TilesDown(y.Rows, y.Columns), plan.TilesAcross(y.Rows, y.Columns), plan.Parts,
            plan.DepthOfPart, a.Columns);
        var groups = plan.Groups(y.Rows, y.Columns, y.Batch);
        var (down, across) = plan.Mirrored ? (b.T, a) : (a, b.T);       // both [lines, K]
        switch (plan.Tile)
        {
            case ProductTile.Large:
                Launch<LargeTile>(groups, output, down, across, grid);
                break;
            case ProductTile.Small:
                Launch<SmallTile<Width64>>(groups, output, down, across, grid);
                break;
            case ProductTile.Thin32:
                Launch<SmallTile<Width32>>(groups, output, down, across, grid);
                break;
            case ProductTile.Thin16:
                Launch<SmallTile<Width16>>(groups, output, down, across, grid);
                break;
            default:
                Launch<SmallTile<Width8>>(groups, output, down, across, grid);
                break;
        }
    }

    private void Launch<TTile>(int groups, in ProductOutput y, Matrix a, Matrix b, in ProductGrid grid)
        where TTile : struct, ITile
    {
        switch (HasFours(a), a.Transposed)
        {
            case (true, false):
                Launch<TTile, VectorSource<AlongDepth>>(groups, y, Fours<AlongDepth>(a), b, grid);
                break;
            case (true, true):
                Launch<TTile, VectorSource<AlongLines>>(groups, y, Fours<AlongLines>(a), b, grid);
                break;
            case (false, false):
                Launch<TTile, ScalarSource<AlongDepth>>(groups, y, Scalars<AlongDepth>(a), b, grid);
                break;
            default:
                Launch<TTile, ScalarSource<AlongLines>>(groups, y, Scalars<AlongLines>(a), b, grid);
                break;
        }
    }

    private void Launch<TTile, TA>(int groups, in ProductOutput y, TA a, Matrix b, in ProductGrid grid)
        where TTile : struct, ITile where TA : struct, IPanelSource
    {
        switch (HasFours(b), b.Transposed)
        {
            case (true, false):
                Launch<TTile, TA, VectorSource<AlongDepth>>(groups, y, a, Fours<AlongDepth>(b), grid);
                break;
            case (true, true):
                Launch<TTile, TA, VectorSource<AlongLines>>(groups, y, a, Fours<AlongLines>(b), grid);
                break;
            case (false, false):
                Launch<TTile, TA, ScalarSource<AlongDepth>>(groups, y, a, Scalars<AlongDepth>(b), grid);
                break;
            default:
                Launch<TTile, TA, ScalarSource<AlongLines>>(groups, y, a, Scalars<AlongLines>(b), grid);
                break;
        }
    }

    private void Launch<TTile, TA, TB>(int groups, in ProductOutput y, TA a, TB b, in ProductGrid grid)
        where TTile : struct, ITile where TA : struct, IPanelSource where TB : struct, IPanelSource =>
        ForEachGroup(groups, GroupOf.MaxThreads, new PackedProductKernel<TTile, TA, TB>(y, a, b, grid),
            TTile.GroupsAtATime);

    private static ProductOutput Output(Matrix y, Matrix z, float scale, ProductModes modes, bool mirrored,
        int partStride)
    {
        modes |= (mirrored ? ProductModes.Mirrored : 0)
            | (HasFours(y) && HasFours(z) && partStride % 4 == 0 ? ProductModes.Fours : 0);
        var addend = new ProductAddend(View(z.Buffer), View(z.Buffer).Cast<Float4>(), z.Offset, z.RowStride);
        return new(View(y.Buffer), View(y.Buffer).Cast<Float4>(), y.Offset, y.BatchStride, partStride, y.RowStride,
            y.Rows, y.Columns, scale, addend, modes);
    }

    /// <summary>
    /// Whether four neighbours can always be read by one instruction: buffers start on a boundary
    /// of 256 bytes.
    /// </summary>
    private static bool HasFours(Matrix matrix) =>
        (matrix.Offset | matrix.RowStride | matrix.BatchStride | (matrix.Transposed ? matrix.Rows : matrix.Columns)) % 4
        == 0;

    private static VectorSource<TDirection> Fours<TDirection>(Matrix lines) where TDirection : struct, IDirection =>
        new(View(lines.Buffer).Cast<Float4>(), lines.Offset / 4, lines.BatchStride / 4, lines.RowStride / 4,
            lines.Rows);

    private static ScalarSource<TDirection> Scalars<TDirection>(Matrix lines) where TDirection : struct, IDirection =>
        new(View(lines.Buffer), lines.Offset, lines.BatchStride, lines.RowStride, lines.Rows);
}
