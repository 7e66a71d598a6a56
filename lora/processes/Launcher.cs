using System.Globalization;

namespace LoraScratch.Lora.Processes;

/// <summary>
/// What mpirun or srun, which started this process, says of it in its environment, before any MPI
/// library is loaded.
/// </summary>
/// <param name="Name">For messages.</param>
/// <param name="Rank">Of this process, from 0.</param>
/// <param name="Size">Processes that were started.</param>
/// <param name="Abis">The libraries that understand this launcher, the likeliest first.</param>
internal sealed record Launcher(string Name, int Rank, int Size, IReadOnlyList<MpiAbi> Abis)
{
    /// <summary>
    /// The launcher of this process; null where it was started by itself. A variable of a Slurm
    /// batch script is not enough: only steps (srun) have a step's number of tasks.
    /// </summary>
    /// <param name="variable">Reads a variable of the environment.</param>
    public static Launcher? Of(Func<string, string?> variable)
    {
        return Named("mpirun of Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                [MpiAbi.OpenMpi, MpiAbi.Standard])
            ?? Named("mpirun of MPICH", "PMI_RANK", "PMI_SIZE", [MpiAbi.Mpich, MpiAbi.Standard])
            ?? Named("srun of Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", variable("PMIX_RANK") is null
                ? [MpiAbi.Mpich, MpiAbi.Standard, MpiAbi.OpenMpi] : [MpiAbi.OpenMpi, MpiAbi.Standard, MpiAbi.Mpich]);

        Launcher? Named(string name, string rank, string size, IReadOnlyList<MpiAbi> abis) =>
            Number(variable(rank)) is { } place && Number(variable(size)) is { } count && place < count
                ? new Launcher(name, place, count, abis) : null;
    }

    /// <summary>The launcher of this process, from its environment.</summary>
    public static Launcher? OfThisProcess { get; } = Of(Environment.GetEnvironmentVariable);

    private static int? Number(string? text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;
}
