using System.Text.Json.Nodes;
using LoraScratch.Benchmarks;
using LoraScratch.Engine;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;
using LoraScratch.Lora;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Tests.Check;

/// <summary>
/// A few steps of training twice on the device, which must give the same bits, and once on the CPU,
/// which must give the same but for rounding.
/// </summary>
internal static class ParityCheck
{
    /// <summary>
    /// How far losses, gradients, A and B may be from the CPU's, each against its largest element.
    /// Sums in another order leave about 1e-6 in a gradient.
    /// </summary>
    private const double Bound = 1e-4;

    private const int Steps = 3;

    private static readonly string[] Compared = ["losses", "dA", "dB", "A", "B"];

    private const string Section = "training_beside_the_cpu";

    public static void Run(CheckRun run)
    {
        foreach (var (name, config, batch, length) in new[]
        {
            ("tiny", StepCheck.Tiny, 4, 6), ("DistilBERT", StepCheck.DistilBert, 8, 128),
        })
        {
            var title = $"{name} {batch} × {length}";
            if (!run.IsTooMuch(Section, title, 2 * StepCheck.Flops(config, batch, length)))
            {
                run.Try(Section, title, () => Compare(run, title, config, batch, length));
            }
        }
    }

    private static void Compare(CheckRun run, string title, EncoderConfig config, int batch, int length)
    {
        var first = On(run.Open, config, batch, length);
        var second = On(run.Open, config, batch, length);
        var expected = On(() => new CpuBackend(), config, batch, length);
        var isSame = first.Zip(second).All(pair => pair.First.AsSpan().SequenceEqual(pair.Second));
        double[] difference = [.. first.Zip(expected, Furthest)];
        if (!isSame)
        {
            run.Fail($"{title}: a second run of training on the device gave other bits.");
        }
        if (!(difference.Max() <= Bound))
        {
            run.Fail($"{title}: training is {difference.Max():E1} from the CPU's, {Bound:E0} is allowed.");
        }
        run.Add(Section, new JsonObject
        {
            ["name"] = title,
            ["steps"] = Steps,
            ["losses"] = new JsonArray([.. first[0].Select(loss => (JsonNode)loss)]),
            ["losses_cpu"] = new JsonArray([.. expected[0].Select(loss => (JsonNode)loss)]),
            ["differences"] = new JsonObject([.. Compared.Zip(difference, (what, value) =>
                KeyValuePair.Create(what, (JsonNode?)value))]),
            ["same_bits_twice"] = isSame,
        }, $"  {title}, {Steps} steps: from the CPU's, "
            + string.Join(", ", Compared.Zip(difference, (what, value) => FormattableString.Invariant(
                $"{what} {value:E1}"))) + (isSame ? "; twice the same bits" : "; a second run gave OTHER BITS"));
    }

    /// <summary>
    /// The losses; the last step's gradients of every A and of every B; A and B after it.
    /// </summary>
    private static float[][] On(Func<IBackend> open, EncoderConfig config, int batch, int length)
    {
        using var backend = open();
        using var step = new TrainingStep(backend, config, TrainingStep.QueryAndValue() with
        {
            Lora = new LoRASettings(8, Alpha: 16) { Dropout = 0.1f },
            LearningRate = 0.5f,
        });
        var layers = step.Tuning.Adapter!.Layers.Select(entry => entry.Layer.Lora).ToList();
        var random = new RandomStream(3);
        layers.ForEach(lora => lora.B.Set(random.Normal(lora.B.Shape.Count, 0.05f)));  // 0 gives A no gradient
        step.Model.Train();
        var losses = new float[Steps];
        for (var i = 0; i < Steps; i++)
        {
            losses[i] = step.Step(PackedBatch.Of(step.Texts(batch, length)));
        }
        float[] All(Func<ILoRALayer, Tensor> tensor) => [.. layers.SelectMany(lora => tensor(lora).ToArray())];
        return [losses, All(lora => lora.A.Gradient!), All(lora => lora.B.Gradient!), All(lora => lora.A),
            All(lora => lora.B)];
    }

    /// <summary>NaN where there is one.</summary>
    private static double Furthest(float[] got, float[] expected) =>
        got.Zip(expected, (x, y) => Math.Abs((double)x - y)).Aggregate(0.0, Math.Max)
        / expected.Max(value => Math.Abs((double)value));
}
