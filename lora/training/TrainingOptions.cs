using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Quantization;

namespace LoraScratch.Lora.Training;

/// <summary>What is trained.</summary>
public enum TrainingMethod
{
    /// <summary>
    /// A low-rank update of chosen layers; everything else is frozen, the head perhaps excepted.
    /// </summary>
    LoRA,

    /// <summary>
    /// A low-rank update of chosen quantised layers, which merges into their zeros; everything else
    /// is frozen, the head perhaps excepted. A float model is quantised first.
    /// </summary>
    QALoRA,

    /// <summary>
    /// The last two layers alone: DistilBERT's pre_classifier and classifier, BERT's pooler and
    /// classifier, both layers of other heads.
    /// </summary>
    LastLayers,

    /// <summary>Every parameter.</summary>
    Full,
}

/// <summary>What the output of frozen layers is rounded to.</summary>
public enum FrozenPrecision
{
    /// <summary>Four bytes a value: as it was computed.</summary>
    Float32,

    /// <summary>
    /// Two bytes a value, IEEE 754 half precision: off by 2⁻¹¹ of a value at most, up to ±65504.
    /// </summary>
    Float16,
}

/// <summary>The rule that turns gradients into steps.</summary>
public enum OptimizerKind
{
    /// <summary>Adam with decoupled weight decay.</summary>
    AdamW,

    /// <summary>Adam; weight decay, where given, is added to the gradient.</summary>
    Adam,

    /// <summary>Stochastic gradient descent, with momentum where given.</summary>
    Sgd,
}

/// <summary>How the learning rate continues after the warm-up.</summary>
public enum ScheduleKind
{
    /// <summary>Falls in a straight line to 0 at the last step.</summary>
    Linear,

    /// <summary>Stays.</summary>
    Constant,
}

/// <summary>
/// Everything that decides what a training run computes, apart from the model and the data. The
/// same options and seed give the same weights, bit for bit.
/// </summary>
public sealed partial record TrainingOptions
{
    /// <summary>What is trained.</summary>
    public TrainingMethod Method { get; init; } = TrainingMethod.LoRA;

    /// <summary>
    /// Rank, alpha, scaling, initial values, pooling and dropout of the LoRA layers; without effect
    /// for other methods.
    /// </summary>
    public LoRASettings Lora { get; init; } = new();

    /// <summary>
    /// The layers that get LoRA: query, key, value, projection, mlp, embeddings, head. Null: query
    /// and value, as in the tutorials; of the built-in base model, whose word embeddings know much,
    /// the embeddings and all linear layers of the encoder.
    /// </summary>
    public IReadOnlyList<string>? Targets { get; init; }

    /// <summary>
    /// The encoder's layers in which the targets are adapted: their numbers from 0, or one entry
    /// "last:2" for the last two. Empty: all of them.
    /// </summary>
    public IReadOnlyList<string> Layers { get; init; } = [];

    /// <summary>
    /// How <see cref="TrainingSetup.Quantize"/> quantises a float model for
    /// <see cref="TrainingMethod.QALoRA"/>; null: as the defaults are.
    /// </summary>
    internal QuantizationSettings? Quantization { get; init; }

    /// <summary>
    /// Folder of an adapter to continue from; its rank, alpha and targets hold then instead of
    /// those given here. Null: a new adapter.
    /// </summary>
    public string? InitialAdapter { get; init; }

    /// <summary>
    /// Takes <see cref="InitialAdapter"/> although it was trained on other base weights.
    /// </summary>
    public bool AnyBase { get; init; }

    /// <summary>
    /// Whether the classification head is trained beside LoRA (BERT's pooler belongs to the encoder
    /// and stays frozen, unless the checkpoint has none); null: yes, unless the targets adapt it or
    /// the initial adapter has no head.
    /// </summary>
    public bool? TrainHead { get; init; }

    /// <summary>
    /// Whether dropout runs in the layers below the first that is trained, as in the others. False:
    /// they compute as in evaluation, and a run of several epochs computes their output once and
    /// keeps it. A model without dropout is trained the same either way.
    /// </summary>
    public bool FrozenDropout { get; init; } = true;

