using System.Threading.Channels;

namespace LoraScratch.Cli;

/// <summary>
/// Takes what a slow source, such as a pipe, has given as soon as it is there: the next may come
/// only when this is answered. Where much is there, much is taken together.
/// </summary>
internal static class Arrivals
{
    /// <summary>What has arrived each time, at least one.</summary>
    /// <param name="source">Is read on a thread of its own, somewhat ahead.</param>
    /// <param name="most">At most so many together.</param>
    /// <param name="cancellation">Ends the waiting, though the source may go on waiting.</param>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static IEnumerable<IReadOnlyList<T>> Of<T>(IEnumerable<T> source, int most, CancellationToken cancellation)
    {
        var arrived = Channel.CreateBounded<T>(2 * most);
        new Thread(Read) { IsBackground = true, Name = "input" }.Start();
        while (arrived.Reader.WaitToReadAsync(cancellation).AsTask().GetAwaiter().GetResult())
        {
            var together = new List<T>();
            while (together.Count < most && arrived.Reader.TryRead(out var one))
            {
                together.Add(one);
            }
            yield return together;
        }

        void Read()
        {
            try
            {
                foreach (var one in source)
                {
                    arrived.Writer.WriteAsync(one, cancellation).AsTask().GetAwaiter().GetResult();
                }
                arrived.Writer.Complete();
            }
            catch (Exception e)
            {
                arrived.Writer.Complete(e);                     // is thrown where what came before it has been taken
            }
        }
    }
}
