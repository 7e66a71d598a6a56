using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace LoraScratch.Tests;

/// <summary>
/// Runs tests of this assembly once more in a process of its own: what the runtime decides when it
/// starts, such as the instruction sets that it may use, can only be changed there.
/// </summary>
internal static partial class ChildProcess
{
    /// <summary>
    /// Runs the tests that a filter names, with these environment variables, and fails unless there
    /// are some and all pass.
    /// </summary>
    /// <param name="filter">
    /// As <c>dotnet test --filter</c> takes it, such as "FullyQualifiedName~MatMulTests".
    /// </param>
    /// <param name="environment">Variables to set.</param>
    public static void RunTests(string filter, params (string Name, string Value)[] environment)
    {
        var output = Run(Host, Environment.CurrentDirectory, out var exitCode,
            ["test", AssemblyFile.Of(typeof(ChildProcess)), "--filter", filter], environment);
        var passed = PassedCount().Match(output);
        Assert.That(exitCode, Is.Zero, output);
        Assert.That(passed.Success && int.Parse(passed.Groups[1].Value, CultureInfo.InvariantCulture) > 0,
            $"the filter '{filter}' must match tests in the child:{Environment.NewLine}{output}");
    }

    /// <summary>Runs the dotnet command at the root of the solution.</summary>
    /// <param name="exitCode">What it ended with.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <returns>What it printed, errors last.</returns>
    public static string Dotnet(out int exitCode, params string[] arguments) =>
        Run(Host, SourceCode.Root, out exitCode, arguments);

    /// <summary>Runs a program.</summary>
    /// <param name="program">Its path.</param>
    /// <param name="folder">Where it runs.</param>
    /// <param name="exitCode">What it ended with.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <param name="environment">Variables to set.</param>
    /// <returns>What it printed, errors last.</returns>
    public static string Run(string program, string folder, out int exitCode, string[] arguments,
        params (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        exitCode = process.ExitCode;
        return output + errors.Result;
    }

    /// <summary>The dotnet command that runs this process.</summary>
    public static string Host =>
        Environment.GetEnvironmentVariable("DOTNET_HOST_PATH")
        ?? (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet"
            ? Environment.ProcessPath! : "dotnet");

    [GeneratedRegex(@"Passed:\s+(\d+)")]
    private static partial Regex PassedCount();
}
