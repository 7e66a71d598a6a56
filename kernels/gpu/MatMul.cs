using System.Diagnostics;

namespace LoraScratch.Kernels.Gpu;

internal sealed partial class GpuKernels
{
    /// <summary>
    /// A second product up to this deep is added where the first is written: an element of it needs
    /// two numbers for each of its depth, and four neighbours five.
    /// </summary>
    private const int MaxDepthOfSecond = 16;

    /// <summary>
    /// More tiles than a product in parts has on the GPU that plans are made for.
    /// </summary>
    private const int LeastArrived = 1024;

    private DeviceBuffer<int>? arrived;

    /// <inheritdoc/>
    public void Product(Matrix y, Matrix a, Matrix b, float scale = 1) =>
        Multiply(y, a, b, new Extra(scale, ProductModes.None));

    /// <inheritdoc/>
    public void AddProduct(Matrix y, Matrix a, Matrix b, float scale = 1) =>
        Multiply(y, a, b, new Extra(scale, ProductModes.Accumulate));

    /// <inheritdoc/>
    public void ProductPlus(Matrix y, Matrix z, Matrix a, Matrix b, float scale = 1) =>
        Multiply(y, a, b, new Extra(scale, ProductModes.Plus, z));

    /// <inheritdoc/>
    public void SumOfProducts(Matrix y, Matrix? z, Matrix a, Matrix b, Matrix c, Matrix d, float scale)
    {
        var first = new Extra(Scale: 1, z is null ? ProductModes.None : ProductModes.Plus, z);
        if (IsCheapByElements(y, c))
        {
            Multiply(y, a, b, first with
            {
                Modes = first.Modes | ProductModes.Second,
                Second = new SecondProduct(new MatrixView(View(c.Buffer), c), new MatrixView(View(d.Buffer), d),
                    c.Columns, scale),
            });
            return;
        }
        Multiply(y, a, b, first);
        Multiply(y, c, d, new Extra(scale, ProductModes.Accumulate));
    }

    /// <summary>
    /// Whether a second product may be added where the first is written: its sums have the bits
    /// that they have by themselves, and each thread reads few numbers for them.
    /// </summary>
    private bool IsCheapByElements(Matrix y, Matrix c) => c.Columns <= MaxDepthOfSecond && Plan(y, c) is
    { Parts: 1, Tile: ProductTile.Large or ProductTile.Small or ProductTile.Element };

    /// <summary>How Y = A·… is cut.</summary>
    private ProductPlan Plan(Matrix y, Matrix a)
    {
        var asRows = y.Batch == 1 ? IndependentRows.Of(a) : 0;
        return PlanProduct(asRows > 0 ? asRows : y.Rows, y.Columns, a.Columns, y.Batch);
    }

    /// <summary>
    /// How a product is cut, from its rows, columns, depth and batch; tests take other ways than
    /// the best one.
    /// </summary>
    internal Func<int, int, int, int, ProductPlan> PlanProduct { get; init; } = ProductPlan.For;

    private void Multiply(Matrix y, Matrix a, Matrix b, in Extra extra)
    {
        Debug.Assert(extra.Z is not { } added || (!added.Transposed && added.Rows == y.Rows
            && added.Columns == y.Columns && y.Batch == 1), $"{y} = {extra.Z} + {a} · {b}");
        Debug.Assert(!y.Transposed && y.Rows == a.Rows && y.Columns == b.Columns && a.Columns == b.Rows,
            $"{y} = {a} · {b}");
        Debug.Assert(y.Batch == a.Batch && y.Batch == b.Batch && (y.Batch == 1 || y.BatchStride != 0));
        var plan = Plan(y, a);
        var output = Output(y, extra, plan.Mirrored);
        if (plan.Tile == ProductTile.Element)
        {
            ForEachThread(y.Rows * y.Columns * y.Batch, new ElementProductKernel(
                output, new MatrixView(View(a.Buffer), a), new MatrixView(View(b.Buffer), b), y.Rows, y.Columns,
                    a.Columns));
            return;
        }
        // a product in one part saves and counts nothing
        var groups = plan.Parts == 1 ? 0 : plan.Groups(y.Rows, y.Columns, y.Batch);
        var counts = Arrived(groups / plan.Parts);
        using var saved = Allocate<float>(checked(groups * plan.Rows * plan.Columns));
        Launch(plan, output, y, a, b, new ProductParts(View(saved).Cast<Float4>(), View(counts)));
    }

    /// <summary>
    /// A zero for each of so many tiles; every product leaves zeros behind. Products run one after
    /// the other, so that all use the same.
    /// </summary>
    private DeviceBuffer<int> Arrived(int tiles)
    {
        if (arrived is null || arrived.Length < tiles)
        {
            var zeros = Allocate<int>(Math.Max(tiles, LeastArrived), lasting: true);
            Upload(zeros, new int[zeros.Length]);
            arrived?.Dispose();
            arrived = zeros;
        }
        return arrived;
    }

