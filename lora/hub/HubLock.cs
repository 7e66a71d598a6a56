namespace LoraScratch.Lora.Hub;

/// <summary>
/// The right to download a file, which one process has at a time, Python's among them: a lock of
/// the operating system on a file in .locks. It ends with its process; the file stays, as Python
/// leaves it.
/// </summary>
internal static class HubLock
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    /// <summary>Takes it, as soon as whoever has it gives it back.</summary>
    /// <param name="path">The lock's file, in a folder that exists.</param>
    /// <param name="waiting">Is told once that there is somebody to wait for.</param>
    /// <param name="cancellation">Ends the waiting.</param>
    /// <returns>To be disposed when the download has ended.</returns>
    public static async Task<IDisposable> Take(string path, Action waiting, CancellationToken cancellation)
    {
        var isTold = false;
        while (true)
        {
            if (TryTake(path) is { } taken)
            {
                return taken;
            }
            if (!isTold)
            {
                isTold = true;
                waiting();
            }
            await Task.Delay(Pause, cancellation);
        }
    }

    /// <summary>
    /// Takes it; null where another process, or another download of this one, has it.
    /// </summary>
    public static IDisposable? TryTake(string path)
    {
        HubCache.RequireNoLink(path);
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, bufferSize: 1);
        }
        catch (IOException e) when (IsLocked(e))
        {
            return null;
        }
    }

    /// <summary>
    /// EWOULDBLOCK of Linux and of macOS; Windows' violations of sharing and locks.
    /// </summary>
    private static bool IsLocked(IOException e) => OperatingSystem.IsWindows()
        ? (e.HResult & 0xFFFF) is 32 or 33 : e.HResult is 11 or 35;
}
