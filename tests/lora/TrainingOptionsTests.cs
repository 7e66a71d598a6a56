using LoraScratch.Engine;
using LoraScratch.Lora;
using LoraScratch.Lora.Training;

namespace LoraScratch.Tests.Lora;

public class TrainingOptionsTests
{
    private static IEnumerable<TestCaseData> Senseless()
    {
        var options = new TrainingOptions();
        return new (TrainingOptions Options, string Expected)[]
        {
            (options with { Targets = ["query", "head"], TrainHead = true },
                "the head would be adapted and trained itself"),
            (options with { Method = TrainingMethod.LastLayers, TrainHead = false }, "nothing to train"),
            (options with { Method = TrainingMethod.Full, TrainHead = false }, "contradicts option 'method' full"),
            (options with { Method = TrainingMethod.Full, InitialAdapter = "adapter" },
                "Option 'init-adapter' continues a LoRA adapter"),
            (options with { Momentum = 0.9f }, "Option 'momentum' 0.9 has no effect with option 'optimizer' adamw"),
            (options with { Targets = [] }, "Option 'targets' is empty"),
            (options with { Targets = ["query", "q"] },
                "Option 'targets' names 'q'; the names are query, key, value, projection, mlp, embeddings, head"),
            (options with { Targets = ["key", "key"] }, "'key' twice"),
            (options with { Lora = new LoRASettings(0) }, "Option 'rank' is 0; expected at least 1"),
            (options with { Epochs = 0 }, "Option 'epochs' is 0"),
            (options with { BatchSize = -1 }, "Option 'batch-size' is -1"),
            (options with { LearningRate = 0 }, "Option 'lr' is 0"),
            (options with { LearningRate = float.NaN }, "Option 'lr' is NaN"),
            (options with { Clip = float.PositiveInfinity }, "Option 'clip' is Infinity"),
            (options with { Validation = 1 }, "Option 'validation' is 1"),
            (options with { Warmup = 2.5 }, "Option 'warmup' is 2.5; expected a whole number of steps"),
            (options with { MaxLength = 2 }, "Option 'max-length' is 2"),
            (options with { Clip = -1 }, "Option 'clip' is -1"),
        }.Select(row => new TestCaseData(row.Options, row.Expected).SetArgDisplayNames(row.Expected));
    }

    [TestCaseSource(nameof(Senseless))]
    public void Refuses(TrainingOptions options, string expected) =>
        Assert.That(options.Check, Throws.TypeOf<InputException>().With.Message.Contains(expected));

    [Test]
    public void The_head_is_trained_beside_LoRA_unless_LoRA_adapts_it()
    {
        Assert.That(new TrainingOptions().WantsHead, Is.True);
        Assert.That(new TrainingOptions { Targets = ["head"] }.WantsHead, Is.False);
        Assert.That(new TrainingOptions { TrainHead = false }.WantsHead, Is.False);
    }

    [Test]
    public void Rates_and_decays_have_a_default_for_each_method_and_optimizer()
    {
        var options = new TrainingOptions();
        Assert.That((options.ResolvedLearningRate, options.ResolvedWeightDecay), Is.EqualTo((5e-4f, 0.01f)));
        Assert.That((options with { Method = TrainingMethod.Full }).ResolvedLearningRate, Is.EqualTo(5e-5f));
        Assert.That((options with { Optimizer = OptimizerKind.Adam }).ResolvedWeightDecay, Is.Zero);
        Assert.That((options with { LearningRate = 2, WeightDecay = 0.5f }).ResolvedLearningRate, Is.EqualTo(2));
    }
}
