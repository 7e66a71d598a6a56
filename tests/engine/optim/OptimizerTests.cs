using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// The update rules against the same rules as loops in double, over several steps with gradients
/// that change.
/// </summary>
public class OptimizerTests
{
    private const int Count = 37, Steps = 12;

    private static Parameter Weight(string name = "weight", int seed = 1) =>
        new(name, Values.Normal(Count, seed), new Shape(Count), Backends.Any);

    [TestCase(0, 0, false)]
    [TestCase(0, 0.1, false)]
    [TestCase(0.9, 0, false)]
    [TestCase(0.9, 0.1, false)]
    [TestCase(0.9, 0.1, true)]
    [TestCase(1.5, 0, true)]
    public void Sgd_follows_its_rule(double momentum, double weightDecay, bool nesterov)
    {
        const double rate = 0.05;
        using var weight = Weight();
        using var optimizer = new Sgd([weight], (float)rate, (float)momentum, (float)weightDecay, nesterov);
        var velocity = new double[Count];
        Follow(weight, optimizer, (w, g, i, step) =>
        {
            g += weightDecay * w;
            if (momentum > 0)
            {
                velocity[i] = step == 1 ? g : momentum * velocity[i] + g;
                g = nesterov ? g + momentum * velocity[i] : velocity[i];
            }
            return w - rate * g;
        });
    }

    [TestCase(false, 0, 1e-8)]
    [TestCase(false, 0.1, 1e-8)]
    [TestCase(true, 0, 1e-8)]
    [TestCase(true, 0.1, 1e-8)]
    [TestCase(true, 0.1, 0.1, Description = "beside gradients of size 1 an ε that is in the wrong place shows")]
    public void Adam_and_AdamW_follow_their_rules(bool decoupled, double weightDecay, double epsilon)
    {
        const double rate = 0.02, beta1 = 0.9, beta2 = 0.999;
        using var weight = Weight();
        using Optimizer optimizer = decoupled
            ? new AdamW([weight], (float)rate, epsilon: epsilon, weightDecay: weightDecay)
            : new Adam([weight], (float)rate, epsilon: epsilon, weightDecay: weightDecay);
        var m = new double[Count];
        var v = new double[Count];
        Follow(weight, optimizer, (w, g, i, step) =>
        {
            if (decoupled)
            {
                w -= rate * weightDecay * w;
            }
            else
            {
                g += weightDecay * w;
            }
            m[i] = beta1 * m[i] + (1 - beta1) * g;
            v[i] = beta2 * v[i] + (1 - beta2) * g * g;
            return w - rate * (m[i] / (1 - Math.Pow(beta1, step)))
                / (Math.Sqrt(v[i] / (1 - Math.Pow(beta2, step))) + epsilon);
        });
    }

    [Test]
    public void A_parameter_without_a_gradient_is_left_alone_and_starts_its_bias_correction_later()
    {
        using var first = Weight("first", 1);
        using var second = Weight("second", 2);
        using var alone = Weight("alone", 2);
        using var both = new AdamW([first, second], 0.1f);
        using var single = new AdamW([alone], 0.1f);
        SetGradient(first, 1);
        both.Step();
        Assert.That(second.ToArray(), Is.EqualTo(Values.Normal(Count, 2)), "no gradient, no change (nor decay)");
        SetGradient(second, 5);
        SetGradient(alone, 5);
        both.Step();
        single.Step();
        Values.AssertSameBits(second.ToArray(), alone.ToArray(), "its first step");
        Assert.That(both.Steps, Is.EqualTo(2));
    }

    [Test]
    public void The_learning_rate_can_change_between_steps()
    {
        using var weight = Weight();
        using var optimizer = new Sgd([weight], 0.5f);
        var before = weight.ToArray();
        optimizer.LearningRate = 0;
        SetGradient(weight, 1);
        optimizer.Step();
        Values.AssertSameBits(weight.ToArray(), before, "rate 0");
    }

    [Test]
    public void Gradients_of_parts_add_up_to_the_gradient_of_the_big_batch()
    {
        var backend = Backends.Any;
        const int parts = 4, rows = 3, width = 9;
        using var layer = new Parameter("weight", Values.Normal(2 * width, 1), new Shape(2, width), backend);
        var x = Values.Normal(parts * rows * width, 2);
        int[] labels = [.. Enumerable.Range(0, parts * rows).Select(row => row % 2)];
        Backward(x, labels, 1);
        var whole = layer.Gradient!.ToArray();
        layer.ZeroGradient();
        for (var part = 0; part < parts; part++)
        {
            Backward(x[(part * rows * width)..((part + 1) * rows * width)], labels[(part * rows)..((part + 1) * rows)],
                1f / parts);
        }
        Values.AssertClose(layer.Gradient!.ToArray(), whole, 1e-6, "accumulated gradient");

        void Backward(float[] values, int[] classes, float share)
        {
            using var scope = new TensorScope();
            using var input = Tensor.From(values, new Shape(values.Length / width, width), backend);
            using var indices = new Indices(classes, backend);
            input.Linear(layer).CrossEntropy(indices).Scale(share).Backward();
        }
    }

