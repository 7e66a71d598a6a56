using LoraScratch.Engine;

namespace LoraScratch.Tests.Check;

/// <summary>
/// Tests and measures a GPU in one call: <c>check --device cuda --json report.json</c>. The timings
/// come first, and the report is written after every figure: a run that is cut off leaves what it
/// had.
/// </summary>
internal static class CheckCommand
{
    private static readonly (string Name, string Title, Action<CheckRun> Run)[] Parts =
    [
        ("products", "products", ProductCheck.Run),
        ("steps", "forward and step, LoRA r = 8 on query and value", StepCheck.Run),
        ("pytorch", "PyTorch", PyTorchCheck.Run),
        ("training", "training beside the CPU", ParityCheck.Run),
        ("memory", "out of memory, on purpose", MemoryCheck.Run),
        ("kernels", "kernels", KernelTextCheck.Run),
        ("rows", "rows of the tests", RowCheck.Run),
    ];

    /// <summary>What a check can be restricted to.</summary>
    public static IReadOnlyList<string> PartNames { get; } = [.. Parts.Select(part => part.Name)];

    /// <summary>Runs one check.</summary>
    /// <returns>
    /// 0: all that could be checked is right; 1: something is not, or the device cannot be used; 2:
    /// the call makes no sense.
    /// </returns>
    public static int Run(string[] arguments, TextWriter output, TextWriter errors)
    {
        if (arguments is ["--help" or "-h" or "help"])
        {
            output.WriteLine(CheckOptions.Usage);
            return 0;
        }
        CheckOptions options;
        try
        {
            options = CheckOptions.Parse(arguments);
        }
        catch (InputException e)
        {
            errors.WriteLine($"error: {e.Message}{Environment.NewLine}{Environment.NewLine}{CheckOptions.Usage}");
            return 2;
        }
        if (options.Gpu.Problem is { } problem)
        {
            errors.WriteLine($"error: {options.Gpu} cannot be used: {problem}");
            return 1;
        }
        Environment.SetEnvironmentVariable(Gpus.Variable, options.Gpu.IsSimulated ? "none" : $"{options.Gpu}");
        try
        {
            return Run(new CheckRun(options, output), output, errors);
        }
        catch (InputException e)                            // the report cannot be written
        {
            errors.WriteLine($"error: {e.Message}");
            return 1;
        }
    }

    private static int Run(CheckRun run, TextWriter output, TextWriter errors)
    {
        output.WriteLine("device");
        DeviceFacts.Run(run);
        var opens = run.Failures.Count == 0;
        foreach (var (_, title, part) in Parts.Where(part => opens && run.Options.Parts.Contains(part.Name)))
        {
            output.WriteLine(title);
            part(run);
        }
        run.End();
        output.WriteLine(FormattableString.Invariant($"{run.Elapsed:F0} s"));
        if (run.Failures.Count == 0)
        {
            output.WriteLine("All is right.");
            return 0;
        }
        errors.WriteLine($"{run.Failures.Count} failures:");
        foreach (var failure in run.Failures)
        {
            errors.WriteLine($"- {failure}");
        }
        return 1;
    }
}
