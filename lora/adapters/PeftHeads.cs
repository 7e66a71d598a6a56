using LoraScratch.Engine.NN;
using LoraScratch.Lora.Families;

namespace LoraScratch.Lora.Adapters;

/// <summary>
/// The modules that PEFT trains and saves whole with an adapter, without being told.
/// </summary>
internal static class PeftHeads
{
    /// <summary>task_type of a classifier of texts.</summary>
    public const string Classification = "SEQ_CLS";

    /// <summary>The names that a task adds to modules_to_save.</summary>
    /// <param name="taskType">task_type; null for none.</param>
    public static IReadOnlyList<string> ImpliedBy(string? taskType) => taskType switch
    {
        Classification or "TOKEN_CLS" => ["classifier", "score"],
        "QUESTION_ANS" => ["qa_outputs"],
        _ => [],
    };

    /// <summary>
    /// Whether a module is one that PEFT takes for a classifier's head, or stands within one: the
    /// classifier.dense of a RoBERTa.
    /// </summary>
    public static bool IsOfClassifier(string module) => ImpliedBy(Classification)
        .Any(head => module == head || module.StartsWith($"{head}.", StringComparison.Ordinal));

    /// <summary>
    /// The modules that PEFT takes for saved ones: those whose path merely ends with one of the
    /// names, so that 'classifier' means 'pre_classifier' too.
    /// </summary>
    public static IReadOnlyList<ModuleToSave> EndingWith(IReadOnlyList<string> endings, Module model) =>
        [.. model.NamedModules()
            .Where(entry => entry.Path.Length > 0 && entry.Module.Parameters().Any()
                && endings.Any(ending => entry.Path.EndsWith(ending, StringComparison.Ordinal)))
            .Select(entry => new ModuleToSave(entry.Path, entry.Module))];

    /// <summary>
    /// The parameters of the head that an adapter of a classifier lacks; without them PEFT fails.
    /// </summary>
    /// <param name="layers">Paths of the adapted layers, which tell whose head it is.</param>
    /// <param name="whole">Paths of the parameters that the adapter holds whole.</param>
    public static IReadOnlyList<string> MissingOf(IEnumerable<string> layers, IEnumerable<string> whole) =>
        layers.Select(EncoderFamilies.OfPath).FirstOrDefault(family => family is not null) is { } family
            ? [.. family.Head.OwnParameters.Except(whole)]
            : [];
}
