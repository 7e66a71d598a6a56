using LoraScratch.Lora.Processes;

namespace LoraScratch.Tests.Lora.Processes;

/// <summary>What a launcher says, who is where, and what processes tell each other.</summary>
[Parallelizable]
internal sealed class ProcessGroupTests
{
    [TestCase("OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=4", "mpirun of Open MPI", 1, 4)]
    [TestCase("PMI_RANK=0 PMI_SIZE=2", "mpirun of MPICH", 0, 2)]
    [TestCase("SLURM_PROCID=3 SLURM_STEP_NUM_TASKS=8 PMIX_RANK=3", "srun of Slurm", 3, 8)]
    public void The_environment_tells_who_started_a_process(string variables, string name, int rank, int size)
    {
        var launcher = Launcher.Of(Reader(variables))!;
        Assert.That((launcher.Name, launcher.Rank, launcher.Size), Is.EqualTo((name, rank, size)));
    }

    [TestCase("")]
    [TestCase("SLURM_PROCID=0 SLURM_NTASKS=4", Description = "a batch script of Slurm, which is one process")]
    [TestCase("PMI_RANK=x PMI_SIZE=2")]
    [TestCase("PMI_RANK=2 PMI_SIZE=2")]
    public void Without_a_launcher_there_are_no_others(string variables) =>
        Assert.That(Launcher.Of(Reader(variables)), Is.Null);

    [Test]
    public void Lists_of_any_length_are_gathered_in_the_order_of_the_ranks()
    {
        var gathered = ThreadGroup.Run(4, group =>
            group.Gather<int>([.. Enumerable.Repeat(group.Rank, 3 - group.Rank)]));
        Assert.That(gathered, Has.All.EqualTo(new int[][] { [0, 0, 0], [1, 1], [2], [] }));
        Assert.That(ProcessGroup.Alone.Gather<int>([5, 6]), Is.EqualTo(new int[][] { [5, 6] }));
    }

    [Test]
    public void All_get_what_the_first_has()
    {
        var got = ThreadGroup.Run(3, group =>
        {
            byte[] values = group.IsFirst ? [1, 2, 3] : new byte[3];
            group.Broadcast(values);
            return values;
        });
        Assert.That(got, Has.All.EqualTo(new byte[] { 1, 2, 3 }));
        Assert.That(ThreadGroup.Run(3, group => group.Any(group.Rank == 2)), Has.All.True);
        Assert.That(ThreadGroup.Run(3, group => group.Any(false)), Has.All.False);
    }

    [Test]
    public void Shares_are_whole_and_differ_by_one_at_most() => Assert.That(
        ThreadGroup.Run(3, group => group.ShareOf(8)), Is.EqualTo(new[] { (0, 2), (2, 5), (5, 8) }));

    [Test]
    public void Cores_are_divided_among_those_that_are_bound_to_the_same()
    {
        // two on one machine without bounds, two bound to a core each on another
        (string Machine, string Cores, int Count)[] known =
            [("a", "0-7", 8), ("a", "0-7", 8), ("b", "0", 1), ("b", "1", 1)];
        var placed = ThreadGroup.Run(4, group => Placement.Of(group, known[group.Rank].Machine, known[group.Rank].Cores,
            known[group.Rank].Count));
        Assert.That(placed, Is.EqualTo(new Placement[] { new(2, 0, 2, 4), new(2, 1, 2, 4), new(2, 0, 2, 1),
            new(2, 1, 2, 1) }));
        Assert.That(ThreadGroup.Run(4, group => Placement.Of(group, "a", "0-1", 2).Threads), Has.All.EqualTo(1),
            "more processes than cores");
    }

    private static Func<string, string?> Reader(string variables)
    {
        var known = variables.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(entry => entry.Split('='))
            .ToDictionary(entry => entry[0], entry => entry[1]);
        return name => known.GetValueOrDefault(name);
    }
}
