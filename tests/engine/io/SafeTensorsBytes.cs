using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace LoraScratch.Tests.IO;

/// <summary>
/// Builds safetensors files by hand, byte for byte, sharing nothing with the product's writer.
/// </summary>
internal static class SafeTensorsBytes
{
    /// <summary>Length, header, and <paramref name="dataLength"/> bytes 0, 1, 2, ….</summary>
    public static byte[] Build(string header, int dataLength = 0) => Build(Encoding.UTF8.GetBytes(header), dataLength);

    public static byte[] Build(byte[] header, int dataLength = 0)
        => [.. BitConverter.GetBytes((ulong)header.Length), .. header,
            .. Enumerable.Range(0, dataLength).Select(i => (byte)i)];

    /// <summary>The same bytes in memory, as an embedded resource has them.</summary>
    public static UnmanagedMemoryStream InMemory(byte[] bytes) => new PinnedStream(bytes);

    /// <summary>One entry of the header, without the braces around all.</summary>
    public static string Entry(string name, string dtype, string shape, string offsets)
        => $"\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape},\"data_offsets\":{offsets}}}";

    public static string Header(params string[] entries) => "{" + string.Join(",", entries) + "}";

    /// <summary>Keeps the copy of the bytes alive that it points to.</summary>
    private sealed unsafe class PinnedStream : UnmanagedMemoryStream
    {
        private readonly byte[] pinned;

        public PinnedStream(byte[] bytes)
        {
            pinned = GC.AllocateArray<byte>(bytes.Length, pinned: true);
            bytes.CopyTo(pinned, 0);
            Initialize((byte*)Unsafe.AsPointer(ref MemoryMarshal.GetArrayDataReference(pinned)), bytes.Length,
                bytes.Length, FileAccess.Read);
        }
    }
}
