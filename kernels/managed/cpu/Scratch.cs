namespace LoraScratch.Kernels.Cpu;

/// <summary>
/// One thread's working memory, kept from call to call and grown to the largest request seen. Its
/// areas are separate, so that a kernel can call a matrix product while it holds its own: what one
/// request for an area returned is lost with the next request for the same area.
/// </summary>
internal sealed unsafe class Scratch : IDisposable
{
    private float* kernel, product, panels, shared;
    private long kernelLength, productLength, panelsLength, sharedLength;

    /// <summary>
    /// Room for <paramref name="count"/> floats, 64-byte aligned, contents undefined: attention
    /// scores and the like.
    /// </summary>
    public float* ForKernel(long count) => Grow(ref kernel, ref kernelLength, count);

    /// <summary>
    /// The area of matrix products for the packed part of B: the caller's, which all blocks read,
    /// or each thread's own.
    /// </summary>
    public float* ForProduct(long count) => Grow(ref product, ref productLength, count);

    /// <summary>
    /// The area of matrix products for what one block packs for itself: panels of A.
    /// </summary>
    public float* ForPanels(long count) => Grow(ref panels, ref panelsLength, count);

    /// <summary>
    /// The area of matrix products for rows of A that are packed once for all blocks.
    /// </summary>
    public float* ForShared(long count) => Grow(ref shared, ref sharedLength, count);

    public void Dispose()
    {
        Release(ref shared, ref sharedLength);
        Release(ref kernel, ref kernelLength);
        Release(ref product, ref productLength);
        Release(ref panels, ref panelsLength);
    }

    private static float* Grow(ref float* area, ref long length, long count)
    {
        if (count > length)
        {
            Release(ref area, ref length);
            area = (float*)NativePages.Allocate(count * sizeof(float));
            length = count;
        }
        return area;
    }

    private static void Release(ref float* area, ref long length)
    {
        NativePages.Free(area);
        area = null;
        length = 0;
    }
}
