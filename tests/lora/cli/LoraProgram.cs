using System.Diagnostics;
using System.Text.Json;
using LoraScratch.Cli;
using LoraScratch.Engine;

namespace LoraScratch.Tests.Cli;

/// <summary>What a run of the program left on its two outputs.</summary>
internal sealed record ProgramResult(int Code, string Output, string Errors)
{
    public string[] Lines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Of every text of 'predict --json'.</summary>
    public float[] Logits =>
        [.. Lines.SelectMany(line => JsonDocument.Parse(line).RootElement.GetProperty("logits").EnumerateArray()
            .Select(value => value.GetSingle()))];
}

/// <summary>
/// The program lora: as a process of its own, or, where a test needs many runs, as a call in this
/// one.
/// </summary>
internal static class LoraProgram
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    /// <summary>
    /// Starts .NET. What a script runs in its background ignores the signal of Ctrl-C, what nohup
    /// runs that of a closed terminal, and so would all that they start: env gives both back.
    /// </summary>
    private static readonly string[] WithSignals =
        SignalsAreIgnored() ? ["env", "--default-signal=INT,HUP", ChildProcess.Host] : [ChildProcess.Host];

    /// <summary>Runs a command in a process of its own.</summary>
    public static ProgramResult Run(IEnumerable<string> args, string input = "", string? folder = null)
    {
        using var process = Start(args, folder);
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEndAsync();
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        return Finish(process, output, errors);
    }

    /// <summary>
    /// Starts a process with redirected input and outputs, in which Ctrl-C works.
    /// </summary>
    public static Process Start(
        IEnumerable<string> args, string? folder = null, params (string Name, string Value)[] environment) =>
        Start([.. WithSignals, AssemblyFile.Of(typeof(CommandLine)), .. args], folder, environment);

    /// <summary>The program for a shell script; signals are as in the script.</summary>
    public static string Words => $"'{ChildProcess.Host}' '{AssemblyFile.Of(typeof(CommandLine))}'";

    /// <summary>
    /// Starts a shell script with redirected input and outputs, in which Ctrl-C works.
    /// </summary>
    public static Process StartScript(string script, string? folder = null) =>
        Start([.. WithSignals[..^1], "/bin/sh", "-c", script], folder, []);

    /// <summary>Reads standard error up to a line that begins so.</summary>
    public static void WaitForLine(Process process, string beginning)
    {
        var seen = new List<string>();
        while (process.StandardError.ReadLine() is { } line)
        {
            seen.Add(line);
            if (line.StartsWith(beginning, StringComparison.Ordinal))
            {
                return;
            }
        }
        Assert.Fail($"no line begins with '{beginning}':\n{string.Join('\n', seen)}");
    }

    /// <summary>Sends a signal such as INT.</summary>
    public static void Signal(Process process, string name)
    {
        using var kill = Process.Start("/bin/kill", [$"-{name}", $"{process.Id}"]);
        kill.WaitForExit();
        Assert.That(kill.ExitCode, Is.Zero);
    }

    private static Process Start(string[] words, string? folder, (string Name, string Value)[] environment)
    {
        var start = new ProcessStartInfo(words[0], words[1..])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder ?? "",
        };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }
        return Process.Start(start)!;
    }

    /// <summary>Waits for its end; a process that does not come to it is killed.</summary>
    public static ProgramResult Finish(Process process, Task<string> output, Task<string> errors)
    {
        if (!process.WaitForExit(Patience))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"the program did not end within {Patience}");
        }
        return new ProgramResult(process.ExitCode, output.Result, errors.Result);
    }

    /// <summary>Runs a command within this process, which must do what is asked.</summary>
    public static ProgramResult Succeed(params string[] args) => Expect(0, args);

    /// <summary>Runs a command within this process, which must refuse what is asked.</summary>
    public static ProgramResult Refuse(params string[] args) => Expect(1, args);

    private static ProgramResult Expect(int code, string[] args)
    {
        var result = Call(args);
        Assert.That(result.Code, Is.EqualTo(code), $"lora {string.Join(' ', args)}: {result.Output}{result.Errors}");
        return result;
    }

    /// <summary>
    /// Runs a command within this process, whose console and device are as before afterwards.
    /// </summary>
    public static ProgramResult Call(params string[] args)
    {
        var (output, errors) = (new StringWriter(), new StringWriter());
        var (oldOutput, oldErrors, oldDevice) = (Console.Out, Console.Error, Device.Default);
        Console.SetOut(output);
        Console.SetError(errors);
        try
        {
            var code = CommandLine.Run(args).GetAwaiter().GetResult();
            return new ProgramResult(code, output.ToString(), errors.ToString());
        }
        finally
        {
            Console.SetOut(oldOutput);
            Console.SetError(oldErrors);
            Device.Default = oldDevice;
        }
    }

    private static bool SignalsAreIgnored()
    {
        const ulong hangup = 1, interrupt = 1 << 1;
        const string mask = "SigIgn:";      // in hexadecimal, a bit for each signal
        return OperatingSystem.IsLinux()
            && File.ReadLines("/proc/self/status")
            .First(line => line.StartsWith(mask, StringComparison.Ordinal)) is var line
            && (Convert.ToUInt64(line[mask.Length..].Trim(), 16) & (hangup | interrupt)) != 0;
    }
}
