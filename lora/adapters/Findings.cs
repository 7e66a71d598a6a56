using LoraScratch.Engine;

namespace LoraScratch.Lora.Adapters;

/// <summary>How bad a finding is.</summary>
internal enum FindingKind
{
    /// <summary>The adapter cannot be used, or would not compute what it was trained to.</summary>
    Error,

    /// <summary>Allowed, but hardly meant.</summary>
    Warning,

    /// <summary>Good to know.</summary>
    Note,
}

/// <summary>One thing that <see cref="AdapterCheck"/> found.</summary>
/// <param name="Kind">How bad it is.</param>
/// <param name="Message">
/// A sentence that names file and tensor or key, what was expected, what was found, and how to mend
/// it.
/// </param>
internal sealed record Finding(FindingKind Kind, string Message);

/// <summary>What has been found so far.</summary>
internal sealed class Findings
{
    private readonly List<Finding> found = [];

    /// <summary>Errors first, then warnings, then notes.</summary>
    public IReadOnlyList<Finding> WorstFirst => [.. found.OrderBy(finding => finding.Kind)];

    /// <summary>The messages of the errors.</summary>
    public IReadOnlyList<string> Errors =>
        [.. found.Where(finding => finding.Kind == FindingKind.Error).Select(finding => finding.Message)];

    public void Error(string message) => found.Add(new Finding(FindingKind.Error, message));

    public void Warning(string message) => found.Add(new Finding(FindingKind.Warning, message));

    public void Note(string message) => found.Add(new Finding(FindingKind.Note, message));

    /// <summary>Does some work; a refusal becomes an error among the findings.</summary>
    public void Try(Action work) => Try(() =>
    {
        work();
        return true;
    });

    /// <inheritdoc cref="Try(Action)"/>
    /// <returns>The result, or the default where it was refused.</returns>
    public T? Try<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (InputException e)
        {
            Error(e.Message);
            return default;
        }
    }
}
