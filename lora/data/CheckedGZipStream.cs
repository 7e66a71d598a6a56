using System.IO.Compression;

namespace LoraScratch.Lora.Data;

/// <summary>
/// Decompresses gzip data, of one member or several, and notices when its end is missing, which
/// <see cref="GZipStream"/> takes for an ordinary end. A small member of our own is put behind the
/// data: it comes out whole, as the last bytes, only if the decoder was then between two members.
/// </summary>
internal sealed class CheckedGZipStream : Stream
{
    private static readonly byte[] Seal = "end of gzip data"u8.ToArray();
    private static readonly byte[] SealMember = Compress(Seal);

    private readonly Stream source;
    private readonly GZipStream decoder;
    private readonly byte[] buffer = new byte[1 << 16];
    // buffer[start..end] is decoded; its last Seal.Length bytes are held back
    private int start, end;
    private bool atEnd;

    /// <param name="source">The compressed bytes; closed with this stream.</param>
    public CheckedGZipStream(Stream source)
    {
        this.source = source;
        decoder = new GZipStream(new SealedSource(source), CompressionMode.Decompress);
    }

    public override bool CanRead => true;
    public override bool CanSeek => false;
    public override bool CanWrite => false;
    public override long Length => throw new NotSupportedException();
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(byte[] bytes, int offset, int count) => Read(bytes.AsSpan(offset, count));

    /// <exception cref="InvalidDataException">The data is damaged, or ends early.</exception>
    public override int Read(Span<byte> bytes)
    {
        if (bytes.IsEmpty)
        {
            return 0;
        }
        while (!atEnd && end - start <= Seal.Length)
        {
            Fill();
        }
        var count = Math.Min(bytes.Length, end - start - Seal.Length);
        buffer.AsSpan(start, count).CopyTo(bytes);
        start += count;
        return count;
    }

    public override void Flush() { }
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] bytes, int offset, int count) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            decoder.Dispose();
            source.Dispose();
        }
        base.Dispose(disposing);
    }

    private void Fill()
    {
        buffer.AsSpan(start, end - start).CopyTo(buffer);
        (start, end) = (0, end - start);
        var read = decoder.Read(buffer.AsSpan(end));
        end += read;
        atEnd = read == 0;
        if (atEnd && !buffer.AsSpan(0, end).SequenceEqual(Seal))
        {
            throw new InvalidDataException("The gzip data ends early.");
        }
    }

    private static byte[] Compress(byte[] bytes)
    {
        var compressed = new MemoryStream();
        using (var encoder = new GZipStream(compressed, CompressionLevel.NoCompression, leaveOpen: true))
        {
            encoder.Write(bytes);
        }
        return compressed.ToArray();
    }

    // The source, then the seal. An empty file is no gzip data: there the seal is left out, and so missed.
    private sealed class SealedSource(Stream source) : Stream
    {
        private int sealPosition;
        private bool any, sourceEnded;

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override int Read(byte[] bytes, int offset, int count) => Read(bytes.AsSpan(offset, count));

        public override int Read(Span<byte> bytes)
        {
            var read = sourceEnded ? 0 : source.Read(bytes);
            any |= read > 0;
            sourceEnded |= read == 0 && !bytes.IsEmpty;
            if (!sourceEnded || !any)
            {
                return read;
            }
            var count = Math.Min(bytes.Length, SealMember.Length - sealPosition);
            SealMember.AsSpan(sealPosition, count).CopyTo(bytes);
            sealPosition += count;
            return count;
        }

        public override void Flush() { }
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] bytes, int offset, int count) => throw new NotSupportedException();
    }
}
