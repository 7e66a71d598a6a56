using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Lora;

namespace LoraScratch.Tests.Lora;

/// <summary>The tutorial's own example: a perceptron of two layers, each with LoRA beside it.</summary>
public sealed class TutorialTests
{
    [Test]
    public void A_pretrained_perceptron_learns_a_second_task_through_LoRA_alone()
    {
        var random = new RandomStream(seed: 1);
        var model = new Sequential(new Linear(8, 32, random), new Relu(), new Linear(32, 2, random));
        var first = Train(model, steps: 150, bend: 0, random);
        Assert.That(first, Is.LessThan(0.1f), "the base has learned its task");
        var before = model.Parameters().Select(parameter => parameter.Bits()).ToList();
        var weights = model.Parameters().ToList();

        model.ReplaceLinearWithLoRA(rank: 4, alpha: 8, random);

        Assert.That(model.TrainableParameters().Sum(parameter => parameter.Shape.Count), Is.EqualTo(4 * (8 + 32) + 4 * (32 + 2)));
        var start = Loss(model, bend: 1.5f);
        Train(model, steps: 150, bend: 1.5f, random);
        Assert.That(Loss(model, bend: 1.5f), Is.LessThan(0.5f * start), "the second task is learned");
        Assert.That(weights.Select(parameter => parameter.Bits()), Is.EqualTo(before), "and the base is as it was, bit for bit");
    }

    /// <summary>Steps of AdamW towards the sign of x₀ + bend·x₁; the last loss.</summary>
    private static float Train(Layer model, int steps, float bend, RandomStream random)
    {
        using var optimizer = new AdamW(model.TrainableParameters(), learningRate: 0.01f);
        var last = 0f;
        for (var step = 0; step < steps; step++)
        {
            using var scope = new TensorScope();
            var loss = LossOf(model, random, bend);
            last = loss.Item();
            loss.Backward();
            optimizer.Step();
            optimizer.ZeroGradient();
        }
        return last;
    }

    private static float Loss(Layer model, float bend)
    {
        using var scope = new TensorScope();
        using var noGradient = new NoGradient();
        return LossOf(model, new RandomStream(99), bend).Item();
    }

    private static Tensor LossOf(Layer model, RandomStream random, float bend)
    {
        const int rows = 64;
        var values = random.Normal(rows * 8, 1);
        var labels = Enumerable.Range(0, rows).Select(row => values[8 * row] + bend * values[8 * row + 1] > 0 ? 1 : 0).ToArray();
        using var x = Tensor.From(values, new Shape(rows, 8));
        return model.Forward(x).CrossEntropy(new Indices(labels));
    }
}
