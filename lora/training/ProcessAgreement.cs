using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Lora.Processes;

namespace LoraScratch.Lora.Training;

/// <summary>
/// Processes that train together begin with the same: model, data, options, arithmetic and, where a
/// run is resumed, its saved state.
/// </summary>
internal static class ProcessAgreement
{
    /// <summary>Refuses to begin where a process has something else than the first.</summary>
    /// <param name="identity">Of the run in this process; may be null where it is alone.</param>
    /// <param name="processes">All of them.</param>
    /// <exception cref="InputException">The message names the process and what differs.</exception>
    public static void Require(RunIdentity? identity, ProcessGroup processes)
    {
        if (!processes.HasOthers)
        {
            return;
        }
        var all = processes.Gather<byte>(JsonSerializer.SerializeToUtf8Bytes(Parts(identity!)))
            .Select(json => JsonSerializer.Deserialize<Dictionary<string, string>>(json)!).ToArray();
        for (var rank = 1; rank < all.Length; rank++)
        {
            foreach (var name in all[0].Keys.Union(all[rank].Keys))
            {
                var (first, other) =
                    (all[0].GetValueOrDefault(name, "not used"), all[rank].GetValueOrDefault(name, "not used"));
                if (first != other)
                {
                    throw new InputException($"The processes cannot train together: {name} is {first} in process 0 and "
                        + $"{other} in process {rank}. Give every process the same program, model, data and options, "
                        + "on machines with the same instruction set.");
                }
            }
        }
    }

    /// <summary>Reads a file that only the first process needs to have.</summary>
    /// <param name="path">The file.</param>
    /// <param name="processes">The others get a copy, which is deleted afterwards.</param>
    /// <param name="read">Reads it, where it is.</param>
    public static void WithFileOfFirst(string path, ProcessGroup processes, Action<string> read)
    {
        if (!processes.HasOthers)
        {
            read(path);
            return;
        }
        var bytes = processes.FromFirst(processes.IsFirst ? File.ReadAllBytes(path) : []);
        if (processes.IsFirst)
        {
            read(path);
            return;
        }
        var copy = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(copy, bytes);
            read(copy);
        }
        finally
        {
            File.Delete(copy);
        }
    }

    private static Dictionary<string, string> Parts(RunIdentity identity)
    {
        var parts = identity.Options.ToDictionary(option => $"option '{option.Key}'", option => option.Value);
        parts["the arithmetic"] = $"'{identity.Arithmetic}'";
        parts["the hash of the weights that it begins with"] = RunInputs.Short(identity.Weights);
        foreach (var (use, texts) in identity.Texts)
        {
            parts[$"the hash of the examples {RunInputs.Shown(use)}"] =
                $"{RunInputs.Short(texts.Hash)} ({texts.Count} examples)";
        }
        return parts;
    }
}
