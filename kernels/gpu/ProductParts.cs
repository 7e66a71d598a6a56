using ILGPU;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// How the parts of a product's depth come together: every group saves its tile, and the one that
/// comes last adds up all parts of its tile in their order, so that the same product has the same
/// bits whoever comes last. Nobody waits for anybody, and no second launch is needed.
/// </summary>
/// <param name="saved">[tiles of all matrices, parts, a tile's Float4s]</param>
/// <param name="arrived">[tiles of all matrices] zeros, before and after the product.</param>
internal readonly struct ProductParts(ArrayView<Float4> saved, ArrayView<int> arrived)
{
    /// <summary>
    /// Saves this group's tile; in the group that is the last with this tile, the tile becomes the
    /// sum of all parts.
    /// </summary>
    /// <returns>Whether this group is the last: the same in all of its threads.</returns>
    public bool Sum<TTile>(ref TTile tile, in ProductGrid grid, int group, int thread) where TTile : struct, ITile
    {
        var isLast = SharedMemory.Allocate<int>(1);
        var number = grid.TileOfAll(group);
        var size = TTile.Rows * TTile.Columns / 4;
        var first = number * grid.Parts * size + thread;
        if (thread < TTile.Holders)
        {
            tile.Save(saved, first + grid.Part(group) * size);
        }
        // Every thread comes by the fences, which are barriers on OpenCL. The one that counts has all saves of its
        // group behind it, and those of all groups before it once it has counted.
        Group.Barrier();
        MemoryFence.DeviceLevel();
        if (thread == 0)
        {
            isLast[0] = Atomic.Add(ref arrived[number], 1) == grid.Parts - 1 ? 1 : 0;
        }
        MemoryFence.DeviceLevel();
        Group.Barrier();
        if (isLast[0] == 0)
        {
            return false;
        }
        if (thread == 0)
        {
            arrived[number] = 0;
        }
        if (thread < TTile.Holders)
        {
            tile = default;
            for (var part = 0; part < grid.Parts; part++)
            {
                tile.AddSaved(saved, first + part * size);
            }
        }
        return true;
    }
}