    [Test]
    public void Clipping_scales_all_gradients_to_the_joint_norm_and_returns_the_norm_before()
    {
        using var first = Weight("first", 1);
        using var second = Weight("second", 2);
        using var untouched = Weight("untouched", 3);
        SetGradient(first, 11);
        SetGradient(second, 12);
        var before = first.Gradient!.ToArray().Concat(second.Gradient!.ToArray()).ToArray();
        var norm = Math.Sqrt(before.Sum(g => (double)g * g));
        Assert.That(GradientClipping.ClipNorm([first, untouched, second], (float)norm * 2),
            Is.EqualTo(norm).Within(1e-5 * norm));
        Values.AssertSameBits([.. first.Gradient!.ToArray(), .. second.Gradient!.ToArray()], before,
            "below the bound nothing changes");

        Assert.That(GradientClipping.ClipNorm([first, untouched, second], 0.5f), Is.EqualTo(norm).Within(1e-5 * norm));
        var factor = 0.5 / (norm + 1e-6);
        Values.AssertClose([.. first.Gradient!.ToArray(), .. second.Gradient!.ToArray()],
            Reference.Map(Values.ToDouble(before), g => g * factor), 1e-6, "clipped");
        Assert.That(untouched.Gradient, Is.Null);
        Assert.That(GradientClipping.ClipNorm([untouched], 1), Is.Zero, "nothing to clip");
        Assert.That(() => GradientClipping.ClipNorm([first], 0),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("above 0"));
        Assert.That(() => GradientClipping.ClipNorm([first], float.NaN), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void The_linear_schedule_rises_and_falls()
    {
        var schedule = new LinearSchedule(4, 12);
        Assert.That(Enumerable.Range(0, 15).Select(schedule.Factor),
            Is.EqualTo(new[] { 0, 0.25f, 0.5f, 0.75f, 1, 0.875f, 0.75f, 0.625f, 0.5f, 0.375f, 0.25f, 0.125f, 0, 0,
                0 }));
        var constant = new LinearSchedule(2, 4, Decays: false);
        Assert.That(Enumerable.Range(0, 6).Select(constant.Factor), Is.EqualTo(new[] { 0, 0.5f, 1, 1, 1, 1 }));
        Assert.That(new LinearSchedule(0, 2).Factor(0), Is.EqualTo(1), "no warm-up starts at the full rate");
        Assert.That(() => new LinearSchedule(-1, 2),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("WarmupSteps"));
    }

    [Test]
    public void Bad_arguments_are_errors_that_name_them()
    {
        using var weight = Weight();
        Assert.That(() => new Sgd([]), Throws.ArgumentException.With.Message.Contains("at least one parameter"));
        Assert.That(() => new Sgd([weight, weight]), Throws.ArgumentException.With.Message.Contains("twice"));
        Assert.That(() => new Sgd([weight], learningRate: -1),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("learningRate"));
        Assert.That(() => new Sgd([weight], momentum: float.NaN),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("momentum"));
        Assert.That(() => new Sgd([weight], weightDecay: -1),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("weightDecay"));
        Assert.That(() => new Sgd([weight], nesterov: true),
            Throws.ArgumentException.With.Message.Contains("momentum above 0"));
        Assert.That(() => new Adam([weight], beta1: 1),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("beta1"));
        Assert.That(() => new AdamW([weight], beta2: -0.1),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("beta2"));
        Assert.That(() => new AdamW([weight], epsilon: -1),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("epsilon"));
        weight.IsTrainable = false;
        Assert.That(() => new AdamW([weight]),
            Throws.ArgumentException.With.Message.Contains("frozen parameter 'weight' [37]"));
    }

    private static void SetGradient(Parameter weight, int seed)
    {
        using var scope = new TensorScope();
        using var slope = Values.Leaf(Backends.Any, seed, weight.Shape, requiresGradient: false);
        weight.ZeroGradient();
        weight.Multiply(slope).Sum().Backward();
    }

    private static void Follow(Parameter weight, Optimizer optimizer, Func<double, double, int, int, double> rule)
    {
        var expected = Values.ToDouble(weight.ToArray());
        for (var step = 1; step <= Steps; step++)
        {
            SetGradient(weight, 100 + step);
            var gradient = Values.Normal(Count, 100 + step);
            for (var i = 0; i < Count; i++)
            {
                expected[i] = rule(expected[i], gradient[i], i, step);
            }
            optimizer.Step();
        }
        Values.AssertClose(weight.ToArray(), expected, 2e-6, $"weight after {Steps} steps");
    }
}
