using System.Runtime.InteropServices;
using LoraScratch.Engine;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Hub;

namespace LoraScratch.Cli;

/// <summary>
/// Models and adapters that are named on the command line, by a path or by ORG/NAME[@REVISION] on
/// the hub: where they are, downloaded if need be, once for a command. A path that is there comes
/// first.
/// </summary>
internal sealed class HubFolders
{
    /// <summary>What names a model or an adapter in the help.</summary>
    public const string HelpName = "DIR|ORG/NAME";

    // "texts/none.json" is a file that is missing, and no model
    private static readonly string[] FileEndings = [".safetensors", ".json", ".jsonl", ".txt", ".bin"];

    private readonly Dictionary<string, HubSnapshot?> found = [];

    /// <summary>Where it is: the path itself where it is none of the hub.</summary>
    /// <param name="given">As it was typed.</param>
    /// <exception cref="InputException">It is on the hub, and cannot be had.</exception>
    public string Folder(string given) => Find(given)?.Folder ?? given;

    /// <summary>The model that is meant.</summary>
    /// <param name="given">As it was typed.</param>
    /// <exception cref="InputException">As from <see cref="Folder"/>.</exception>
    public ModelSource Model(string given) => Find(given) is { } snapshot
        ? ModelSource.FromHub(snapshot.Name, snapshot.Folder) : ModelSource.Folder(given);

    /// <summary>
    /// The model that adapters are on, where no model is named: the one on the hub that they name,
    /// else the built-in one.
    /// </summary>
    /// <param name="adapters">Their folders, as they were typed.</param>
    /// <exception cref="InputException">
    /// They name several, or it cannot be had.
    /// </exception>
    public ModelSource BaseOf(params IReadOnlyList<string> adapters)
    {
        var bases = adapters.Select(Folder).Where(Directory.Exists).Select(folder => (folder,
            Base: AdapterBase.OnHub(folder))).ToList();
        if (bases.Select(entry => entry.Base).Distinct().Count() > 1)
        {
            throw new InputException("--adapter: the adapters are on different models: " + string.Join(", ",
                bases.Select(entry => $"{entry.folder} on {entry.Base?.ToString() ?? "another"}"))
                + ". Name the model with --model, or ask them one after the other.");
        }
        if (bases is not [{ Base: { } name }, ..])
        {
            return ModelSource.BuiltIn;
        }
        var key = name.ToString();
        if (!found.TryGetValue(key, out var snapshot))
        {
            Console.Error.WriteLine(Terminal.Printable($"{adapters[0]}: an adapter on {name}"));
            found[key] = snapshot = Get(name, refresh: false);
        }
        return ModelSource.FromHub(name, snapshot!.Folder);
    }

    /// <summary>Downloads what is named, and says on standard error where it is.</summary>
    /// <param name="name">What.</param>
    /// <param name="refresh">Asks the hub for the newest commit in any case.</param>
    /// <exception cref="InputException">It cannot be had.</exception>
    /// <exception cref="OperationCanceledException">Ctrl-C.</exception>
    public static HubSnapshot Get(HubName name, bool refresh)
    {
        var settings = HubSettings.FromEnvironment();
        var pull = new HubPull(settings);
        var snapshot = refresh ? null : pull.InCache(name);
        snapshot ??= Download(settings, name, refresh);
        Console.Error.WriteLine($"{name}: {(snapshot.DownloadedBytes is { } bytes ? $"downloaded {Text.Bytes(bytes)}, "
            : "from the cache, ")}commit {snapshot.ShortCommit}, in {Terminal.Printable(snapshot.Folder)}");
        if (HubFiles.Doubt(new HubCache(settings.CacheRoot), snapshot) is { } doubt)
        {
            ModelOptions.Notices([Terminal.WithFlags(doubt)]);
        }
        return snapshot;
    }

    private static HubSnapshot Download(HubSettings settings, HubName name, bool refresh)
    {
        using var stop = new CancellationTokenSource();
        using var interrupt = StopAt(PosixSignal.SIGINT, stop);
        using var termination = StopAt(PosixSignal.SIGTERM, stop);
        using var hangup = StopAt(PosixSignal.SIGHUP, stop);
        using var progress = new DownloadProgress();
        try
        {
            return new HubPull(settings, progress).Get(name, refresh, stop.Token).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException)
        {
            progress.Dispose();
            Console.Error.WriteLine($"note: {name}: what has been downloaded so far is kept, and the next try goes on "
                + "from there.");
            throw;
        }
    }

    /// <summary>
    /// Not every command listens to the signal while it reads its options, and a download takes
    /// long.
    /// </summary>
    private static PosixSignalRegistration StopAt(PosixSignal signal, CancellationTokenSource stop) =>
        PosixSignalRegistration.Create(signal, context =>
        {
            context.Cancel = true;
            stop.Cancel();
        });

    private HubSnapshot? Find(string given)
    {
        if (!found.TryGetValue(given, out var snapshot))
        {
            found[given] = snapshot = Read(given);
        }
        return snapshot;
    }

    private static HubSnapshot? Read(string given)
    {
        if (HubName.Parse(given) is not { } name
            || Array.Exists(FileEndings, ending => given.EndsWith(ending, StringComparison.OrdinalIgnoreCase)))
        {
            return null;
        }
        var inCache = Directory.Exists(HubCache.Default.FolderOf(name.Name));
        if (Path.Exists(given))
        {
            if (inCache)
            {
                ModelOptions.Notices([$"{given}: is a folder here, and is taken. The model of that name in the Hugging "
                    + "Face cache is not."]);
            }
            return null;
        }
        if (!name.HasOwner && !inCache)
        {
            return null;                                        // a bare word is rather a folder that is missing
        }
        try
        {
            return Get(name, refresh: false);
        }
        catch (InputException e)
        {
            throw new InputException($"{given}: there is no such folder, and the hub does not give it. {e.Message}");
        }
    }
}
