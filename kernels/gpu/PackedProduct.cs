using ILGPU;

namespace LoraScratch.Kernels.Gpu;

/// <summary>How a product is cut into the work of groups.</summary>
/// <param name="tilesDown">Tiles below each other.</param>
/// <param name="tilesAcross">Tiles side by side.</param>
/// <param name="parts">Into how many parts the depth is cut.</param>
/// <param name="depthOfPart">Their depth.</param>
/// <param name="depth">The whole depth, K.</param>
internal readonly struct ProductGrid(int tilesDown, int tilesAcross, int parts, int depthOfPart, int depth)
{
    /// <summary>
    /// Groups run roughly in the order of their numbers. Those of one wave should share rows of A
    /// and columns of B in the second-level cache, so they go down a band of so many tiles and then
    /// across, instead of across the whole of Y.
    /// </summary>
    private const int Band = 8;

    /// <summary>Into how many parts the depth is cut.</summary>
    public readonly int Parts = parts;

    public int Row(int group)
    {
        var (band, inBand) = (Tile(group) / (Band * tilesAcross), Tile(group) % (Band * tilesAcross));
        return band * Band + inBand % Height(band);
    }

    public int Column(int group) => Tile(group) % (Band * tilesAcross) / Height(Tile(group) / (Band * tilesAcross));

    public int Part(int group) => group / (tilesDown * tilesAcross) % Parts;

    public int Batch(int group) => group / (tilesDown * tilesAcross) / Parts;

    /// <summary>The number of a tile among those of all matrices of the batch.</summary>
    public int TileOfAll(int group) => Batch(group) * tilesDown * tilesAcross + Tile(group);

    public int Start(int part) => part * depthOfPart;

    public int End(int part) => depth - Start(part) < depthOfPart ? depth : Start(part) + depthOfPart;

    private int Tile(int group) => group % (tilesDown * tilesAcross);

    private int Height(int band) => tilesDown - band * Band < Band ? tilesDown - band * Band : Band;
}

/// <summary>
/// Y = A·B, a tile for each group of 256 threads. Panels of A and B go to shared memory, from where
/// each thread multiplies its rows with its columns. While it does, the next panels are on their
/// way to its registers; they are written to a second pair of panels, so that one barrier for each
/// panel is enough: what was read before the barrier is overwritten after it.
/// <para>
/// What limits it, counted and not measured, on a processor that can do 128 multiply-adds and read
/// 128 bytes of shared memory in a cycle. A warp needs for one depth of the 128 × 128 tile 64 · 32
/// multiply-adds, 16 cycles, and four loads: two of A (4 different Float4s, the same for 8 threads)
/// and two of B (8 different ones): 4 cycles if equal addresses are served together, and no more
/// than 16 if each quarter of a warp is served by itself. So the multipliers are the limit; two
/// depths have 128 multiply-adds, 8 loads and, if the driver's compiler makes the addresses part of
/// the loads, about ten other instructions. With the 64 × 64 tile it is 4 cycles against 2 to 8, so
/// the limit may be shared memory. From the second-level cache come 2 · 128 · 4 bytes for 2 · 128 ·
/// 128 operations, 32 for each byte; 16 with the 64 × 64 tile, and less than 4 with 64 × 8, whose
/// limit is reading the large factor.
/// </para>
/// <para>
/// Registers of a thread of the large tile: 64 for its elements, 32 for what it multiplies (two
/// depths, of which ILGPU moves all loads to their first use, so that a loop over more than two
/// would need more), 8 for the next panels, about 20 for places and bounds; 128 are the most that
/// let two groups run on a processor. Without that bound ptxas 12.4 takes 138 to 149 for sm_80 and
/// sm_90, most of them where the tile is written, with it 127 to 128 and no local memory.
/// </para>
/// </summary>
/// <typeparam name="TTile">The tile.</typeparam>
/// <typeparam name="TA">How A is read.</typeparam>
/// <typeparam name="TB">How B is read.</typeparam>
/// <param name="y">[M, N]</param>
/// <param name="a">The rows of A as lines.</param>
/// <param name="b">The columns of B as lines.</param>
/// <param name="grid">Which tile is whose.</param>
/// <param name="parts">How the parts of the depth come together.</param>
internal readonly struct PackedProductKernel<TTile, TA, TB>(ProductOutput y, TA a, TB b, ProductGrid grid,
    ProductParts parts) : IGroupKernel
    where TTile : struct, ITile where TA : struct, IPanelSource where TB : struct, IPanelSource
{
    /// <summary>
    /// Float4s of shared memory: the second place of the panels of the 64 × 64 tile, which are the
    /// largest, ends at 25 KiB.
    /// </summary>
    private const int Shared = (PanelCarrier<TA>.OtherPlace + 16 * (68 + 68)) / 4;

    private static int PitchA => PanelCarrier<TA>.Pitch(TTile.Rows) / 4;
    private static int PitchB => PanelCarrier<TB>.Pitch(TTile.Columns) / 4;

    public void Run(int group)
    {
        var panels = SharedMemory.Allocate<Float4>(Shared);
        var thread = Group.IdxX;
        var (row, column) = (grid.Row(group) * TTile.Rows, grid.Column(group) * TTile.Columns);
        var (batch, part) = (grid.Batch(group), grid.Part(group));
        var (start, end) = (grid.Start(part), grid.End(part));
        var slice = thread * TTile.Slices / GroupOf.MaxThreads;
        var sliceStart = slice * (TTile.Depth / TTile.Slices);
        var panelB = TTile.Depth * PitchA;

        var carrierA = new PanelCarrier<TA>(a, thread, TTile.Rows, TTile.Depth, batch, row, start, end, 0);
        var carrierB = new PanelCarrier<TB>(b, thread, TTile.Columns, TTile.Depth, batch, column, start, end,
            panelB * 4);
        var placeA = sliceStart * PitchA + TTile.Row(thread) / 4;
        var placeB = sliceStart * PitchB + TTile.Column(thread) / 4 + panelB;
        var tile = default(TTile);
        carrierA.Write(panels, carrierA.Read());
        carrierB.Write(panels, carrierB.Read());
        Group.Barrier();
        for (var k = start; k < end; k += TTile.Depth)
        {
            var nextA = carrierA.Read();                    // zeros after the last
            var nextB = carrierB.Read();
            var (fromA, fromB) = (placeA, placeB);
            for (var step = 0; step < TTile.Depth / TTile.Slices; step += 2)
            {
                tile.MultiplyAdd(panels, fromA, fromB);
                tile.MultiplyAdd(panels, fromA + PitchA, fromB + PitchB);
                fromA += 2 * PitchA;
                fromB += 2 * PitchB;
            }
            carrierA.Write(panels, nextA);
            carrierB.Write(panels, nextB);
            placeA ^= PanelCarrier<TA>.OtherPlace / 4;
            placeB ^= PanelCarrier<TB>.OtherPlace / 4;
            Group.Barrier();
        }
        tile.SumSlices(panels, thread);
        if (grid.Parts > 1 && !parts.Sum(ref tile, grid, group, thread))
        {
            return;
        }
        if (slice == 0)
        {
            tile.Write(y, y.First(batch), row + TTile.Row(thread), column + TTile.Column(thread));
        }
    }
}
