using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;

namespace LoraScratch.Lora.Explaining;

/// <summary>
/// A small LoRA training that hides nothing: B is not 0, alpha is not r, there are two examples,
/// each a micro-batch of its own, dropout masks that are recorded, and three steps of AdamW. Where
/// one of these is missing some mistakes cannot be seen: with B = 0 the gradient of A is 0 whatever
/// its formula is.
/// </summary>
internal sealed class LoRAExample
{
    /// <summary>in, out and r.</summary>
    public const int InFeatures = 8, OutFeatures = 6, Rank = 2;

    /// <summary>Tokens of an example, and examples.</summary>
    public const int Tokens = 3, Examples = 2;

    /// <summary>Training steps.</summary>
    public const int Steps = 3;

    /// <summary>alpha, so that s = 2.5, and the dropout probability.</summary>
    public const double Alpha = 5, Dropout = 0.25;

    /// <summary>
    /// AdamW's settings; ε is large enough for its place in the formula to be seen.
    /// </summary>
    public const double Rate = 0.05, Beta1 = 0.9, Beta2 = 0.999, Epsilon = 1e-3, Decay = 0.1;

    private LoRAExample(IReadOnlyList<ExampleStep> steps, DenseMatrix targets) => (EngineSteps, Targets) =
        (steps, targets);

    /// <summary>What the engine did.</summary>
    public IReadOnlyList<ExampleStep> EngineSteps { get; }

    /// <summary>What Y should be, [N, out].</summary>
    public DenseMatrix Targets { get; }

    /// <summary>
    /// The numbers at the beginning, both examples one after the other, with the first step's
    /// masks.
    /// </summary>
    public LayerNumbers Start => EngineSteps[0].Numbers;

    /// <summary>Rows of each micro-batch.</summary>
    public static IReadOnlyList<int> MicroBatches { get; } = [.. Enumerable.Repeat(Tokens, Examples)];

    /// <summary>
    /// Runs it on the engine. It gives the same on every device, up to rounding.
    /// </summary>
    /// <param name="fromZero">True: B begins at 0, as in a new layer.</param>
    public static LoRAExample Run(bool fromZero = false)
    {
        var random = new RandomStream(seed: 19);
        var linear = new Linear(InFeatures, OutFeatures, random);
        var layer = new LinearWithLoRA(linear, new LoRASettings(Rank, Alpha, Dropout: (float)Dropout), random);
        var b = random.Normal(Rank * OutFeatures, 0.5f);
        if (!fromZero)
        {
            layer.Lora.B.Set(b);
        }
        layer.Train();
        var shape = (X: new Shape(Tokens, InFeatures), Y: new Shape(Tokens, OutFeatures));
        var x = Enumerable.Range(0, Examples).Select(_ => random.Normal(shape.X.Count, 1)).ToList();
        var targets = Enumerable.Range(0, Examples).Select(_ => random.Normal(shape.Y.Count, 1)).ToList();
        using var optimizer = new AdamW(layer.TrainableParameters(), (float)Rate, Beta1, Beta2, Epsilon, Decay);
        var steps = new List<ExampleStep>();
        for (var step = 0; step < Steps; step++)
        {
            var tapes = new List<Explanation>();
            var numbers = new List<LayerNumbers>();
            for (var example = 0; example < Examples; example++)
            {
                using var input = Tensor.From(x[example], shape.X, requiresGradient: true);
                using var target = Tensor.From(targets[example], shape.Y);
                var tape = LayerTape.Run(layer, input,
                    () => layer.Forward(input).MeanSquaredError(target).Scale(1f / Examples), names: ("T", target));
                foreach (var leaf in tape.Tensors)
                {
                    _ = leaf.Values;                    // read now: input and target end with this round
                }
                tapes.Add(tape);
                numbers.Add(LayerTape.Numbers(layer, tape));
                input.ZeroGradient();
            }
            float[] dA = layer.Lora.A.Gradient!.ToArray(), dB = layer.Lora.B.Gradient!.ToArray();
            optimizer.Step();
            optimizer.ZeroGradient();
            steps.Add(new ExampleStep(tapes, Stack(numbers), tapes.Sum(tape => tape.Result.Values[0]), dA, dB,
                layer.Lora.A.ToArray(), layer.Lora.B.ToArray()));
        }
        for (var step = 0; step < Steps; step++)
        {
            steps[step] = steps[step] with
            {
                Numbers = steps[step].Numbers with
                {
                    MaskOfAnotherStep = steps[(step + 1) % Steps].Numbers.Mask,
                },
            };
        }
        return new LoRAExample(steps, new DenseMatrix(Examples * Tokens, OutFeatures,
            [.. targets.SelectMany(values => values).Select(value => (double)value)]));
    }

