using System.Runtime.ExceptionServices;

namespace LoraScratch.Lora.Classification;

/// <summary>
/// Lets one of many callers do the work of all that wait: while it computes, the others sleep, and
/// it goes on with what they asked for before it takes its own answer away. So the device is never
/// handed from thread to thread between two small pieces of work, which would cost a twentieth of
/// them, and the threads of the device stay awake. A caller who is alone pays an uncontended lock.
/// </summary>
internal sealed class CallerQueue
{
    /// <summary>
    /// How much a caller does for others before one of them takes over. They are woken together at
    /// the end: each would take a core from the work under way.
    /// </summary>
    private const int MaxForOthers = 8;

    private readonly Lock gate = new();
    private readonly Queue<Request> waiting = [];
    private bool isBusy;

    /// <summary>Does the work, on this thread or on that of another caller.</summary>
    /// <param name="work">Must not depend on the thread that runs it.</param>
    /// <returns>What the work returned; what it threw is thrown here.</returns>
    public T Run<T>(Func<T> work)
    {
        Request<T>? request = null;
        lock (gate)
        {
            if (isBusy)
            {
                request = new Request<T>(work);
                waiting.Enqueue(request);
            }
            isBusy = true;
        }
        if (request is not null && request.WaitUntilDone())
        {
            return request.Result;
        }
        try
        {
            return work();
        }
        finally
        {
            ServeOthers();
        }
    }

    private void ServeOthers()
    {
        var done = new List<Request>();
        while (Next() is { } request)
        {
            if (done.Count == MaxForOthers)
            {
                request.TakeOver();
                break;
            }
            request.Run();
            done.Add(request);
        }
        done.ForEach(request => request.Wake());
    }

    private Request? Next()
    {
        lock (gate)
        {
            isBusy = waiting.TryDequeue(out var next);
            return next;
        }
    }

    private abstract class Request
    {
        private bool isDone, isAwake;

        public void Run()
        {
            Compute();
            isDone = true;
        }

        /// <summary>Wakes the caller, who does his own work and that of the others.</summary>
        public void TakeOver() => Wake();

        /// <returns>False where the caller is to take over.</returns>
        public bool WaitUntilDone()
        {
            lock (this)
            {
                while (!isAwake)
                {
                    Monitor.Wait(this);             // asleep at once: whoever spins takes time from the work
                }
            }
            return isDone;
        }

        public void Wake()
        {
            lock (this)
            {
                isAwake = true;
                Monitor.Pulse(this);
            }
        }

        protected abstract void Compute();
    }

    private sealed class Request<T>(Func<T> work) : Request
    {
        private T? result;
        private ExceptionDispatchInfo? failure;

        public T Result
        {
            get
            {
                failure?.Throw();
                return result!;
            }
        }

        protected override void Compute()
        {
            try
            {
                result = work();
            }
            catch (Exception e)
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        }
    }
}
