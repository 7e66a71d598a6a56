using System.Runtime.InteropServices;
using System.Security.Cryptography;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Processes;
using LoraScratch.Lora.Quantization;
using LoraScratch.Lora.Tokenizers;
using LoraScratch.Lora.Training;

namespace LoraScratch.Tests.Lora.Processes;

/// <summary>
/// Tiny trainings of every kind, with dropout wherever there can be some, steps that do not divide
/// and a last one that is smaller.
/// </summary>
internal static class SharedRuns
{
    public static readonly TrainingOptions Options = new()
    {
        Lora = new LoRASettings(4, 6, Dropout: 0.2f),
        Epochs = 2,
        BatchSize = 8,
        MicroBatch = 2,
        LearningRate = 0.02f,
        Seed = 5,
    };

    private static readonly EncodedExample[] Train = TinyDistilBert.Sentences(27, 1),
        Validation = TinyDistilBert.Sentences(70, 2);

    /// <summary>By name.</summary>
    public static readonly IReadOnlyDictionary<string, TrainingOptions> Kinds = new Dictionary<string, TrainingOptions>
    {
        ["lora"] = Options,
        ["lora, accumulated, class weights, SGD"] = Options with
        {
            Accumulate = 2,
            BalancedClasses = true,
            Optimizer = OptimizerKind.Sgd,
            Momentum = 0.9f,
        },
        ["lora in the last layer, the others' output kept"] = Options with { Layers = ["1"], FrozenDropout = false },
        ["qa-lora"] = Options with
        {
            Method = TrainingMethod.QALoRA,
            Lora = new LoRASettings(2, 4),
            Quantization = new QuantizationSettings { Format = new QuantizationFormat(4, 16) },
        },
        ["last-layers"] = Options with { Method = TrainingMethod.LastLayers, FrozenDropout = false },
        ["full"] = Options with { Method = TrainingMethod.Full, Recompute = true, ValidateEvery = 3 },
        [Pretraining] = Options with { Method = TrainingMethod.Full, LearningRate = 5e-3f },
    };

    private const string Pretraining = "pretraining";

    /// <summary>Carries one out, on a device of its own.</summary>
    /// <returns>Hash of the weights and of everything that was measured, times apart.</returns>
    public static string Run(string name, ProcessGroup processes, TrainingOptions? options = null,
        CheckpointOptions? checkpoint = null, int stopAfter = int.MaxValue)
    {
        options ??= Kinds[name];
        using var backend = new CpuBackend(1);
        var (run, model) = Start(name, options, backend);
        using var cancellation = new CancellationTokenSource();
        run.StepDone += step =>
        {
            if (step.Step == stopAfter && processes.Rank == processes.Size - 1)
            {
                cancellation.Cancel();                          // one of them is enough
            }
        };
        var result = run.Run(cancellation.Token, checkpoint, processes);
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var parameter in model.Parameters())
        {
            hash.AppendData(MemoryMarshal.AsBytes<float>(parameter.ToArray()));
        }
        foreach (var look in result.Validations)
        {
            hash.AppendData(BitConverter.GetBytes(look.Validation?.Loss ?? 0));
        }
        foreach (var step in result.Metrics)
        {
            hash.AppendData(MemoryMarshal.AsBytes<float>(new[] { step.Loss, step.GradientNorm, step.Tokens }));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset())[..16];
    }

    private static (TrainingRun Run, Module Model) Start(string name, TrainingOptions options, IBackend backend)
    {
        if (name == Pretraining)
        {
            var masked = new EncoderForMaskedLM(TinyDistilBert.Config with { Dropout = 0.1f }, seed: 3, backend);
            return (LoraScratch.Lora.Training.Pretraining.Start(masked,
                new TokenMasking(WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary)),
                new PretrainingData(Train, Validation, Train.Length, Validation.Length), options).Training, masked);
        }
        var classifier = options.Method == TrainingMethod.QALoRA
            ? TinyDistilBert.ClassifierForGroups(backend) : TinyDistilBert.Classifier(backend: backend);
        return (FineTuning.Start(classifier, Train, Validation, options).Training, classifier.Model);
    }
}
