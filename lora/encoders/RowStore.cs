using System.Runtime.InteropServices;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// Rows under numbers, written once and read often: in memory up to a limit, beyond it in a
/// temporary file up to another, and what is beyond that is not kept. The file goes with the
/// process, however that ends: on Unix it has no name from the moment it is opened.
/// </summary>
/// <param name="memoryBytes">Bytes in memory at most.</param>
/// <param name="fileBytes">Bytes in the file at most.</param>
/// <param name="type">What values are rounded to: F32, F16 or BF16.</param>
internal sealed class RowStore(long memoryBytes, long fileBytes, DType type = DType.F32) : IDisposable
{
    private readonly Dictionary<int, byte[]> inMemory = [];
    private readonly Dictionary<int, long> inFile = [];             // where they begin
    private FileStream? file;

    /// <summary>What values are rounded to.</summary>
    public DType Type => type;

    /// <summary>Bytes in memory now.</summary>
    public long MemoryBytes { get; private set; }

    /// <summary>Bytes in the file now.</summary>
    public long FileBytes { get; private set; }

    /// <summary>A quarter of the memory that the process may take.</summary>
    public static long DefaultMemory => GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / 4;

    /// <summary>
    /// Half of what is free where temporary files are; 0 where the system does not say.
    /// </summary>
    public static long DefaultFile
    {
        get
        {
            try
            {
                return new DriveInfo(Path.GetTempPath()).AvailableFreeSpace / 2;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
            {
                return 0;
            }
        }
    }

    /// <summary>Bytes that so many values take in a store of a type.</summary>
    public static long Bytes(long values, DType type) => values * type.Bits() / 8;

    /// <summary>Gives values the bits that they have when a store has kept them.</summary>
    /// <exception cref="InputException">One is beyond the largest of the type.</exception>
    public static void Round(Span<float> values, DType type)
    {
        if (type != DType.F32)
        {
            NumberConversion.ToFloat(type, Packed(values, type), values);
        }
    }

    /// <summary>Keeps rows under a number that has none yet.</summary>
    /// <returns>Whether there was room.</returns>
    /// <exception cref="InputException">A value is beyond the largest of the type.</exception>
    public bool Add(int number, ReadOnlySpan<float> values)
    {
        var bytes = Bytes(values.Length, type);
        if (MemoryBytes + bytes <= memoryBytes)
        {
            inMemory.Add(number, Packed(values, type).ToArray());
            MemoryBytes += bytes;
            return true;
        }
        if (FileBytes + bytes > fileBytes)
        {
            return false;
        }
        try
        {
            file ??= Open();
            RandomAccess.Write(file.SafeFileHandle, Packed(values, type), FileBytes);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            fileBytes = FileBytes;                                  // no room after all: what is there can be read
            return false;
        }
        inFile.Add(number, FileBytes);
        FileBytes += bytes;
        return true;
    }

    /// <summary>Reads rows.</summary>
    /// <param name="number">Under which they are kept.</param>
    /// <param name="values">As many as were added.</param>
    /// <returns>Whether there are any under this number.</returns>
    /// <exception cref="EndOfStreamException">Somebody has cut the file.</exception>
    public bool TryRead(int number, Span<float> values)
    {
        if (inMemory.TryGetValue(number, out var kept))
        {
            NumberConversion.ToFloat(type, kept, values);
            return true;
        }
        if (!inFile.TryGetValue(number, out var place))
        {
            return false;
        }
        var bytes = type == DType.F32 ? MemoryMarshal.AsBytes(values) : new byte[Bytes(values.Length, type)];
        for (var rest = bytes; rest.Length > 0;)
        {
            var read = RandomAccess.Read(file!.SafeFileHandle, rest, place);
            if (read == 0)
            {
                throw new EndOfStreamException("The temporary file of the frozen layers' output is shorter than what "
                    + "was written to it.");
            }
            rest = rest[read..];
            place += read;
        }
        if (type != DType.F32)
        {
            NumberConversion.ToFloat(type, bytes, values);
        }
        return true;
    }

    /// <summary>Forgets everything.</summary>
    public void Dispose()
    {
        file?.Dispose();
        inMemory.Clear();
        inFile.Clear();
    }

    /// <summary>The bytes of values: their own, or new ones of the type.</summary>
    private static ReadOnlySpan<byte> Packed(ReadOnlySpan<float> values, DType type)
    {
        if (type == DType.F32)
        {
            return MemoryMarshal.AsBytes(values);
        }
        var bytes = new byte[Bytes(values.Length, type)];
        return NumberConversion.FromFloat(type, values, bytes) is { } place
            ? throw new InputException(FormattableString.Invariant(
                $"The output of the frozen layers has the value {values[place]}, which is beyond the largest of ")
                + $"{type}. Take option 'FrozenPrecision' float32.")
            : bytes;
    }

    private static FileStream Open()
    {
        var path = Path.Combine(Path.GetTempPath(), $"lora-{Guid.NewGuid():N}.tmp");
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            Share = FileShare.None,
            BufferSize = 0,
            Options = OperatingSystem.IsWindows() ? FileOptions.DeleteOnClose : FileOptions.None,
        };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }
        var stream = new FileStream(path, options);
        if (!OperatingSystem.IsWindows())
        {
            File.Delete(path);                                      // an open file stays; a kill leaves nothing behind
        }
        return stream;
    }
}
