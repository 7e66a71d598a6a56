namespace LoraScratch.Cli;

/// <summary>
/// An output to a terminal that may be closed while a command runs: from then on every write
/// fails, and none may keep the command from saving its work. Files and pipes are written without
/// it: there a failure, such as a full disk, must be told.
/// </summary>
internal sealed class TerminalStream(Stream terminal) : Stream
{
    /// <summary>Puts it under standard output and error, where they are a terminal.</summary>
    public static void Install()
    {
        if (OperatingSystem.IsWindows())
        {
            return;                                             // closing the window ends the process there
        }
        if (!Console.IsOutputRedirected)
        {
            Console.SetOut(Writer(Console.OpenStandardOutput()));
        }
        if (!Console.IsErrorRedirected)
        {
            Console.SetError(Writer(Console.OpenStandardError()));
        }
    }

    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        try
        {
            terminal.Write(buffer);
        }
        catch (IOException)
        {
            // Nobody is there to read it.
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    private static StreamWriter Writer(Stream terminal) =>
        new TerminalWriter(new TerminalStream(terminal), () => Console.WindowWidth) { AutoFlush = true };
}
