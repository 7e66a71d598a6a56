using System.Reflection;
using Microsoft.CodeAnalysis;

namespace LoraScratch.Tests.Course;

/// <summary>The programs in lora/samples, each a file that runs by itself.</summary>
[Parallelizable]
[Category(Categories.Samples)]
public sealed class SampleTests
{
    [Test]
    public void By_hand_by_autograd_and_by_differences_the_gradients_are_the_same()
    {
        var lines = Run("gradient-by-hand.cs", out var exitCode).Split('\n');
        Assert.That(exitCode, Is.Zero);
        Assert.That(lines, Is.EqualTo(new[] { "by hand   ", "autograd  ", "difference" }
            .Select(way => $"{way}  dA = (-12, -24)ᵀ   dB = (6, 0)")));
    }

    [Test]
    public void The_tiny_task_is_learnt_and_its_tape_has_no_dW()
    {
        var output = Run("lora-on-a-tiny-task.cs", out var exitCode);
        Assert.That(exitCode, Is.Zero);
        var parts = output.Split("never formed");
        Assert.That(parts, Has.Length.EqualTo(2));
        Assert.That(parts[0], Does.Contain("dA [6, 2] += Xᵀ [6, 16]·").And.Contain("dB [2, 4] += 2 · "));
        Assert.That(parts[0], Does.Not.Contain("dW [4, 6]"));
        Assert.That(parts[1], Does.Contain("dW [4, 6] += "));
        Assert.That(parts[1], Does.Match(@"step   0: loss 0\.[1-9]\d+, \|dA\| 0\.00000, \|dB\| 0\.[1-9]"), "B = 0");
        Assert.That(parts[1], Does.Match(@"step 100: loss 0\.00\d"));
    }

    [Test]
    public void The_check_passes_the_right_op_and_finds_the_wrong_one()
    {
        var output = Run("gradient-check-of-your-own-op.cs", out var exitCode);
        Assert.That(exitCode, Is.Zero);
        var wrong = output.IndexOf("FAILED", StringComparison.Ordinal);
        Assert.That(output.IndexOf("passed", StringComparison.Ordinal), Is.GreaterThanOrEqualTo(0).And.LessThan(wrong));
        Assert.That(output[wrong..].Split('\n')[0], Does.Contain("dW").And.Not.Contain("dX"));
    }

    /// <summary>Those about classifiers are run by <see cref="ApplicationSampleTests"/>.</summary>
    [Test]
    public void Every_sample_is_run() => Assert.That(
        SourceCode.Files("lora/samples").Select(Path.GetFileName),
        Is.EquivalentTo(new[] { "gradient-by-hand.cs", "lora-on-a-tiny-task.cs", "gradient-check-of-your-own-op.cs" }
            .Concat(ApplicationSampleTests.Samples)));

    /// <summary>The real thing, as the first lines of the samples say it.</summary>
    [Test]
    public void A_sample_runs_by_itself()
    {
        const string sample = "lora/samples/gradient-by-hand.cs";
        Assert.That(File.ReadAllText(Path.Combine(SourceCode.Root, sample)),
            Does.Contain($"dotnet run -c Release {sample}"));
        var output = ChildProcess.Dotnet(out var exitCode, "run", "-c", "Release", sample);
        Assert.That(exitCode, Is.Zero, output);
        Assert.That(output, Does.Contain("autograd    dA = (-12, -24)ᵀ   dB = (6, 0)"));
    }

    /// <summary>Compiles a sample.</summary>
    /// <param name="sample">Its file.</param>
    /// <param name="usings">Namespaces that its SDK lets it use besides the usual ones.</param>
    internal static MethodInfo Compile(string sample, params string[] usings)
    {
        var path = Path.Combine(SourceCode.Root, "lora", "samples", sample);
        return InMemoryBuild.Load(Path.GetFileNameWithoutExtension(sample), OutputKind.ConsoleApplication,
            [(path, File.ReadAllText(path))], usings).EntryPoint!;
    }

    /// <summary>Runs a sample.</summary>
    /// <param name="sample">Its file.</param>
    /// <param name="exitCode">What it ended with.</param>
    /// <param name="input">What it reads; empty where it reads nothing.</param>
    /// <param name="arguments">Its arguments.</param>
    /// <returns>What it printed, errors among the rest.</returns>
    internal static string Run(string sample, out int exitCode, string input = "", params string[] arguments)
    {
        var program = Compile(sample);
        var (before, errors, reader) = (Console.Out, Console.Error, Console.In);
        using var output = new StringWriter();
        Console.SetOut(output);
        Console.SetError(output);
        Console.SetIn(new StringReader(input));
        try
        {
            exitCode = program.Invoke(null, [arguments]) is int code ? code : 0;
            return output.ToString().ReplaceLineEndings("\n").TrimEnd();
        }
        finally
        {
            Console.SetOut(before);
            Console.SetError(errors);
            Console.SetIn(reader);
        }
    }
}
