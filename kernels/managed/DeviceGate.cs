namespace LoraScratch.Kernels;

/// <summary>
/// Lets one thread at a time work on a device. Entering is reentrant, so that a thread may hold its
/// turn over many kernels (<see cref="IBackend.TakeTurn"/>), each of which enters again.
/// </summary>
/// <param name="makeCurrent">
/// Makes the device the one that the calling thread talks to, where a driver wants to be told; null
/// where nothing is to be done.
/// </param>
internal sealed class DeviceGate(Action? makeCurrent = null)
{
    // Not a fair lock, but one that hands over to a thread that has waited for a tenth of a second: a thread that
    // computes one batch after the other keeps its caches warm, and nobody starves.
    private readonly Lock gate = new();

    /// <summary>Waits for the thread's turn.</summary>
    public DeviceTurn Enter()
    {
        gate.Enter();
        return Entered();
    }

    /// <summary>
    /// Enters where no other thread has its turn; <see cref="Entered"/> makes a turn of it,
    /// <see cref="Exit"/> ends it.
    /// </summary>
    /// <param name="patience">How long to wait for another thread's turn to end.</param>
    public bool TryEnter(TimeSpan patience = default) => gate.TryEnter(patience);

    /// <summary>The turn of a thread that has entered.</summary>
    public DeviceTurn Entered()
    {
        try
        {
            makeCurrent?.Invoke();
            return new DeviceTurn(this);
        }
        catch
        {
            gate.Exit();
            throw;
        }
    }

    /// <summary>Lets the next thread in.</summary>
    public void Exit() => gate.Exit();
}

/// <summary>
/// A thread's turn on a device, from <see cref="IBackend.TakeTurn"/> to its end: <c>using var turn
/// = …</c>.
/// </summary>
internal readonly ref struct DeviceTurn : IDisposable
{
    private readonly DeviceGate? gate;

    internal DeviceTurn(DeviceGate gate) => this.gate = gate;

    /// <summary>Lets other threads compute. On the thread that took the turn.</summary>
    public void Dispose() => gate?.Exit();
}
