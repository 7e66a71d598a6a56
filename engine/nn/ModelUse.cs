namespace LoraScratch.Engine.NN;

/// <summary>
/// What is under way on a model: any number of threads may read it at a time (predict, evaluate),
/// or one may change it (train it, attach, merge or detach an adapter). What does not go together
/// is refused and not waited for: whoever trains a model while it serves has to decide himself
/// which of the two he wants. All modules of a model share one.
/// </summary>
internal sealed class ModelUse
{
    private readonly Lock gate = new();
    private int readers;
    private string reading = "";            // what the first of them does
    private string? change;                 // null while nobody changes the model
    private bool isTraining;
    private int changingThread, depth, switchingThread;

    /// <summary>Begins to read; the thread that changes the model may read it meanwhile.</summary>
    /// <param name="activity">As a noun, for messages: "Prediction".</param>
    /// <returns>Ends it, on any thread.</returns>
    /// <exception cref="InvalidOperationException">Another thread changes the model.</exception>
    public IDisposable Read(string activity)
    {
        lock (gate)
        {
            if (change is not null && changingThread != Environment.CurrentManagedThreadId)
            {
                throw Refused(activity, change);
            }
            if (readers++ == 0)
            {
                reading = activity;
            }
            return new Activity(() => readers--, gate);
        }
    }

    /// <summary>
    /// Begins to train. Nothing else may change the model meanwhile, not even on this thread.
    /// </summary>
    /// <returns>Ends it.</returns>
    /// <exception cref="InvalidOperationException">The model is read or changed.</exception>
    public IDisposable Train()
    {
        lock (gate)
        {
            return Begin("Training", training: true);
        }
    }

    /// <summary>
    /// Begins to change the model; within it, this thread may begin further changes.
    /// </summary>
    /// <param name="activity">As a noun, for messages: "Merging an adapter".</param>
    /// <returns>Ends it.</returns>
    /// <exception cref="InvalidOperationException">
    /// The model is read, trained, or changed on another thread.
    /// </exception>
    public IDisposable Change(string activity)
    {
        lock (gate)
        {
            return Begin(activity, training: false);
        }
    }

    /// <summary>
    /// Begins to exchange adapters while the model is read, by those that agree among themselves:
    /// whoever reads it meanwhile computes in turns on its device, this is done in such a turn, and
    /// everybody sees in his own turn to the adapter that he wants. Within it, this thread may
    /// change the model.
    /// </summary>
    /// <returns>Ends it, on this thread.</returns>
    /// <exception cref="InvalidOperationException">The model is trained or changed.</exception>
    public IDisposable Switch()
    {
        lock (gate)
        {
            if (change is not null)
            {
                throw Refused("Switching adapters", change);
            }
            switchingThread = Environment.CurrentManagedThreadId;
            return new Activity(() => switchingThread = 0, gate);
        }
    }

    private Activity Begin(string activity, bool training)
    {
        if (!training && switchingThread == Environment.CurrentManagedThreadId)
        {
            return new Activity(() => { }, gate);
        }
        var isNested = !training && !isTraining && changingThread == Environment.CurrentManagedThreadId;
        if (change is not null && !isNested)
        {
            throw Refused(activity, change);
        }
        if (readers > 0)
        {
            throw Refused(activity, reading, " (a loop over its results that has not ended counts)");
        }
        if (change is null)
        {
            (change, isTraining, changingThread) = (activity, training, Environment.CurrentManagedThreadId);
        }
        depth++;
        return new Activity(EndChange, gate);
    }

    private void EndChange()
    {
        if (--depth == 0)
        {
            (change, isTraining) = (null, false);
        }
    }

    private static InvalidOperationException Refused(string activity, string other, string remark = "") =>
        new($"{activity} is not possible while {char.ToLowerInvariant(other[0])}{other[1..]} is under way on the same "
            + $"model{remark}. Wait until that has ended, or load the model a second time.");

    private sealed class Activity(Action end, Lock gate) : IDisposable
    {
        private bool ended;

        public void Dispose()
        {
            lock (gate)
            {
                if (!ended)
                {
                    ended = true;
                    end();
                }
            }
        }
    }
}