    /// <summary>L = Σ over micro-batches of mean((Y − T)²)/2: the mean over all elements.</summary>
    /// <param name="numbers">Both examples.</param>
    public double Loss(LayerNumbers numbers) => (numbers.Forward() - Targets).SquaredNorm() / Targets.Values.Length;

    /// <summary>dY = 2/(N·out)·(Y − T)</summary>
    /// <param name="numbers">Both examples.</param>
    public DenseMatrix OutputGradient(LayerNumbers numbers) =>
        2.0 / Targets.Values.Length * (numbers.Forward() - Targets);

    /// <summary>Y, H, dA, dB and dX of the first step, all elements three ways.</summary>
    public IReadOnlyList<ThreeWays> Compare()
    {
        var step = EngineSteps[0];
        return LayerComparison.Of(step.Numbers, OutputGradient(step.Numbers), OutputGradientError(step.Numbers, null),
            step.Results, new ExampleLoss(this), new FiniteDifferences(elements: int.MaxValue, directions: 0));
    }

    /// <summary>
    /// The same training in float64: gradients by the formulas, masks as they were recorded.
    /// </summary>
    /// <param name="formulas">Right, or one of them wrong.</param>
    public IReadOnlyList<Float64Step> Replay(LoRAFormulas formulas)
    {
        var (a, b) = (Start.A.Values, Start.B.Values);
        var (stateA, stateB) = (AdamState.Begin(a.Length), AdamState.Begin(b.Length));
        var steps = new List<Float64Step>();
        for (var number = 1; number <= Steps; number++)
        {
            var numbers = EngineSteps[number - 1].Numbers with { A = Matrix(a, Start.A), B = Matrix(b, Start.B) };
            var gradients = formulas.Gradients(numbers, OutputGradient(numbers), MicroBatches);
            var loss = Loss(numbers);
            var before = steps.Count == 0 ? null : steps[^1];
            var error = GradientError(numbers, before);
            (a, stateA, var errorA) = stateA.Step(a, gradients.A.Values, number, formulas, before?.AError, error.A);
            (b, stateB, var errorB) = stateB.Step(b, gradients.B.Values, number, formulas, before?.BError, error.B);
            steps.Add(new Float64Step(loss, LossError(numbers, before), gradients, a, b, errorA, errorB));
        }
        return steps;

        static DenseMatrix Matrix(double[] values, DenseMatrix like) => new(like.Rows, like.Columns, values);
    }

    /// <summary>
    /// What float32 may be off in dY: its own roundings, and those of Y and of A and B before it.
    /// </summary>
    private DenseMatrix OutputGradientError(LayerNumbers numbers, Float64Step? before)
    {
        var absolute = numbers.Absolute();
        var gamma = ThreeWays.Gamma(numbers.X.Columns + numbers.A.Columns + 10, ThreeWays.Single);
        var terms = absolute.Forward() + LayerNumbers.Absolute(Targets);
        var error = gamma * terms;
        if (before is not null)
        {
            var p = absolute.Pooled();
            var moved = absolute.Scaling * (p * before.MatrixAError(numbers.A) * absolute.B
                + p * absolute.A * before.MatrixBError(numbers.B));
            error += 2 * moved;                                         // 2: the product of both errors
        }
        return 2.0 / Targets.Values.Length * error;
    }

    private double LossError(LayerNumbers numbers, Float64Step? before) =>
        LayerNumbers.Product(OutputGradientError(numbers, before), LayerNumbers.Absolute(numbers.Forward() - Targets))
            .Values.Sum() + ThreeWays.Gamma(Targets.Values.Length + 8, ThreeWays.Single) * Loss(numbers);

    /// <summary>What float32 may be off in dA and dB.</summary>
    private (double[] A, double[] B) GradientError(LayerNumbers numbers, Float64Step? before)
    {
        var absolute = numbers.Absolute();
        var dY = LayerNumbers.Absolute(OutputGradient(numbers));
        var dYError = OutputGradientError(numbers, before);
        var carried = LoRAFormulas.Right.Gradients(absolute, dYError);
        var terms = LoRAFormulas.Right.Gradients(absolute, dY + dYError);
        var gamma = ThreeWays.Gamma(numbers.Count + numbers.X.Columns + numbers.W.Rows + 12, ThreeWays.Single);
        DenseMatrix a = carried.A + gamma * terms.A, b = carried.B + gamma * terms.B;
        if (before is not null)
        {
            var p = absolute.Pooled();
            a += 2 * absolute.Scaling * (p.Transpose() * (dY * before.MatrixBError(numbers.B).Transpose()));
            b += 2 * absolute.Scaling * ((p * before.MatrixAError(numbers.A)).Transpose() * dY);
        }
        return (a.Values, b.Values);
    }

