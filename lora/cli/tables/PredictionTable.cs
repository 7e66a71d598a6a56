using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;

namespace LoraScratch.Cli.Tables;

/// <summary>
/// The columns of 'lora predict --out' that stand behind those of the input: for each task
/// predicted_label and predicted_probability (predicted_labels where any number of classes may
/// hold), and a probability_CLASS for each class; of several tasks with NAME. before them.
/// </summary>
/// <param name="tasks">In the order of their columns.</param>
/// <param name="threshold">
/// The least probability of an answer, or of a class that holds; null: every answer is given, and
/// classes hold from 0.5 on.
/// </param>
internal sealed class PredictionTable(IReadOnlyList<PredictedTask> tasks, double? threshold)
{
    /// <summary>Where any number of classes may hold: from which probability on one does.</summary>
    public const double Holds = 0.5;

    private readonly int[] unsure = new int[tasks.Count];

    /// <summary>Their names.</summary>
    public IReadOnlyList<string> Columns { get; } = [.. tasks.SelectMany(Names)];

    /// <summary>Refuses a file in which the columns could not be told apart.</summary>
    /// <param name="path">The file.</param>
    /// <param name="input">Where the other columns are from.</param>
    /// <param name="carried">Their names.</param>
    /// <exception cref="InputException">
    /// A name is taken, or that of a class has the sign between classes.
    /// </exception>
    public void RequireFits(string path, string input, IReadOnlyList<string> carried)
    {
        if (Columns.FirstOrDefault(carried.Contains) is { } taken)
        {
            throw new InputException($"{path}: the column '{taken}' is to hold predictions, and {input} "
                + "has a column of that name. Rename that one, or choose the columns to keep with --columns.");
        }
        if (TableWriter.KindOf(path) != ".jsonl" && tasks.Where(task => task.IsMultiLabel)
            .SelectMany(task => task.Labels).FirstOrDefault(label => label.Contains(LabelSets.Separator)) is { } wrong)
        {
            throw new InputException($"{path}: the classes that hold are written with '{LabelSets.Separator}' between "
                + $"them, and the name of the class '{wrong}' has it too. Write a .jsonl file, in which "
                + "they are a list.");
        }
    }

    /// <summary>The cells of a row.</summary>
    /// <param name="answers">One of each task.</param>
    public IEnumerable<object?> Cells(IReadOnlyList<Prediction> answers)
    {
        for (var i = 0; i < tasks.Count; i++)
        {
            var answer = answers[i];
            if (answer.IsMultiLabel)
            {
                yield return answer.Labels(threshold ?? Holds);
            }
            else
            {
                var isUnsure = threshold is { } least && answer.IsUnsure(least);
                unsure[i] += isUnsure ? 1 : 0;
                yield return isUnsure ? null : answer.Label;
                yield return answer.Probability;
            }
            foreach (var probability in answer.Probabilities.Values)
            {
                yield return probability;
            }
        }
    }

    /// <summary>
    /// ", 12 unsure", with the names of several tasks; nothing without a threshold.
    /// </summary>
    public string Unsure() => threshold is null ? "" : string.Concat(tasks.Zip(unsure)
        .Where(entry => !entry.First.IsMultiLabel)
        .Select(entry => $", {(entry.First.Name is { } name ? $"{name}: " : "")}{Text.Count(entry.Second)} unsure"));

    private static IEnumerable<string> Names(PredictedTask task)
    {
        string[] answer = task.IsMultiLabel ? ["predicted_labels"] : ["predicted_label", "predicted_probability"];
        return answer.Concat(task.Labels.Select(label => $"probability_{label}"))
            .Select(column => task.Name is null ? column : $"{task.Name}.{column}");
    }
}
