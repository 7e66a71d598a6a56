using System.Diagnostics;
using System.Globalization;

namespace LoraScratch.Tests.Mutations;

/// <summary>
/// Breaks a formula on purpose and shows which tests catch it:
/// <c>dotnet run -c Release --project tests -- break NAME</c>.
/// </summary>
internal static class BreakCommand
{
    private const int ShownMethods = 6;

    /// <summary>Runs one call.</summary>
    /// <param name="arguments">
    /// Nothing or "list"; "all"; the name of a mistake; or a file, a text in it and what to put
    /// there.
    /// </param>
    /// <param name="output">Where the result goes.</param>
    /// <param name="errors">Where a mistake of the caller is explained.</param>
    /// <returns>0: caught (or listed); 1: no test noticed; 2: the call makes no sense.</returns>
    public static int Run(string[] arguments, TextWriter output, TextWriter errors)
    {
        switch (arguments)
        {
            case [] or ["list"]:
                List(output);
                return 0;
            case ["all"]:
                return BreakAll(output);
            case [var name]:
                if (Mutation.All.FirstOrDefault(mutation => mutation.Name == name) is not { } named)
                {
                    errors.WriteLine($"No mistake is called '{name}'. `break list` shows all: "
                        + $"{string.Join(", ", Mutation.All.Select(mutation => mutation.Name))}.");
                    return 2;
                }
                return Break(named, output, errors);
            case [var file, var before, var after]:
                return Break(new Mutation("", "a mistake of your own", file, before, after, "", Mutation.AllFixtures),
                    output, errors);
            default:
                return Usage(errors);
        }
    }

    /// <summary>Says how it is called.</summary>
    /// <returns>2</returns>
    public static int Usage(TextWriter errors)
    {
        errors.WriteLine("""
            Break a formula on purpose: which tests catch it? Nothing is written to the disk.

              break                      lists the mistakes that have a name
              break NAME                 makes that mistake
              break all                  makes them all, one after the other
              break FILE BEFORE AFTER    one of your own: a text that FILE holds once, and what to put there

            All of them after `dotnet run -c Release --project tests -- `; to run the tests themselves: dotnet test.
            """);
        return 2;
    }

    private static void List(TextWriter output)
    {
        var width = Mutation.All.Max(mutation => mutation.Name.Length);
        foreach (var mutation in Mutation.All)
        {
            output.WriteLine($"{mutation.Name.PadRight(width)}  {mutation.Mistake}");
        }
        output.WriteLine();
        output.WriteLine("Predict which test notices, then run: break NAME");
    }

    private static int BreakAll(TextWriter output)
    {
        var width = Mutation.All.Max(mutation => mutation.Name.Length);
        var isCaught = true;
        foreach (var mutation in Mutation.All)
        {
            var outcome = MutatedRun.Of(mutation);
            isCaught &= outcome.IsCaught;
            output.WriteLine($"{mutation.Name.PadRight(width)}  {outcome.Failures.Count,3} of {outcome.Tests.Count,3} "
                + $"tests  {(outcome.IsCaught ? Method(outcome.Failures[0].Name) : "NOT CAUGHT")}");
        }
        return isCaught ? 0 : 1;
    }

    private static int Break(Mutation mutation, TextWriter output, TextWriter errors)
    {
        var clock = Stopwatch.StartNew();
        MutationOutcome outcome;
        try
        {
            outcome = MutatedRun.Of(mutation);
        }
        catch (ArgumentException e)
        {
            errors.WriteLine(e.Message);
            return 2;
        }
        var seconds = clock.Elapsed.TotalSeconds.ToString("F1", CultureInfo.InvariantCulture);
        output.WriteLine(mutation.Name.Length > 0 ? $"{mutation.Name}: {mutation.Mistake}" : mutation.Mistake);
        output.WriteLine();
        output.WriteLine($"{mutation.File}:{outcome.Line}");
        Write(output, "-", outcome.Was);
        Write(output, "+", outcome.Is);
        output.WriteLine();
        if (outcome.CompilerErrors.Count > 0)
        {
            output.WriteLine("The compiler caught it; no test was needed:");
            Write(output, " ", [.. outcome.CompilerErrors]);
        }
        else if (outcome.IsCaught)
        {
            output.WriteLine($"{outcome.Failures.Count} of {outcome.Tests.Count} tests caught it ({seconds} s):");
            WriteTests(output, outcome);
        }
        else
        {
            output.WriteLine($"NOT CAUGHT: all {outcome.Tests.Count} tests passed ({seconds} s). Either the two "
                + "formulas are equal, or these tests have a hole.");
        }
        if (mutation.Lesson.Length > 0)
        {
            output.WriteLine();
            output.WriteLine(mutation.Lesson);
        }
        return outcome.IsCaught ? 0 : 1;
    }

    private static void Write(TextWriter output, string sign, string[] lines)
    {
        foreach (var line in lines)
        {
            output.WriteLine($"  {sign} {line.Trim()}");
        }
    }

    /// <summary>A test with many cases is one entry, with the first message.</summary>
    private static void WriteTests(TextWriter output, MutationOutcome outcome)
    {
        var methods = outcome.Failures.GroupBy(failure => Method(failure.Name)).ToList();
        foreach (var method in methods.Take(ShownMethods))
        {
            var cases = outcome.Tests.Count(test => Method(test.Name) == method.Key);
            output.WriteLine($"  {method.Key}{(cases > 1 ? $", {method.Count()} of {cases} cases" : "")}");
            output.WriteLine($"      {InOneLine(method.First().Message)}");
        }
        if (methods.Count > ShownMethods)
        {
            output.WriteLine($"  and {methods.Count - ShownMethods} more");
        }
    }

    /// <summary>"LoRAGradientsTests.The_closed_forms…": without namespace and arguments.</summary>
    private static string Method(string test)
    {
        var name = test.Split('(')[0].Split('.');
        return string.Join('.', name[^Math.Min(2, name.Length)..]);
    }

    /// <summary>A message of NUnit without the line that repeats the test's code.</summary>
    private static string InOneLine(string message) => string.Join("; ", message.Split('\n')
        .Select(line => line.Trim())
        .Where(line => line.Length > 0 && !line.StartsWith("Assert.That(", StringComparison.Ordinal)));
}
