using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Training;

/// <summary>
/// Where a run saves all that its rest depends on, how often, and whether it resumes from what is
/// saved there.
/// </summary>
/// <param name="Path">
/// The file; its folder must exist. It is replaced in one step: a kill at any moment leaves the
/// last state or the one before.
/// </param>
/// <param name="Every">
/// Saves before the first step, after every so many steps and after
/// every validation; 0: only when the run is cancelled.
/// </param>
/// <param name="Resume">
/// Goes on from the file, with the same options, model, data and device.
/// </param>
internal sealed record CheckpointOptions(string Path, int Every = 0, bool Resume = false)
{
    /// <summary>
    /// Refuses to begin where a run is saved that did not end, and to resume where none is; removes
    /// what a kill left half-written.
    /// </summary>
    /// <exception cref="InputException">The message says what to do.</exception>
    public void Check()
    {
        using var own = OutputLock.TakeUnlessHeld(Path);            // what is half-written may be another process's
        if (Every < 0)
        {
            throw new InputException(
                $"Option 'checkpoint-every' is {Every}; expected a number of steps, or 0 to save only on Ctrl-C.");
        }
        if (Resume && !File.Exists(Path))
        {
            throw new InputException($"{Path}: there is no saved run to resume: it has ended, or it was stopped "
                + "before its first step. Leave option 'resume' out to begin.");
        }
        if (!Resume && File.Exists(Path))
        {
            throw new InputException($"{Path}: a run is saved here that did not end. Go on with it by option "
                + "'resume', or delete the file to begin anew.");
        }
        AtomicFile.DeleteLeftovers(Path);
    }

    /// <summary>Deletes the file: the run has ended, and its result is stored.</summary>
    /// <exception cref="InputException">It cannot be deleted.</exception>
    public void Delete()
    {
        try
        {
            File.Delete(Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{Path}: the run has ended, and this file, which is of no more use, cannot be "
                + $"deleted: {e.Message}");
        }
    }
}
