namespace LoraScratch.Engine.IO;

/// <summary>
/// Holds the claims of a header against each other and against the file: sorted by their bytes, the
/// tensors must cover the data from its first byte to its last without a hole or an overlap, and
/// every shape must fill its bytes. A file that passes has no byte that two tensors share and none
/// that nobody owns.
/// </summary>
internal static class SafeTensorsLayout
{
    /// <param name="file">The file's name, for messages.</param>
    /// <param name="tensors">In the order of the header; sorted by their data here.</param>
    /// <param name="dataLength">Bytes of the file after the header.</param>
    /// <exception cref="InputException">
    /// Hole, overlap, wrong size, truncated data, or bytes after the last tensor.
    /// </exception>
    internal static OrderedDictionary<string, TensorInfo> Check(string file, List<TensorInfo> tensors, long dataLength)
    {
        var sorted = new OrderedDictionary<string, TensorInfo>(tensors.Count);
        long end = 0;
        var previous = "";
        foreach (var tensor in tensors.OrderBy(tensor => tensor.Begin).ThenBy(tensor => tensor.End))
        {
            CheckPlace(file, tensor, end, previous);
            CheckSize(file, tensor);
            (end, previous) = (tensor.End, tensor.Name);
            sorted.Add(tensor.Name, tensor);
        }
        if (end > dataLength)
        {
            throw new InputException(
                $"{file}: the file is truncated: the header promises {end} bytes of data, the file has {dataLength}. "
                + "Copy or download it again.");
        }
        if (end < dataLength)
        {
            throw new InputException($"{file}: {dataLength - end} bytes follow the last tensor: the header promises "
                + $"{end} bytes of data, the file "
                + $"has {dataLength}. A longer file was overwritten without being cut, or something was appended; "
                + "write the file again.");
        }
        return sorted;
    }

    private static void CheckPlace(string file, TensorInfo tensor, long end, string previous)
    {
        var (begin, after) = (tensor.Begin, tensor.End);
        if (after < begin)
        {
            throw SafeTensorsHeader.Refuse(file, tensor.Name, $"data_offsets [{begin}, {after}] end before they begin");
        }
        if (begin < end)
        {
            throw SafeTensorsHeader.Refuse(file, tensor.Name,
                $"data_offsets [{begin}, {after}] overlap tensor {Describe.Name(previous)}, which "
                + $"ends at {end}; every byte must belong to one tensor");
        }
        if (begin > end)
        {
            throw SafeTensorsHeader.Refuse(file, tensor.Name,
                $"data_offsets [{begin}, {after}] leave a hole of {begin - end} bytes: expected to "
                + "begin at "
                + (end == 0 ? "0, the first byte" : $"{end}, where tensor {Describe.Name(previous)} ends"));
        }
    }

    private static void CheckSize(string file, TensorInfo tensor)
    {
        var claim = $"shape {Describe.Shape(tensor.Shape)} of {tensor.DType}";
        if (tensor.DType.TotalBits([.. tensor.Shape]) is not { } bits)
        {
            throw SafeTensorsHeader.Refuse(file, tensor.Name,
                $"{claim} overflows: it takes more bits than 64-bit numbers count");
        }
        if (bits % 8 != 0)
        {
            throw SafeTensorsHeader.Refuse(file, tensor.Name,
                $"{claim} takes {bits} bits, which is no whole number of bytes");
        }
        if (bits / 8 != (ulong)tensor.ByteLength)
        {
            throw SafeTensorsHeader.Refuse(file, tensor.Name,
                $"{claim} takes {bits / 8} bytes, data_offsets [{tensor.Begin}, {tensor.End}] hold "
                + $"{tensor.ByteLength}");
        }
    }
}
