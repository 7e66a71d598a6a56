using System.Text.Encodings.Web;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Processes;
using LoraScratch.Lora.Training;

namespace LoraScratch.Lora.Experiments;

/// <summary>
/// The folder of an experiment: what it is (<see cref="IdentityName"/>), the records and weights of
/// runs that ended and the state of the one that did not (<see cref="Runs"/>), and the tables and
/// pictures made of them. Every file is written in one step, so that a kill loses the run in
/// progress at most back to its last checkpoint.
/// </summary>
internal sealed class ExperimentFolder
{
    /// <summary>Name of the file that says which experiment this is.</summary>
    public const string IdentityName = "experiment.json";

    /// <summary>Name of the folder of the single runs.</summary>
    public const string RunsName = "runs";

    private static readonly JsonSerializerOptions Json = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        WriteIndented = true,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    private ExperimentFolder(string path) => Path = path;

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>The folder of the single runs.</summary>
    public string Runs => System.IO.Path.Combine(Path, RunsName);

    /// <summary>
    /// Takes the right to write the folder, and refuses one that could not be opened for that,
    /// before anything is loaded.
    /// </summary>
    /// <param name="path">The folder; its parent must exist.</param>
    /// <param name="resume">Whether to resume the experiment in it.</param>
    /// <returns>
    /// To be disposed when the experiment ends: until then no other process writes there.
    /// </returns>
    /// <exception cref="InputException">The message says what to do.</exception>
    public static OutputLock Reserve(string path, bool resume) => OutputLock.Take(path, () => Check(path, resume));

    private static void Check(string path, bool resume)
    {
        var exists = File.Exists(System.IO.Path.Combine(path, IdentityName));
        if (resume && !exists)
        {
            throw new InputException($"{path}: there is no experiment to resume (no {IdentityName}). Leave "
                + "option 'resume' out to begin one.");
        }
        if (!resume && exists)
        {
            throw new InputException(
                $"{path}: an experiment is stored here. Resume it by option 'resume', or choose another folder.");
        }
        if (!resume)
        {
            AtomicFolder.Check(path);
        }
    }

    /// <summary>
    /// Begins an experiment in a new or empty folder, or resumes the one that is there.
    /// </summary>
    /// <exception cref="InputException">
    /// The folder is not as expected, or holds another experiment; the message names what differs.
    /// </exception>
    internal static ExperimentFolder Open(string path, bool resume, RunIdentity identity)
    {
        Check(path, resume);
        var folder = new ExperimentFolder(path);
        if (resume)
        {
            identity.RequireSame(folder.Read<RunIdentity>(IdentityName), System.IO.Path.Combine(path, IdentityName));
            AtomicFile.DeleteLeftoversIn(path);
            AtomicFile.DeleteLeftoversIn(folder.Runs);
        }
        else
        {
            AtomicFolder.Write(path, temporary =>
            {
                Directory.CreateDirectory(System.IO.Path.Combine(temporary, RunsName));
                AtomicFile.WriteText(System.IO.Path.Combine(temporary, IdentityName),
                    JsonSerializer.Serialize(identity, Json) + "\n");
            });
        }
        return folder;
    }

    /// <summary>
    /// The same for several processes that share the runs: the first begins or resumes it, the
    /// others find it, on a file system that all see.
    /// </summary>
    /// <exception cref="InputException">
    /// As above; or a process has another model or data, or does not see the folder.
    /// </exception>
    internal static ExperimentFolder Open(string path, bool resume, RunIdentity identity, ProcessGroup processes)
    {
        ProcessAgreement.Require(identity, processes);
        var folder = processes.IsFirst ? Open(path, resume, identity) : new ExperimentFolder(path);
        processes.Wait();
        if (processes.Any(!folder.Has(IdentityName)))
        {
            throw new InputException($"{path}: not every process sees this folder, which the first has made: they "
                + "share the runs of an experiment, and each writes its results there. Choose a folder on a file "
                + "system that all machines see.");
        }
        return folder;
    }

    /// <summary>Writes a text file in one step.</summary>
    public void Write(string name, string text) => AtomicFile.WriteText(System.IO.Path.Combine(Path, name), text);

    /// <summary>Writes an object as JSON in one step.</summary>
    public void Write<T>(string name, T value) => Write(name, JsonSerializer.Serialize(value, Json) + "\n");

    /// <summary>Whether there is such a file.</summary>
    public bool Has(string name) => File.Exists(System.IO.Path.Combine(Path, name));

    /// <summary>Reads an object from JSON.</summary>
    /// <exception cref="InputException">The file cannot be read, or is damaged.</exception>
    public T Read<T>(string name) => ReadFrom<T>(Path, name);

    /// <summary>The same of a folder that is not open to go on with.</summary>
    /// <exception cref="InputException">As above.</exception>
    public static T ReadFrom<T>(string folder, string name)
    {
        var path = System.IO.Path.Combine(folder, name);
        try
        {
            return JsonSerializer.Deserialize<T>(File.ReadAllBytes(path), Json)
                ?? throw new JsonException("It is null.");
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            throw new InputException(
                $"{path}: cannot be read: {(e is JsonException damage ? JsonFile.Reason(damage) : e.Message)} Delete "
                    + "it, and what it stands for is computed again.");
        }
    }

    /// <summary>Deletes a file, if it is there; one that cannot be deleted does no harm.</summary>
    public void Delete(string name)
    {
        try
        {
            File.Delete(System.IO.Path.Combine(Path, name));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
        }
    }
}
