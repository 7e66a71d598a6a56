using Microsoft.CodeAnalysis;

namespace LoraScratch.Tests.Course;

/// <summary>The programs in lora/samples, each a file that runs by itself.</summary>
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

    [Test]
    public void Every_sample_is_run_here() => Assert.That(
        SourceCode.Files("lora/samples").Select(Path.GetFileName),
        Is.EquivalentTo(new[] { "gradient-by-hand.cs", "lora-on-a-tiny-task.cs", "gradient-check-of-your-own-op.cs" }));

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

    private static string Run(string sample, out int exitCode)
    {
        var path = Path.Combine(SourceCode.Root, "lora", "samples", sample);
        var program = InMemoryBuild.Load(Path.GetFileNameWithoutExtension(sample), OutputKind.ConsoleApplication,
            [(path, File.ReadAllText(path))]).EntryPoint!;
        var before = Console.Out;
        using var output = new StringWriter();
        Console.SetOut(output);
        try
        {
            exitCode = program.Invoke(null, [Array.Empty<string>()]) is int code ? code : 0;
        }
        finally
        {
            Console.SetOut(before);
        }
        return output.ToString().ReplaceLineEndings("\n").TrimEnd();
    }
}