    private static LayerNumbers Stack(IReadOnlyList<LayerNumbers> numbers) => numbers[0] with
    {
        X = Stack(numbers.Select(entry => entry.X)),
        Mask = Stack(numbers.Select(entry => entry.Mask!)),
    };

    private static DenseMatrix Stack(IEnumerable<DenseMatrix> parts) =>
        new(parts.Sum(part => part.Rows), parts.First().Columns, [.. parts.SelectMany(part => part.Values)]);

    private sealed class ExampleLoss(LoRAExample example) : LayerLoss
    {
        public override double Of(LayerNumbers numbers) => example.Loss(numbers);
    }

    /// <summary>The moments of AdamW, and what the gradients before may have been off.</summary>
    private sealed record AdamState(double[] M, double[] V, double[] GradientErrors)
    {
        public static AdamState Begin(int count) => new(new double[count], new double[count], new double[count]);

        public (double[] Weights, AdamState State, double[] Errors) Step(double[] weights, double[] gradient,
            int number, LoRAFormulas formulas, double[]? errors, double[] gradientErrors)
        {
            var (next, m, v) = (new double[weights.Length], new double[weights.Length], new double[weights.Length]);
            var (off, largest) = (new double[weights.Length], new double[weights.Length]);
            for (var i = 0; i < weights.Length; i++)
            {
                var e = formulas.Update(new AdamElement(weights[i], gradient[i], M[i], V[i], number, Rate, Beta1, Beta2,
                    Epsilon, Decay));
                (next[i], m[i], v[i]) = (e.Weight, e.M, e.V);
                // m̂ and √v̂ are means of the gradients: neither is off by more than the worst of them
                largest[i] = Math.Max(GradientErrors[i], gradientErrors[i]);
                var below = Math.Sqrt(e.V / (1 - Math.Pow(Beta2, number))) + Epsilon;
                var mean = Math.Abs(e.M) / (1 - Math.Pow(Beta1, number));
                off[i] = (errors?[i] ?? 0) + Rate * largest[i] * (1 + mean / below) / below
                    + 16 * ThreeWays.Single * (Math.Abs(e.Weight) + Rate * mean / below);
            }
            return (next, new AdamState(m, v, largest), off);
        }
    }
}

/// <summary>One training step of the example on the engine.</summary>
/// <param name="Tapes">The micro-batches, op by op.</param>
/// <param name="Numbers">The inputs of both, one after the other.</param>
/// <param name="Loss">Of both.</param>
/// <param name="DA">dA, summed over both.</param>
/// <param name="DB">dB, summed over both.</param>
/// <param name="A">After the step.</param>
/// <param name="B">After the step.</param>
internal sealed record ExampleStep(IReadOnlyList<Explanation> Tapes, LayerNumbers Numbers, float Loss, float[] DA,
    float[] DB, float[] A, float[] B)
{
    /// <summary>What the engine computed, both micro-batches one after the other.</summary>
    public LayerResults Results => new([.. Values("H")], [.. Values("Y")], DA, DB,
        [.. Tapes.SelectMany(tape => tape["X"].Gradient!)]);

    private IEnumerable<float> Values(string name) => Tapes.SelectMany(tape => tape[name].Values);
}

/// <summary>One training step of the example in float64.</summary>
/// <param name="Loss">Before the step.</param>
/// <param name="LossError">What float32 may be off there.</param>
/// <param name="Gradients">Of the step.</param>
/// <param name="A">After the step.</param>
/// <param name="B">After the step.</param>
/// <param name="AError">What float32 may be off in A.</param>
/// <param name="BError">What float32 may be off in B.</param>
internal sealed record Float64Step(double Loss, double LossError, LayerGradients Gradients, double[] A, double[] B,
    double[] AError, double[] BError)
{
    /// <summary>AError as a matrix.</summary>
    public DenseMatrix MatrixAError(DenseMatrix like) => new(like.Rows, like.Columns, AError);

    /// <summary>BError as a matrix.</summary>
    public DenseMatrix MatrixBError(DenseMatrix like) => new(like.Rows, like.Columns, BError);
}
