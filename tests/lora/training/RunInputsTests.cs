using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Training;

namespace LoraScratch.Tests.Lora;

/// <summary>What a run starts from, as hashes that processes compare.</summary>
public sealed class RunInputsTests
{
    private static readonly EncodedExample[] Train = [new([2, 5, 3], 0), new([2, 7, 8, 3], 1)];
    private static readonly EncodedExample[] Held = [new([2, 9, 3], 1)];

    [Test]
    public void Equal_weights_and_examples_have_equal_inputs()
    {
        var (one, other) = (Inputs(seed: 1, Train, Held), Inputs(seed: 1, [.. Train], [.. Held]));
        Assert.That(one.DifferencesFrom(other), Is.Empty);
        Assert.That(one.Weights, Is.EqualTo(other.Weights).And.Match("^[0-9a-f]{64}$"));
    }

    [Test]
    public void Whatever_differs_is_named_by_its_part()
    {
        var saved = Inputs(seed: 1, Train, Held);
        Assert.That(Parts(Inputs(seed: 2, Train, Held)), Is.EqualTo(new[] { RunPart.Base }));
        Assert.That(Parts(Inputs(seed: 1, [Train[1], Train[0]], Held)), Is.EqualTo(new[] { RunPart.Data }), "order");
        Assert.That(Parts(Inputs(seed: 1, [Train[0] with { Label = 1 }, Train[1]], Held)),
            Is.EqualTo(new[] { RunPart.Data }), "a label");
        Assert.That(Parts(Inputs(seed: 2, Train, [])), Is.EqualTo(new[] { RunPart.Base, RunPart.Data }));
        Assert.That(Inputs(seed: 1, Train, []).DifferencesFrom(saved).Single().Sentence, Does.StartWith(
            "option 'data' gave 1 examples held out for validation (SHA-256 ").And.Contain("gives 0 now"));

        IEnumerable<RunPart> Parts(RunInputs now) => now.DifferencesFrom(saved).Select(each => each.Part);
    }

    [Test]
    public void What_is_frozen_belongs_to_the_inputs()
    {
        var model = new Linear(4, 3, new RandomStream(1), backend: Backends.Any);
        var before = RunInputs.Of(model).Weights;
        model.Freeze();
        Assert.That(RunInputs.Of(model).Weights, Is.Not.EqualTo(before));
    }

    private static RunInputs Inputs(ulong seed, EncodedExample[] train, EncodedExample[] held) =>
        RunInputs.Of(new Linear(4, 3, new RandomStream(seed), backend: Backends.Any), (RunInputs.Train, train),
            (RunInputs.Validation, held));
}
