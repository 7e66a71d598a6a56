using System.CommandLine;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Kernels.Gpu;
using LoraScratch.Lora.Processes;

namespace LoraScratch.Cli;

/// <summary>lora devices: what can compute here, and why the rest cannot.</summary>
internal static class DevicesCommand
{
    public static Command Create()
    {
        var command = new ExampleCommand("devices",
            "Lists the devices that can compute here and, for each that cannot, why.", "lora devices");
        command.SetAction(_ =>
        {
            using var cpu = new CpuBackend();
            Print("cpu", usable: true, cpu.Description);
            foreach (var gpu in GpuDevices.All)
            {
                Print(gpu.Id, gpu.IsUsable,
                    string.Join(": ", new[] { gpu.Name, gpu.Problem }.Where(text => !string.IsNullOrEmpty(text))));
            }
            PrintMpi();
            return 0;
        });
        return command;
    }

    /// <summary>What connects the processes that mpirun starts.</summary>
    private static void PrintMpi()
    {
        MpiAbi[] abis = [MpiAbi.Standard, MpiAbi.OpenMpi, MpiAbi.Mpich];
        var chosen = Environment.GetEnvironmentVariable(MpiLibrary.PathVariable);
        MpiLibrary?[] found = [.. string.IsNullOrEmpty(chosen) ? abis.Select(abi => MpiLibrary.Find([abi]))
            : [MpiLibrary.Find(abis, chosen)]];
        foreach (var library in found.OfType<MpiLibrary>())
        {
            Print("mpi", usable: true, $"{library.Version} ({library.Path}): for mpirun -n N lora train …");
        }
        if (found.All(library => library is null))
        {
            Print("mpi", usable: false, "there is no MPI library here (looked for "
                + $"{string.Join(", ", abis.SelectMany(abi => abi.Libraries))}); only mpirun needs one");
        }
    }

    private static void Print(string id, bool usable, string description)
    {
        var margin = $"{id,-9} {(usable ? "usable" : "not usable"),-10}  ";
        foreach (var line in Columns.Wrapped(description, Columns.Screen - margin.Length))
        {
            Console.WriteLine($"{margin}{line}");
            margin = new string(' ', margin.Length);
        }
    }
}