    /// <summary>
    /// What the output of frozen layers without dropout is rounded to in training and validation:
    /// what is kept of it takes half of the bytes in half precision, in memory and in the file. Who
    /// predicts with the result computes in float32.
    /// </summary>
    public FrozenPrecision FrozenPrecision { get; init; }

    /// <summary>
    /// Bytes of memory for the output of the frozen layers; what is more lies in a temporary file.
    /// 0: nothing is kept; null: a quarter of the memory. The result does not depend on it.
    /// </summary>
    public long? CacheMemory { get; init; }

    /// <summary>
    /// Whether of each of the encoder's layers its input alone is held for the backward pass, in
    /// which the layer is computed again (activation checkpointing, see
    /// <see cref="Engine.Recompute"/>): less memory for a third to half as much time again. The
    /// result does not depend on it, bit for bit.
    /// </summary>
    public bool Recompute { get; init; }

    /// <summary>
    /// Whether LoRA may adapt a head that is randomly initialised, as the tutorial's grid does. An
    /// adapter file holds A and B only, so that such a model can only be had again from its seed.
    /// </summary>
    public bool AdaptUntrainedHead { get; init; }

    /// <summary>The rule for steps.</summary>
    public OptimizerKind Optimizer { get; init; } = OptimizerKind.AdamW;

    /// <summary>Largest learning rate; null: <see cref="ResolvedLearningRate"/> decides.</summary>
    public float? LearningRate { get; init; }

    /// <summary>Weight decay; null: 0.01 for AdamW, else 0.</summary>
    public float? WeightDecay { get; init; }

    /// <summary>Momentum of <see cref="OptimizerKind.Sgd"/>.</summary>
    public float Momentum { get; init; }

    /// <summary>Largest norm of all gradients together; 0: no clipping.</summary>
    public float Clip { get; init; } = 1;

    /// <summary>
    /// Steps over which the learning rate rises from 0; below 1: that share of all steps.
    /// </summary>
    public double Warmup { get; init; } = 0.06;

    /// <summary>How the learning rate continues.</summary>
    public ScheduleKind Schedule { get; init; } = ScheduleKind.Linear;

    /// <summary>
    /// Batches whose gradients are added up for one step: as a batch so many times as large, in the
    /// memory of one.
    /// </summary>
    public int Accumulate { get; init; } = 1;

    /// <summary>Passes over the data.</summary>
    public int Epochs { get; init; } = 3;

    /// <summary>Examples of a batch.</summary>
    public int BatchSize { get; init; } = 16;

    /// <summary>
    /// Examples of a micro-batch, a divisor of <see cref="BatchSize"/>: the gradients of each are
    /// computed by themselves, with random numbers of their own, and added up in a fixed order. So
    /// several processes can share a step, and the weights have the same bits for any number of
    /// them; another size of the micro-batches gives other bits. Null: a batch is one.
    /// </summary>
    public int? MicroBatch { get; init; }

    /// <summary>
    /// Tokens of a text at most, [CLS] and [SEP] included; null: 512, or as many as the model has
    /// positions.
    /// </summary>
    public int? MaxLength { get; init; }

    /// <summary>
    /// Ends the training after so many steps, if the epochs do not end before; null: no limit.
    /// </summary>
    public int? MaxSteps { get; init; }

    /// <summary>Uses so many examples of the data only; null: all.</summary>
    public int? Limit { get; init; }

    /// <summary>
    /// Share of the data that is held out to choose the best state; 0: none, and the last state
    /// is kept.
    /// </summary>
    public double Validation { get; init; } = 0.1;

    /// <summary>
    /// Validates after every so many steps too; 0: at the ends of the epochs
    /// only.
    /// </summary>
    public int ValidateEvery { get; init; }

    /// <summary>
    /// Whether the held-out examples are drawn class by class, so that both parts have the same
    /// shares of the classes and no class is held out whole; false: from all alike.
    /// </summary>
    public bool Stratified { get; init; } = true;

    /// <summary>By what the best state, which is kept, is chosen.</summary>
    public ScoreMetric Metric { get; init; }

    /// <summary>
    /// Ends the training after so many validations in a row without a better state; null: never.
    /// </summary>
    public int? EarlyStopping { get; init; }

    /// <summary>
    /// Whether each class weighs n / (classes · nₖ) in the loss, nₖ of the n training examples
    /// being its own, as scikit-learn's class_weight="balanced".
    /// </summary>
    public bool BalancedClasses { get; init; }

