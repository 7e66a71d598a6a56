using LoraScratch.Lora.Classification;

namespace LoraScratch.Lora.Training;

/// <summary>
/// The options that say which examples are held out, what is chosen by them and when a run ends for
/// it, and how much a class weighs: a part of <see cref="TrainingOptionList"/>. Pretraining, which
/// has no classes, does not have them.
/// </summary>
internal static class ValidationOptionList
{
    /// <summary>How the held-out examples are drawn.</summary>
    public static TrainingOption Split { get; } = new ChoiceOption("split", "How the held-out examples are drawn: "
        + "class by class, so that both parts have the same shares of the classes and no class is held out whole, or "
        + "from all alike.", ["stratified", "random"], options => options.Stratified ? "stratified" : "random",
        (options, word) => options with { Stratified = word == "stratified" })
    {
        Property = nameof(TrainingOptions.Stratified),
        IsFixedInPretraining = true,
        Formerly = "stratified",
    };

    /// <summary>All of them.</summary>
    public static IReadOnlyList<TrainingOption> All { get; } =
    [
        Split,
        ChoiceOption.Of("metric", "What the best state, which is kept, is best in on the held-out examples; among "
            + "equals the loss decides. An experiment chooses between its runs by accuracy all the same.",
            (ScoreMetric metric) => TrainingOptions.NameOf(metric), options => options.Metric,
            (options, metric) => options with { Metric = metric }) with
        { IsFixedInPretraining = true, Formerly = TrainingOptions.NameOf(ScoreMetric.Accuracy) },
        new WholeNumberOption("early-stopping", "Ends the training after so many validations in a row without a "
            + "better state, and keeps the best. [default: never]", options => options.EarlyStopping,
            (options, validations) => options with { EarlyStopping = validations })
        {
            IsOptional = true,
            IsFixedInPretraining = true,
            Formerly = ResolvedOptions.Text(null),
            Holds = options => options.EarlyStopping is null or >= 1,
            Expected = "a number of validations from 1",
        },
        new TextOption("class-weights", "How much a class weighs in the training loss: balanced, which gives rare "
            + "classes more (examples / (classes · examples of the class)), or weights by name, the others weighing "
            + "1. [default: all the same]", "balanced|NAME=X,…", ClassWeights.Text, ClassWeights.Read)
        {
            IsOptional = true,
            IsFixedInPretraining = true,
            Formerly = ResolvedOptions.Text(null),
        },
    ];
}
