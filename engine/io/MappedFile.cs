using System.IO.MemoryMappedFiles;
using Microsoft.Win32.SafeHandles;

namespace LoraScratch.Engine.IO;

/// <summary>The bytes of a file, mapped into memory for reading.</summary>
internal sealed unsafe class MappedFile : IDisposable
{
    private readonly MemoryMappedFile? map;             // null for an empty file, which cannot be mapped
    private readonly MemoryMappedViewAccessor? view;
    private bool disposed;

    /// <param name="path">The file's name, for messages.</param>
    /// <param name="handle">The open file; may be closed afterwards.</param>
    /// <exception cref="InputException">The file becomes shorter meanwhile.</exception>
    public MappedFile(string path, SafeFileHandle handle)
    {
        Length = RandomAccess.GetLength(handle);
        if (Length == 0)
        {
            return;
        }
        try
        {
            map = MemoryMappedFile.CreateFromFile(handle, null, Length, MemoryMappedFileAccess.Read,
                HandleInheritability.None, leaveOpen: true);
        }
        catch (ArgumentException)                       // the BCL's word for a length that the file no longer has
        {
            throw new InputException(
                $"{path}: the file was cut while it was opened. Wait until it is written, then try again.");
        }
        try
        {
            view = map.CreateViewAccessor(0, Length, MemoryMappedFileAccess.Read);
            byte* start = null;
            view.SafeMemoryMappedViewHandle.AcquirePointer(ref start);
            Start = start + view.PointerOffset;
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The first byte; null for an empty file.</summary>
    public byte* Start { get; }

    /// <summary>All bytes.</summary>
    public long Length { get; }

    public void Dispose()
    {
        if (disposed)
        {
            return;
        }
        disposed = true;
        if (Start is not null)
        {
            view!.SafeMemoryMappedViewHandle.ReleasePointer();
        }
        view?.Dispose();
        map?.Dispose();
    }
}
