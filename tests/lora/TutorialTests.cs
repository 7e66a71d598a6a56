using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// The tutorial's own example: a perceptron of two layers, each with LoRA beside it.
/// </summary>
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

        Assert.That(model.TrainableParameters().Sum(parameter => parameter.Shape.Count),
            Is.EqualTo(4 * (8 + 32) + 4 * (32 + 2)));
        var start = Loss(model, bend: 1.5f);
        Train(model, steps: 150, bend: 1.5f, random);
        Assert.That(Loss(model, bend: 1.5f), Is.LessThan(0.5f * start), "the second task is learned");
        Assert.That(weights.Select(parameter => parameter.Bits()), Is.EqualTo(before),
            "and the base is as it was, bit for bit");
    }

    [Test]
    public void The_two_layer_perceptron_of_the_readme_runs()
    {
        var random = new RandomStream(seed: 1);
        var model = new Sequential(
            new LinearWithLoRA(new Linear(784, 128, random), rank: 4, alpha: 8, random),   // y = xWᵀ + b + (8/4)·(xA)B
            new Relu(),
            new LinearWithLoRA(new Linear(128, 10, random), rank: 4, alpha: 8, random));
        Console.WriteLine(model);

        // A and B of both layers: W and b are frozen
        using var optimizer = new AdamW(model.TrainableParameters(), learningRate: 1e-2f);
        using var x = Tensor.From(random.Normal(32 * 784, 1), new Shape(32, 784));
        using var labels = new Indices([.. Enumerable.Range(0, 32).Select(row => row % 10)]);
        var losses = new List<float>();
        for (var step = 0; step < 30; step++)
        {
            // gives the step's memory back
            using var scope = new TensorScope();
            var loss = model.Forward(x).CrossEntropy(labels);
            losses.Add(loss.Item());
            loss.Backward();
            optimizer.Step();
            optimizer.ZeroGradient();
        }

        Assert.That(losses[^1], Is.LessThan(0.1f * losses[0]));
        Assert.That(model.Parameters().Except(model.TrainableParameters()).Select(parameter => parameter.Gradient),
            Has.All.Null);
        Assert.That(model.TrainableParameters().Sum(parameter => parameter.Shape.Count),
            Is.EqualTo(4 * (784 + 128) + 4 * (128 + 10)));
    }

    [Test]
    public void The_adapter_of_the_readme_is_planned_saved_loaded_and_merged()
    {
        using var temporary = new TemporaryFolder();
        var folder = temporary.File("my-adapter");
        var random = new RandomStream(seed: 1);
        var model = new Sequential(new Linear(16, 32, random), new Relu(), new Linear(32, 2, random));
        using var x = Tensor.From(random.Normal(3 * 16, 1), new Shape(3, 16));

        var plan = LoRAPlan.For(model, new LoRASettings(Rank: 4, Alpha: 8), targets: ["0"], modulesToSave: ["2"]);
        // which layers, how many parameters; a target that meets nothing is an error
        Console.WriteLine(plan);
        var adapter = LoRAAdapter.Attach(plan, random);
        adapter.Layers[0].Layer.Lora.B.Set(random.Normal(4 * 32, 1));   // stands for the training

        using var scope = new TensorScope();
        var trained = model.Forward(x).ToArray();
        // adapter_config.json, adapter_model.safetensors: A, B and the head
        PeftAdapter.Save(folder, adapter);
        adapter.Detach();                                           // the base as it was, the same Linear objects
        var loaded = PeftAdapter.Load(folder, model);
        Assert.That(model.Forward(x).ToArray(), Is.EqualTo(trained));
        loaded.Adapter.MergeAndDetach();                            // W + s·(AB)ᵀ for good
        Assert.That(model.Forward(x).ToArray(), Is.EqualTo(trained).Within(1e-4));
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
        var labels = Enumerable.Range(0, rows).Select(row => values[8 * row] + bend * values[8 * row + 1] > 0 ? 1 : 0)
            .ToArray();
        using var x = Tensor.From(values, new Shape(rows, 8));
        return model.Forward(x).CrossEntropy(new Indices(labels));
    }
}
