using System.Reflection;
using LoraScratch.Cli;
using LoraScratch.Engine;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
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
            (options with { Method = TrainingMethod.Full, TrainHead = false }, "contradicts option 'Method' full"),
            (options with { Method = TrainingMethod.Full, InitialAdapter = "adapter" },
                "Option 'InitialAdapter' continues a LoRA adapter"),
            (options with { Momentum = 0.9f }, "Option 'Momentum' 0.9 has no effect with option 'Optimizer' adamw"),
            (options with { Targets = [] }, "Option 'Targets' is empty"),
            (options with { Targets = ["query", "q"] },
                "Option 'Targets' names 'q'; the names are query, key, value, projection, mlp, embeddings, head"),
            (options with { Targets = ["key", "key"] }, "'key' twice"),
            (options with { Lora = new LoRASettings(0) }, "Option 'Lora.Rank' is 0; expected at least 1"),
            (options with { Epochs = 0 }, "Option 'Epochs' is 0"),
            (options with { BatchSize = -1 }, "Option 'BatchSize' is -1"),
            (options with { LearningRate = 0 }, "Option 'LearningRate' is 0"),
            (options with { LearningRate = float.NaN }, "Option 'LearningRate' is NaN"),
            (options with { Clip = float.PositiveInfinity }, "Option 'Clip' is Infinity"),
            (options with { Validation = 1 }, "Option 'Validation' is 1"),
            (options with { Warmup = 2.5 }, "Option 'Warmup' is 2.5; expected a whole number of steps"),
            (options with { MaxLength = 2 }, "Option 'MaxLength' is 2"),
            (options with { Clip = -1 }, "Option 'Clip' is -1"),
            (options with { EarlyStopping = 0 },
                "Option 'EarlyStopping' is 0; expected a number of validations from 1"),
            (options with { EarlyStopping = 3, Validation = 0 },
                "Option 'EarlyStopping' 3 has nothing to validate on: option 'Validation' is 0"),
            (options with { Metric = ScoreMetric.MacroF1, Validation = 0 },
                "Option 'Metric' macro-f1 has nothing to validate on"),
            (options with { ValidateEvery = 5, Validation = 0 }, "Option 'ValidateEvery' 5 has nothing to validate on"),
        }.Select(row => new TestCaseData(row.Options, row.Expected).SetArgDisplayNames(row.Expected));
    }

    [TestCaseSource(nameof(Senseless))]
    public void Refuses(TrainingOptions options, string expected) =>
        Assert.That(options.Check, Throws.TypeOf<InputException>().With.Message.Contains(expected));

    [Test]
    public void Messages_name_an_option_as_CSharp_does_and_the_command_line_as_it_is_typed()
    {
        foreach (var option in TrainingOptionList.OfAdapters.Concat(TrainingOptionList.OfRuns))
        {
            var type = option.Property.Split('.').Aggregate(typeof(TrainingOptions), (type, name) =>
                type.GetProperty(name, BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic)
                    ?.PropertyType ?? throw new AssertionException($"{type.Name} has no {name}: {option.Name}"));
            Assert.That(type, Is.Not.Null);
            Assert.That(Terminal.WithFlags($"Option '{option.Property}' is odd."),
                Is.EqualTo($"--{option.Name} is odd."));
        }
        Assert.That(Terminal.WithFlags("Leave option 'baseModel', option 'new-head' or option 'InitialAdapter' out."),
            Is.EqualTo("Leave --model, --new-head or --init-adapter out."));
    }

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
