using System.Runtime.InteropServices;
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
    private const int PieceOfFile = 1 << 24;

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
        var copy = processes.IsFirst ? path : Path.GetTempFileName();
        try
        {
            Spread(copy, processes);
            read(copy);
        }
        finally
        {
            if (!processes.IsFirst)
            {
                File.Delete(copy);
            }
        }
    }

    /// <summary>Every process writes what the first reads, piece by piece.</summary>
    private static void Spread(string path, ProcessGroup processes)
    {
        using var file = new FileStream(path, processes.IsFirst ? FileMode.Open : FileMode.Create,
            processes.IsFirst ? FileAccess.Read : FileAccess.Write);
        long[] length = [processes.IsFirst ? file.Length : 0];
        processes.Broadcast(MemoryMarshal.AsBytes(length.AsSpan()));
        var piece = new byte[Math.Min(length[0], PieceOfFile)];
        for (var left = length[0]; left > 0; left -= piece.Length)
        {
            var part = piece.AsSpan(0, (int)Math.Min(left, piece.Length));
            if (processes.IsFirst)
            {
                file.ReadExactly(part);
            }
            processes.Broadcast(part);
            if (!processes.IsFirst)
            {
                file.Write(part);
            }
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
