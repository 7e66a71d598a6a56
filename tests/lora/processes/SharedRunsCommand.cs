using LoraScratch.Lora.Processes;

namespace LoraScratch.Tests.Lora.Processes;

/// <summary>
/// <c>mpirun -n N … mpi</c>: every kind of <see cref="SharedRuns"/> by the processes that mpirun
/// started; the first prints a line for each, its name and its hash.
/// </summary>
internal static class SharedRunsCommand
{
    public static int Run()
    {
        Environment.SetEnvironmentVariable("TERM", "dumb");     // no codes for a terminal among the lines
        using var processes = MpiProcesses.Join(Launcher.OfThisProcess);
        foreach (var name in SharedRuns.Kinds.Keys)
        {
            var hashes = processes.Gather<char>(SharedRuns.Run(name, processes)).Select(hash => new string(hash));
            if (processes.IsFirst)
            {
                Console.WriteLine($"{name}: {string.Join(", ", hashes.Distinct())} by {processes.Size}");
            }
        }
        return 0;
    }
}
