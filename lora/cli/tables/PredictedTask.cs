namespace LoraScratch.Cli.Tables;

/// <summary>A task whose answers are columns of a table.</summary>
/// <param name="Name">
/// Stands before the names of its columns; null where there is only one task.
/// </param>
/// <param name="Labels">Its classes.</param>
/// <param name="IsMultiLabel">Whether any number of them may hold.</param>
internal sealed record PredictedTask(string? Name, IReadOnlyList<string> Labels, bool IsMultiLabel);
