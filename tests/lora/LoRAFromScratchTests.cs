using LoraScratch.Engine;
using LoraScratch.Lora;

namespace LoraScratch.Tests.Lora;

/// <summary>The page of plain arrays.</summary>
public sealed class LoRAFromScratchTests
{
    private const int In = 5, Out = 3, Rank = 2;
    private const double Alpha = 1.5;

    [Test]
    public void A_fresh_adapter_changes_nothing()
    {
        var (w, data) = Task();
        var (a, b) = LoRAFromScratch.InitializeLora(w, Rank, seed: 7);
        var without = LoRAFromScratch.ForwardPass(w, new double[Out, Rank], new double[Rank, In], data[0].X, Alpha);
        Assert.That(LoRAFromScratch.ForwardPass(w, a, b, data[0].X, Alpha), Is.EqualTo(without));
        Assert.That(b.Cast<double>(), Has.All.InRange(-1 / Math.Sqrt(In), 1 / Math.Sqrt(In)).And.Some.Not.Zero);
    }

    [Test]
    public void With_both_matrices_random_as_in_the_pseudo_code_the_output_moves_before_the_first_step()
    {
        var (w, data) = Task();
        var (a, b) = LoRAFromScratch.InitializeLora(w, Rank, seed: 7, bothRandom: true);
        var without = LoRAFromScratch.ForwardPass(w, new double[Out, Rank], b, data[0].X, Alpha);
        Assert.That(LoRAFromScratch.ForwardPass(w, a, b, data[0].X, Alpha).Zip(without, (y, y0) => Math.Abs(y - y0))
            .Max(), Is.GreaterThan(1e-3));
    }

    [Test]
    public void The_gradients_equal_differences_of_the_loss()
    {
        var (w, data) = Task();
        var (a, b) = LoRAFromScratch.InitializeLora(w, Rank, seed: 3, bothRandom: true);
        var (x, target) = data[0];
        var (dA, dB) = LoRAFromScratch.ComputeGradients(w, a, b, x, target, Alpha);
        RequireNumeric(a, dA);
        RequireNumeric(b, dB);

        void RequireNumeric(double[,] matrix, double[,] gradient)
        {
            const double step = 1e-5;
            for (var i = 0; i < matrix.GetLength(0); i++)
            {
                for (var j = 0; j < matrix.GetLength(1); j++)
                {
                    var value = matrix[i, j];
                    matrix[i, j] = value + step;
                    var above = LoRAFromScratch.ComputeLoss(LoRAFromScratch.ForwardPass(w, a, b, x, Alpha), target);
                    matrix[i, j] = value - step;
                    var below = LoRAFromScratch.ComputeLoss(LoRAFromScratch.ForwardPass(w, a, b, x, Alpha), target);
                    matrix[i, j] = value;
                    Assert.That(gradient[i, j], Is.EqualTo((above - below) / (2 * step)).Within(1e-8),
                        $"element [{i}, {j}]");
                }
            }
        }
    }

    [Test]
    public void Training_by_hand_and_on_the_engine_is_the_same_training()
    {
        var (w, data) = Task();
        var before = (double[,])w.Clone();
        var (a, b) = LoRAFromScratch.InitializeLora(w, Rank, seed: 11);
        var (a2, b2) = ((double[,])a.Clone(), (double[,])b.Clone());

        var byHand = LoRAFromScratch.TrainLora(w, a, b, data, Alpha, learningRate: 0.05, epochs: 40);
        var onEngine = LoRAFromScratch.TrainLoraOnEngine(w, a2, b2, data, Alpha, learningRate: 0.05, epochs: 40);

        Assert.That(onEngine, Is.EqualTo(byHand).Within(1e-4));
        Assert.That(a2.Cast<double>(), Is.EqualTo(a.Cast<double>()).Within(1e-4));
        Assert.That(b2.Cast<double>(), Is.EqualTo(b.Cast<double>()).Within(1e-4));
        Assert.That(byHand[^1], Is.LessThan(0.02 * byHand[0]), "the task is of rank 2 and can be learned");
        Assert.That(w, Is.EqualTo(before), "W is not trained");
    }

    [Test]
    public void Rank_zero_is_refused() =>
    Assert.That(() => LoRAFromScratch.InitializeLora(new double[2, 2], 0),
        Throws.TypeOf<ArgumentOutOfRangeException>());

    /// <summary>A W that is not square, and examples of W plus a change of rank 2.</summary>
    private static (double[,] W, (double[] X, double[] Target)[] Data) Task()
    {
        var random = new RandomStream(42);
        var w = Random(Out, In);
        var (u, v) = (Random(Out, Rank), Random(Rank, In));
        var data = Enumerable.Range(0, 24).Select(_ =>
        {
            var x = Enumerable.Range(0, In).Select(_ => (double)random.NextNormal()).ToArray();
            return (x, LoRAFromScratch.ForwardPass(w, u, v, x, 0.5));
        }).ToArray();
        return (w, data);

        double[,] Random(int rows, int columns)
        {
            var matrix = new double[rows, columns];
            for (var i = 0; i < matrix.Length; i++)
            {
                matrix[i / columns, i % columns] = random.NextNormal();
            }
            return matrix;
        }
    }
}
