using System.Text.Json.Nodes;
using NUnit.Framework.Interfaces;

namespace LoraScratch.Tests.Check;

/// <summary>The rows that the tests have for the device, here in this process.</summary>
internal static class RowCheck
{
    private const string Section = "rows";

    /// <summary>Rows run for as long at least, whatever came before them took.</summary>
    private const double LeastSeconds = 5;

    public static void Run(CheckRun run) => run.Try(Section, "rows", () =>
    {
        var left = Math.Max(LeastSeconds, run.Options.Seconds - run.Elapsed);
        var before = run.Elapsed;
        var results = NestedTests.Run(typeof(RowCheck).Assembly, isWanted: run.Options.Rows is { } rows
            ? rows.IsMatch : null, category: run.Options.Gpu.Category, within: TimeSpan.FromSeconds(left));
        var seconds = run.Elapsed - before;
        int Count(TestStatus outcome) => results.Count(result => result.Outcome == outcome);
        var failed = results.Where(result => result.Outcome == TestStatus.Failed).ToList();
        foreach (var row in failed)
        {
            run.Fail($"{row.Name}: {row.Message}");
        }
        if (results.Count == 0)
        {
            run.Fail("No row of the tests has that name.");
        }
        var isStopped = seconds >= left;
        run.Add(Section, new JsonObject
        {
            ["passed"] = Count(TestStatus.Passed),
            ["failed"] = failed.Count,
            ["skipped"] = Count(TestStatus.Skipped),
            ["seconds"] = Math.Round(seconds, 1),
            ["stopped_before_the_end"] = isStopped,
            ["failures"] = new JsonArray([.. failed.Select(row =>
                (JsonNode)new JsonObject { ["row"] = row.Name, ["message"] = row.Message })]),
        }, FormattableString.Invariant($"  {Count(TestStatus.Passed)} passed, {failed.Count} failed, ")
            + FormattableString.Invariant($"{Count(TestStatus.Skipped)} skipped, {seconds:F1} s")
            + (isStopped ? $"; stopped before the end, for --seconds is {run.Options.Seconds}" : ""));
    });
}