    private void Launch(ProductPlan plan, in ProductOutput output, Matrix y, Matrix a, Matrix b,
        in ProductParts parts)
    {
        var grid = new ProductGrid(plan.TilesDown(y.Rows, y.Columns), plan.TilesAcross(y.Rows, y.Columns), plan.Parts,
            plan.DepthOfPart, a.Columns);
        var groups = plan.Groups(y.Rows, y.Columns, y.Batch);
        var (down, across) = plan.Mirrored ? (b.T, a) : (a, b.T);       // both [lines, K]
        switch (plan.Tile)
        {
            case ProductTile.Large:
                Launch<LargeTile>(groups, output, down, across, grid, parts);
                break;
            case ProductTile.Small:
                Launch<SmallTile<Width64>>(groups, output, down, across, grid, parts);
                break;
            case ProductTile.Thin32:
                Launch<SmallTile<Width32>>(groups, output, down, across, grid, parts);
                break;
            case ProductTile.Thin16:
                Launch<SmallTile<Width16>>(groups, output, down, across, grid, parts);
                break;
            default:
                Launch<SmallTile<Width8>>(groups, output, down, across, grid, parts);
                break;
        }
    }

    private void Launch<TTile>(int groups, in ProductOutput y, Matrix a, Matrix b, in ProductGrid grid,
        in ProductParts parts)
        where TTile : struct, ITile
    {
        switch (HasFours(a), a.Transposed)
        {
            case (true, false):
                Launch<TTile, VectorSource<AlongDepth>>(groups, y, Fours<AlongDepth>(a), b, grid, parts);
                break;
            case (true, true):
                Launch<TTile, VectorSource<AlongLines>>(groups, y, Fours<AlongLines>(a), b, grid, parts);
                break;
            case (false, false):
                Launch<TTile, ScalarSource<AlongDepth>>(groups, y, Scalars<AlongDepth>(a), b, grid, parts);
                break;
            default:
                Launch<TTile, ScalarSource<AlongLines>>(groups, y, Scalars<AlongLines>(a), b, grid, parts);
                break;
        }
    }

    private void Launch<TTile, TA>(int groups, in ProductOutput y, TA a, Matrix b, in ProductGrid grid,
        in ProductParts parts)
        where TTile : struct, ITile where TA : struct, IPanelSource
    {
        switch (HasFours(b), b.Transposed)
        {
            case (true, false):
                Launch<TTile, TA, VectorSource<AlongDepth>>(groups, y, a, Fours<AlongDepth>(b), grid, parts);
                break;
            case (true, true):
                Launch<TTile, TA, VectorSource<AlongLines>>(groups, y, a, Fours<AlongLines>(b), grid, parts);
                break;
            case (false, false):
                Launch<TTile, TA, ScalarSource<AlongDepth>>(groups, y, a, Scalars<AlongDepth>(b), grid, parts);
                break;
            default:
                Launch<TTile, TA, ScalarSource<AlongLines>>(groups, y, a, Scalars<AlongLines>(b), grid, parts);
                break;
        }
    }

    private void Launch<TTile, TA, TB>(int groups, in ProductOutput y, TA a, TB b, in ProductGrid grid,
        in ProductParts parts)
        where TTile : struct, ITile where TA : struct, IPanelSource where TB : struct, IPanelSource =>
        ForEachGroup(groups, GroupOf.MaxThreads, new PackedProductKernel<TTile, TA, TB>(y, a, b, grid, parts),
            TTile.GroupsAtATime);

    private static ProductOutput Output(Matrix y, in Extra extra, bool mirrored)
    {
        var z = extra.Z ?? y;
        var modes = extra.Modes | (mirrored ? ProductModes.Mirrored : 0)
            | (HasFours(y) && HasFours(z) ? ProductModes.Fours : 0);
        var addend = new ProductAddend(View(z.Buffer), View(z.Buffer).Cast<Float4>(), z.Offset, z.RowStride);
        // what is not read may be any buffer
        var second = extra.Second ?? new SecondProduct(new MatrixView(View(y.Buffer), y),
            new MatrixView(View(y.Buffer), y), depth: 0, scale: 0);
        return new(View(y.Buffer), View(y.Buffer).Cast<Float4>(), y.Offset, y.BatchStride, y.RowStride,
            y.Rows, y.Columns, extra.Scale, addend, second, modes);
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

    /// <summary>
    /// What becomes of a product A·B: scale · A·B, written or added, with more added to it.
    /// </summary>
    /// <param name="Scale">A factor on the product.</param>
    /// <param name="Modes">Whether it is added to what is there, and what is added to it.</param>
    /// <param name="Z">With <see cref="ProductModes.Plus"/>.</param>
    /// <param name="Second">With <see cref="ProductModes.Second"/>.</param>
    private readonly record struct Extra(float Scale, ProductModes Modes, Matrix? Z = null,
        SecondProduct? Second = null);
}
