using LoraScratch.Tests.Cli;

namespace LoraScratch.Tests.Experiments;

/// <summary>What the tests of experiments share: a tiny task, and an experiment on it that ran from the beginning to the end in the folder "whole".</summary>
public abstract class ExperimentTests
{
    private protected TinyTask Task { get; private set; } = null!;

    private protected ProgramResult Whole { get; private set; } = null!;

    [OneTimeSetUp]
    public void RunExperiment()
    {
        Task = new TinyTask();
        Whole = LoraProgram.Call(Args("whole"));
        Assert.That(Whole.Code, Is.Zero, Whole.Errors);
    }

    [OneTimeTearDown]
    public void DeleteFolder() => Task.Dispose();

    /// <summary>The command of the experiment that leaves its results in a folder.</summary>
    protected abstract string[] Args(string folder);
}
