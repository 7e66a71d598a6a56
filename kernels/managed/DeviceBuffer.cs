namespace LoraScratch.Kernels;

/// <summary>
/// A block of device memory lent by a backend's pool: <see cref="Length"/> elements of
/// <typeparamref name="T"/>, aligned to 64 bytes or more. Its contents are undefined until
/// something is written. <see cref="Dispose"/> gives the block back to the pool; a buffer that is
/// never disposed goes back when the garbage collector finds it.
/// </summary>
/// <typeparam name="T">
/// float for values, int for token ids, labels and row offsets, byte for packed weights.
/// </typeparam>
internal abstract class DeviceBuffer<T> : IDisposable where T : unmanaged
{
    /// <summary>A buffer of <paramref name="length"/> elements.</summary>
    protected DeviceBuffer(int length) => Length = length;

    /// <summary>Number of elements, as asked for (the block behind it may be larger).</summary>
    public int Length { get; }

    /// <summary>Gives the block back to its pool. A second call does nothing.</summary>
    public abstract void Dispose();
}
