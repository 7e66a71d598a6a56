using System.ComponentModel;
using System.Diagnostics;
using System.Reflection;
using Microsoft.CodeAnalysis;
using NUnit.Framework.Interfaces;

namespace LoraScratch.Tests.Course;

/// <summary>
/// The course in lora/course: its exercises are red until they are solved, for the reason that they
/// state, and the solutions are green.
/// </summary>
[Parallelizable]
public sealed class CourseTests
{
    private const int Steps = 8;

    [Test]
    public void Untouched_every_check_is_red_and_says_what_to_complete()
    {
        RequireUntouched();
        var results = NestedTests.Run(Build("exercises"));
        Assert.That(results.Select(result => result.Category).Distinct(),
            Is.EquivalentTo(Enumerable.Range(1, Steps).Select(step => $"Course{step}")));
        Assert.Multiple(() =>
        {
            foreach (var result in results)
            {
                Assert.That(result.Outcome, Is.EqualTo(TestStatus.Failed), result.Name);
                Assert.That(result.Message, Does.Match(
                    @"to complete: .{10,} \(Step\d\w+\.cs, line \d+, \w+\)"), result.Name);
            }
        });
    }

    [Test]
    public void With_the_solutions_every_check_is_green()
    {
        var results = NestedTests.Run(Build("solutions"));
        Assert.That(results.Where(result => result.Outcome != TestStatus.Passed), Is.Empty);
        Assert.That(results, Has.Count.GreaterThan(2 * Steps));
    }

    /// <summary>A learner's likely mistakes: red, and with a sentence that leads on.</summary>
    [TestCase("Step2OnTheEngine.cs", "optimizer.ZeroGradient();", "", "A after step 2")]
    [TestCase("Step3Derivation.cs", "s * ((x * a).Transpose() * dY)", "(x * a).Transpose() * dY", "A factor forgotten")]
    [TestCase("Step3Derivation.cs", "s * ((x * a).Transpose() * dY)", "s * (dY.Transpose() * (x * a))",
        "dB must be [2, 3], yours is [3, 2]")]
    [TestCase("Step3Derivation.cs", "dY * w + s", "s", "a matrix is missing")]
    [TestCase("Step4Cost.cs", "3.0 * rank / d", "2.0 * rank / d", "six thin products")]
    [TestCase("Step5Start.cs", "Start.BZero => new FirstStep(OutputUnchanged: true, AMoves: false",
        "Start.BZero => new FirstStep(OutputUnchanged: true, AMoves: true", "‖dA‖ = 0")]
    [TestCase("Step6Merging.cs", "float[] kept) => [.. kept]",
        "float[] kept) => [.. merged.Zip(update, (weight, change) => weight - change)]", "came back with other bits")]
    [TestCase("Step7FewBits.cs", " / scale;", ";", "Y[")]
    [TestCase("Step8OpOfYourOwn.cs", ".T, dY.Matrix, s)", ".T, dY.Matrix)", "dB")]
    [TestCase("Step8OpOfYourOwn.cs", "needs: [x, b]", "needs: x", "ObjectDisposedException")]
    public void A_mistake_is_explained(string file, string before, string after, string hint)
    {
        var changed = 0;
        var results = NestedTests.Run(Build("solutions", (path, text) =>
        {
            if (Path.GetFileName(path) != file || !text.Contains(before, StringComparison.Ordinal))
            {
                return text;
            }
            changed++;
            return text.Replace(before, after, StringComparison.Ordinal);
        }));
        Assert.That(changed, Is.EqualTo(1), "the solution holds what is to be changed");
        var failures = results.Where(result => result.Outcome == TestStatus.Failed).ToList();
        Assert.That(failures.Select(result => result.Category).Distinct(), Is.EqualTo(new[] { $"Course{file[4]}" }));
        Assert.That(failures.Select(result => result.Message), Has.Some.Contains(hint));
    }

    /// <summary>The real thing, as the pages say it.</summary>
    [Test]
    public void A_step_is_run_by_its_category()
    {
        RequireUntouched();
        var output = ChildProcess.Dotnet(out var exitCode, "test", "-c", "Release", "lora/course", "--filter",
            "Category=Course3", "-p:BuildProjectReferences=false");
        Assert.That(exitCode, Is.EqualTo(1), output);
        Assert.That(output, Does.Contain("to complete: dB, of X, A, dY and s").And.Not.Contain("Step2Checks"));
        Assert.That(output, Does.Match(@"Failed:\s+4, Passed:\s+0"));
    }

    /// <summary>Who works through the course here is not told that the suite is red.</summary>
    private static void RequireUntouched()
    {
        try
        {
            string[] asked = ["-C", SourceCode.Root, "diff", "--quiet", "HEAD", "--", "lora/course/exercises"];
            using var git = Process.Start("git", asked);
            git.WaitForExit();
            if (git.ExitCode == 1)
            {
                Assert.Ignore("lora/course/exercises has been worked on: it is not that of the last commit");
            }
        }
        catch (Win32Exception)
        {
            // No git here, and so nobody's clone: the exercises are as they were delivered.
        }
    }

    private static Assembly Build(string folder, Func<string, string, string>? change = null) =>
        InMemoryBuild.Load("LoraScratch.Course", OutputKind.DynamicallyLinkedLibrary,
            SourceCode.Files("lora/course/checks", $"lora/course/{folder}").Select(file =>
                (file, change?.Invoke(file, File.ReadAllText(file)) ?? File.ReadAllText(file))), "NUnit.Framework");
}