    /// <summary>
    /// How much each class weighs in the loss, by its name: the loss of a step is Σ w·l / Σ w over
    /// its examples, as PyTorch's cross_entropy(weight=…). A class that is not named weighs 1.
    /// Null: all weigh the same. The loss on held-out examples is never weighted.
    /// </summary>
    public IReadOnlyDictionary<string, double>? ClassWeights { get; init; }

    /// <summary>Names every random number of the run.</summary>
    public ulong Seed { get; init; } = 1;

    /// <summary>Whether every epoch has its own order of the examples.</summary>
    public bool Shuffle { get; init; } = true;

    /// <summary>Whether the head's own weights are to be trained.</summary>
    internal bool WantsHead => !IsLowRank || (TrainHead ?? !AdaptsHead);

    /// <summary>Whether the head is among the targets.</summary>
    internal bool AdaptsHead => Targets?.Contains(LoRATargets.Head) == true;

    /// <summary>Whether an adapter is trained.</summary>
    internal bool IsLowRank => Method is TrainingMethod.LoRA or TrainingMethod.QALoRA;

    /// <summary>
    /// The learning rate, or its default: 5e-4 for LoRA and QA-LoRA, 1e-3 for the last layers, 5e-5
    /// for all; 0.01 with SGD, whose steps have no size of their own.
    /// </summary>
    public float ResolvedLearningRate => LearningRate ?? (Optimizer, Method) switch
    {
        (OptimizerKind.Sgd, _) => 1e-2f,
        (_, TrainingMethod.LoRA or TrainingMethod.QALoRA) => 5e-4f,
        (_, TrainingMethod.LastLayers) => 1e-3f,
        _ => 5e-5f,
    };

    /// <summary>The weight decay, or its default.</summary>
    public float ResolvedWeightDecay => WeightDecay ?? (Optimizer == OptimizerKind.AdamW ? 0.01f : 0);

    /// <summary>Examples that are computed at once.</summary>
    internal int ExamplesAtOnce => MicroBatch ?? BatchSize;

    /// <summary>Micro-batches of a step, or batches where there are none.</summary>
    internal int PartsOfStep => Accumulate * (BatchSize / ExamplesAtOnce);

    /// <summary>
    /// These options, with micro-batches where several processes share the steps: eight or more of
    /// a batch, if it has so many examples.
    /// </summary>
    /// <param name="processes">How many processes.</param>
    /// <exception cref="InputException">A step has fewer micro-batches than processes.</exception>
    internal TrainingOptions For(int processes)
    {
        if (processes == 1)
        {
            return this;
        }
        var shared = this with
        {
            MicroBatch = MicroBatch ?? Enumerable.Range(1, Math.Max(1, BatchSize / 8))
                .Last(size => BatchSize % size == 0),
        };
        return shared.PartsOfStep >= processes ? shared : throw new InputException(
            $"A step has {shared.PartsOfStep} micro-batches for {processes} processes: "
            + $"{processes - shared.PartsOfStep} of them would have nothing to do. Start fewer, or raise option "
            + $"'BatchSize' (now {BatchSize}) or option 'Accumulate' (now {Accumulate}), or lower option "
            + $"'MicroBatch' (now {shared.MicroBatch}).");
    }

    /// <summary>These options, with the targets that a model has where none are given.</summary>
    internal TrainingOptions For(ModelSource? source) =>
        this with { Targets = Targets ?? LoRATargets.DefaultOf(source) };

    /// <summary>The name of a method, as option 'Method' has it.</summary>
    internal static string NameOf(TrainingMethod method) => method switch
    {
        TrainingMethod.LoRA => "lora",
        TrainingMethod.QALoRA => "qa-lora",
        TrainingMethod.LastLayers => "last-layers",
        _ => "full",
    };

    /// <summary>The name of a metric, as option 'Metric' has it: "macro-f1".</summary>
    internal static string NameOf(ScoreMetric metric) => JsonNamingPolicy.KebabCaseLower.ConvertName($"{metric}");

    /// <summary>The name of an optimizer, as option 'Optimizer' has it.</summary>
    internal static string NameOf(OptimizerKind optimizer) => optimizer.ToString().ToLowerInvariant();
}
