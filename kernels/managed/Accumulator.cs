namespace LoraScratch.Kernels;

/// <summary>
/// Where a kernel named Add… adds. Of a sum that holds nothing yet it need not be told that it is
/// 0: the kernel writes its share there, and nobody has to fill the buffer with zeros first and
/// read them back.
/// </summary>
/// <param name="Buffer">The sum.</param>
/// <param name="IsEmpty">
/// True: the contents are undefined and count as 0. After the kernel every element is defined.
/// </param>
internal readonly record struct Accumulator(DeviceBuffer<float> Buffer, bool IsEmpty = false)
{
    /// <summary>Number of elements.</summary>
    public int Length => Buffer.Length;

    /// <summary>A buffer with contents, to be added to.</summary>
    public static implicit operator Accumulator(DeviceBuffer<float> buffer) => new(buffer);
}
