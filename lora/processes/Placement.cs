using System.Text;

namespace LoraScratch.Lora.Processes;

/// <summary>Where the processes of a group run, and what each may use of its machine.</summary>
/// <param name="Machines">How many machines.</param>
/// <param name="LocalRank">Of this process among those of its machine, from 0.</param>
/// <param name="LocalSize">Processes on this machine.</param>
/// <param name="Threads">
/// Cores that this process may count on: those that it is bound to, divided among the processes
/// that are bound to the same ones.
/// </param>
internal sealed record Placement(int Machines, int LocalRank, int LocalSize, int Threads)
{
    /// <summary>Asks all processes.</summary>
    public static Placement Of(ProcessGroup processes) => Of(processes, Environment.MachineName, BoundTo(),
        Environment.ProcessorCount);

    /// <summary>The same with what this process knows of itself.</summary>
    /// <param name="processes">All of them.</param>
    /// <param name="machine">Name of its machine.</param>
    /// <param name="cores">Which cores it may run on, as the system writes it.</param>
    /// <param name="count">How many they are.</param>
    public static Placement Of(ProcessGroup processes, string machine, string cores, int count)
    {
        string[] all = [.. processes.Gather<byte>(Encoding.UTF8.GetBytes($"{machine}\n{cores}"))
            .Select(text => Encoding.UTF8.GetString(text))];
        string[] machines = [.. all.Select(text => text.Split('\n')[0])];
        var here = machines[processes.Rank];
        return new Placement(machines.Distinct().Count(), machines.Take(processes.Rank).Count(name => name == here),
            machines.Count(name => name == here),
            Math.Max(1, count / all.Count(text => text == all[processes.Rank])));
    }

    /// <summary>
    /// The cores that the launcher or the system lets this process run on: "0-1"; empty where the
    /// system does not say.
    /// </summary>
    private static string BoundTo()
    {
        try
        {
            return File.ReadLines("/proc/self/status")
                .FirstOrDefault(line => line.StartsWith("Cpus_allowed_list:", StringComparison.Ordinal)) ?? "";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
