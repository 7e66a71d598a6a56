using System.Reflection;
using NUnit;
using NUnit.Framework.Api;
using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;

namespace LoraScratch.Tests;

/// <summary>A test that ran inside of another one.</summary>
/// <param name="Name">Namespace, class, method and arguments.</param>
/// <param name="Category">The category of its class; empty for none.</param>
/// <param name="Outcome">How it ended.</param>
/// <param name="Message">What it says where it failed.</param>
internal sealed record NestedResult(string Name, string Category, TestStatus Outcome, string Message);

/// <summary>
/// Runs the tests of an assembly, one that was made on the fly or this one, here in this process:
/// no build, no test host, under a second.
/// </summary>
internal static class NestedTests
{
    /// <summary>Runs tests and gives every result.</summary>
    /// <param name="assembly">Where they are.</param>
    /// <param name="fixtures">Full names of their classes; none: all.</param>
    /// <param name="isWanted">Chooses tests by their full names; null: all.</param>
    /// <param name="stopAtFirst">True: the first failure ends the run.</param>
    /// <param name="category">Chooses tests by their category; null: all.</param>
    /// <param name="within">When the run ends before its time; null: never.</param>
    public static IReadOnlyList<NestedResult> Run(Assembly assembly, IReadOnlyList<string>? fixtures = null,
        Predicate<string>? isWanted = null, bool stopAtFirst = false, string? category = null,
        TimeSpan? within = null)
    {
        var settings = new Dictionary<string, object>
        {
            [FrameworkPackageSettings.NumberOfTestWorkers] = 0,
            [FrameworkPackageSettings.StopOnError] = stopAtFirst,
        };
        if (fixtures is { Count: > 0 })
        {
            settings[FrameworkPackageSettings.LOAD] = fixtures.ToList();
        }
        var results = new Results();
        // On a thread that knows nothing of the test that asks: NUnit keeps the running test in the flow of execution.
        var thread = new Thread(() =>
        {
            var runner = new NUnitTestAssemblyRunner(new DefaultTestAssemblyBuilder());
            runner.Load(assembly, settings);
            using var end = new Timer(_ => runner.StopRun(), null, within ?? Timeout.InfiniteTimeSpan,
                Timeout.InfiniteTimeSpan);
            runner.Run(results, new Filter(isWanted ?? (_ => true), category));
        }, maxStackSize: 16 << 20);
        using (ExecutionContext.SuppressFlow())
        {
            thread.Start();
        }
        thread.Join();
        return results.All;
    }

    private sealed class Results : ITestListener
    {
        public List<NestedResult> All { get; } = [];

        public void TestFinished(ITestResult result)
        {
            if (!result.Test.IsSuite)
            {
                All.Add(new NestedResult(result.FullName, CategoriesOf(result.Test).FirstOrDefault(""),
                    result.ResultState.Status, result.Message?.Trim() ?? ""));
            }
            else if (result.ResultState is { Status: TestStatus.Failed, Site: FailureSite.SetUp })
            {
                All.Add(new NestedResult(result.FullName, "", TestStatus.Failed, result.Message.Trim()));
            }
        }

        public void TestStarted(ITest test)
        {
        }

        public void TestOutput(TestOutput output)
        {
        }

        public void SendMessage(TestMessage message)
        {
        }
    }

    /// <summary>Its own, its method's, its class's.</summary>
    private static IEnumerable<string> CategoriesOf(ITest test)
    {
        for (ITest? at = test; at is not null; at = at.Parent)
        {
            foreach (var category in at.Properties["Category"])
            {
                yield return (string)category;
            }
        }
    }

    private sealed class Filter(Predicate<string> isWanted, string? category) : TestFilter
    {
        public override bool Match(ITest test) => !test.IsSuite && isWanted(test.FullName)
            && (category is null || CategoriesOf(test).Contains(category));

        public override TNode AddToXml(TNode parentNode, bool recursive) => parentNode.AddElement("wanted");
    }
}
