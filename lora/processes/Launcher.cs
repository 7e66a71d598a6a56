using System.Globalization;

namespace LoraScratch.Lora.Processes;

/// <summary>
/// What mpirun or srun, which started this process, says of it in its environment, before any MPI
/// library is loaded.
/// </summary>
/// <param name="Program">What starts the processes: mpirun or srun.</param>
/// <param name="Family">Whose it is.</param>
/// <param name="Rank">Of this process, from 0.</param>
/// <param name="Size">Processes that were started.</param>
/// <param name="Abis">The libraries that understand this launcher, the likeliest first.</param>
internal sealed record Launcher(string Program, string Family, int Rank, int Size, IReadOnlyList<MpiAbi> Abis)
{
    /// <summary>For messages: "mpirun of MPICH".</summary>
    public string Name => $"{Program} of {Family}";

    /// <summary>
    /// The launcher of this process; null where it was started by itself. A variable of a Slurm
    /// batch script is not enough: only steps (srun) have a step's number of tasks.
    /// </summary>
    /// <param name="variable">Reads a variable of the environment.</param>
    public static Launcher? Of(Func<string, string?> variable)
    {
        return Named("mpirun", "Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                [MpiAbi.OpenMpi, MpiAbi.Standard])
            ?? Named("mpirun", "MPICH", "PMI_RANK", "PMI_SIZE", [MpiAbi.Mpich, MpiAbi.Standard])
            ?? Named("srun", "Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS",
                variable("PMIX_RANK") is null ? [MpiAbi.Mpich, MpiAbi.Standard, MpiAbi.OpenMpi]
                    : [MpiAbi.OpenMpi, MpiAbi.Standard, MpiAbi.Mpich]);

        Launcher? Named(string program, string family, string rank, string size, IReadOnlyList<MpiAbi> abis) =>
            Number(variable(rank)) is { } place && Number(variable(size)) is { } count && place < count
                ? new Launcher(program, family, place, count, abis) : null;
    }

    /// <summary>The launcher of this process, from its environment.</summary>
    public static Launcher? OfThisProcess { get; } = Of(Environment.GetEnvironmentVariable);

    private static int? Number(string? text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
