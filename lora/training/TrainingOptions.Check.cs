using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Lora.Training;

/// <content>Which values and combinations make sense.</content>
public sealed partial record TrainingOptions
{
    /// <summary>Refuses values and combinations that make no sense.</summary>
    /// <exception cref="InputException">
    /// The message names the option, what was expected and what to do.
    /// </exception>
    public void Check()
    {
        foreach (var option in TrainingOptionList.OfRuns
            .Concat(IsLowRank ? TrainingOptionList.OfAdapters : []))
        {
            option.Check(this);
        }
        if (MicroBatch is { } part && BatchSize % part != 0)
        {
            throw new InputException($"Option 'MicroBatch' is {part} and option 'BatchSize' {BatchSize}: a batch is "
                + $"cut into equal micro-batches. Give one of {string.Join(", ", Enumerable.Range(1, BatchSize)
                    .Where(size => BatchSize % size == 0))}.");
        }
        if (BalancedClasses && ClassWeights is not null)
        {
            throw new InputException("Option 'BalancedClasses' and option 'ClassWeights' both say how much a class "
                + "weighs. Give one of them.");
        }
        if (Validation == 0)
        {
            RequireNoValidation();
        }
        if (Momentum > 0 && Optimizer != OptimizerKind.Sgd)
        {
            throw new InputException($"Option 'Momentum' {Momentum} has no effect with option 'Optimizer' "
                + $"{NameOf(Optimizer)}, which has a momentum of its own (β₁ = 0.9). Leave it "
                + "out, or take option 'Optimizer' sgd.");
        }
        if (!IsLowRank && InitialAdapter is not null)
        {
            throw new InputException("Option 'InitialAdapter' continues a LoRA adapter; only option 'Method' lora "
                + "and qa-lora train one. Merge the adapter first to train the model itself.");
        }
        if (!IsLowRank && TrainHead == false)
        {
            throw new InputException(Method == TrainingMethod.LastLayers
                ? "Option 'TrainHead' false leaves option 'Method' last-layers nothing to train: the last layers "
                    + "are the head. Leave it out."
                : "Option 'TrainHead' false contradicts option 'Method' full, which trains everything. Leave it "
                    + "out, or take option 'Method' lora.");
        }
        if (IsLowRank)
        {
            if (Targets is not null)
            {
                LoRATargets.Check(Targets);
            }
            if (InitialAdapter is null && TrainHead == true && AdaptsHead)
            {
                throw new InputException("Option 'Targets' has head and option 'TrainHead' is true: the head would "
                    + "be adapted and trained itself. Take one of the two.");
            }
            if (Method == TrainingMethod.QALoRA && AdaptsHead)
            {
                throw new InputException("Option 'Targets' has head, which is not quantised, and option 'Method' "
                    + "qa-lora adapts quantised layers. Leave head out: it is trained itself.");
            }
            Quantization?.Check();
        }
    }

    /// <summary>Refuses what has no meaning without held-out examples.</summary>
    private void RequireNoValidation()
    {
        (string Option, bool IsGiven)[] given =
        [
            ($"'ValidateEvery' {ValidateEvery}", ValidateEvery > 0),
            ($"'EarlyStopping' {EarlyStopping}", EarlyStopping is not null),
            ($"'Metric' {NameOf(Metric)}", Metric != ScoreMetric.Accuracy),
        ];
        if (Array.Find(given, each => each.IsGiven) is { Option: { } idle })
        {
            throw new InputException($"Option {idle} has nothing to validate on: option 'Validation' is 0. Hold "
                + "examples out (option 'Validation' 0.1), or leave it out.");
        }
    }
}
