using LoraScratch.Engine;

namespace LoraScratch.Cli;

/// <summary>Where the result of a training goes.</summary>
internal static class ResultFolder
{
    /// <summary>
    /// Saves the result; where the disk became full or read-only meanwhile, in a temporary folder,
    /// for hours of work are not to be lost.
    /// </summary>
    /// <exception cref="InputException">
    /// It could not be saved where it was to go; the message says where it is, if anywhere.
    /// </exception>
    public static void Save(string folder, Action<string> save)
    {
        try
        {
            save(folder);
        }
        catch (InputException e)
        {
            var rescued = Path.Combine(Path.GetTempPath(), $"lora-{Path.GetRandomFileName()}");
            try
            {
                save(rescued);
            }
            catch (InputException)
            {
                throw e;
            }
            throw new InputException(
                $"{e.Message} The trained result is in {rescued} instead; move it from there.");
        }
    }
}
