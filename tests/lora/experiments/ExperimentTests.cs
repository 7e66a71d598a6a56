using System.Diagnostics;
using LoraScratch.Tests.Cli;

namespace LoraScratch.Tests.Experiments;

/// <summary>
/// What the tests of experiments share: a tiny task, and an experiment on it that ran from the
/// beginning to the end in the folder "whole".
/// </summary>
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

    /// <summary>Lets the program come to a run, and a little further, and stops it.</summary>
    /// <param name="args">Its command.</param>
    /// <param name="run">As the program says it: "run 2 of 8".</param>
    /// <param name="milliseconds">How much further.</param>
    /// <param name="stop">Stops it.</param>
    private protected static ProgramResult Stop(string[] args, string run, int milliseconds, Action<Process> stop)
    {
        using var process = LoraProgram.Start(args);
        var output = process.StandardOutput.ReadToEndAsync();
        while (process.StandardError.ReadLine() is { } line && !line.StartsWith(run, StringComparison.Ordinal))
        {
        }
        Thread.Sleep(milliseconds);
        stop(process);
        return LoraProgram.Finish(process, output, process.StandardError.ReadToEndAsync());
    }

    /// <summary>The command of the experiment that leaves its results in a folder.</summary>
    protected abstract string[] Args(string folder);
}
