namespace LoraScratch.Tests.Mutations;

/// <summary>
/// A formula of the product with one thing wrong in it, on purpose: which tests notice?
/// </summary>
/// <param name="Name">How the command line calls it.</param>
/// <param name="Mistake">What is wrong, in words.</param>
/// <param name="File">The source file, from the root of the solution.</param>
/// <param name="Before">The formula as it stands there, exactly once.</param>
/// <param name="After">The formula with the mistake.</param>
/// <param name="Lesson">How one would have noticed without the tests, or why one would not.</param>
/// <param name="Fixtures">
/// The test classes that watch over this formula; after a colon, a word that names the cases of it.
/// </param>
internal sealed record Mutation(string Name, string Mistake, string File, string Before, string After, string Lesson,
    params string[] Fixtures)
{
    private const string ClosedForm = "lora/layers/LoRAGradients.cs", Product = "engine/ops/MatMul.cs",
        AdamFactors = "kernels/managed/AdamFactors.cs", Adam = "engine/optim/Adam.cs";

    /// <summary>
    /// The tests of the formulas: what a mistake of one's own is held against, whose file says
    /// nothing about who watches it.
    /// </summary>
    public static readonly string[] AllFixtures =
    [
        "Lora.LoRAGradientsTests", "Lora.LoRALayerTests", "Lora.MergeTests", "Lora.QALoRATests",
        "Lora.LoRAFromScratchTests", "Lora.EmbeddingWithLoRATests", "Engine.OpTests", "Engine.AutogradTests",
        "Engine.OptimizerTests",
    ];

    private static readonly string[] Layer =
        ["Lora.LoRAGradientsTests", "Lora.LoRALayerTests", "Lora.MergeTests", "Lora.LoRAFromScratchTests"];

    private static readonly string[] Graph =
        ["Engine.OpTests:MatMul", "Engine.AutogradTests", "Lora.LoRAGradientsTests", "Lora.LoRALayerTests"];

    private static readonly string[] Steps = ["Engine.OptimizerTests"];

    /// <summary>Every mistake with a name.</summary>
    public static IReadOnlyList<Mutation> All { get; } =
    [
        new("scale-forgotten", "the layer adds (xA)B without the factor s",
            "lora/layers/LoRALayer.cs",
            "linear.Bias, Drop(x).MatMul(A), B, Scaling)",
            "linear.Bias, Drop(x).MatMul(A), B)",
            "Autograd differentiates what it is given: the gradients fit the wrong forward pass, and training runs. "
            + "Only a second source, the equation in double, disagrees. With alpha = r nothing would: s = 1.",
            Layer),
        new("scale-on-dA-only", "dB lacks the factor s, dA has it",
            ClosedForm,
            "backend.Product(dB.Matrix, h.Matrix.T, dY.Matrix, scaling);",
            "backend.Product(dB.Matrix, h.Matrix.T, dY.Matrix);",
            "dB keeps its direction and is 1/s of its length: Adam, which divides by the size of the gradient, would "
            + "hide it almost completely. Compare numbers, not loss curves.",
            Layer),
        new("A-not-transposed", "dX = dY·W with W not transposed: beside A, dX = dH·A",
            Product,
            "return y.GradientFor(x, \"dX += scale · dY·Wᵀ\", (dY, dX) => dX.AddProduct(dY.Matrix, w.Matrix.T, scale),",
            "return y.GradientFor(x, \"dX += scale · dY·Wᵀ\", (dY, dX) => dX.AddProduct(dY.Matrix, w.Matrix, scale),",
            "[N, r]·[in, r] does not fit, and the shapes say so before any number does. Where in = r it fits, and is "
            + "wrong: test with sizes that are all different, and with square ones too.",
            Graph),
        new("mean-for-sum", "dA is divided by the number of rows",
            ClosedForm,
            "backend.Product(dA.Matrix, x.Matrix.T, dH.Matrix);",
            "backend.Product(dA.Matrix, x.Matrix.T, dH.Matrix, 1f / rows);",
            "Whether the loss is a sum or a mean over the batch is the loss's business and is in dY already. A test "
            + "with one row cannot see it.",
            Layer),
        new("overwritten", "a gradient that exists is overwritten: = in place of +=",
            "engine/autograd/Edge.cs",
            "tensor.Backend.AddProduct(matrix, a, b, scale);",
            "tensor.Backend.Product(matrix, a, b, scale);",
            "x feeds W and A, so dX has two shares; and two micro-batches add up in dA and dB. A test with one path "
            + "and one backward pass cannot see it.",
            Graph),
        new("H-detached", "H = XA is cut out of the graph",
            "lora/layers/LoRALayer.cs",
            "linear.Bias, Drop(x).MatMul(A), B, Scaling)",
            "linear.Bias, Drop(x).MatMul(A).Detach(), B, Scaling)",
            "A stays where it was drawn and B learns alone; the loss still falls, for a random projection with a "
            + "trained B can do something too. A loss that falls is no proof.",
            Layer),
        new("mask-of-another-step", "the backward pass draws another dropout mask than the forward pass",
            "engine/ops/Dropout.cs",
            "AddDropoutGradient(dX.Data, dY.Data, probability, seed, masks)",
            "AddDropoutGradient(dX.Data, dY.Data, probability, seed + 1, masks)",
            "On average over many steps the gradient is nearly right, so training works, only worse. Only a comparison "
            + "of one step with its own mask sees it.",
            "Engine.OpTests:Dropout", "Lora.LoRALayerTests"),
        new("epsilon-in-root", "Adam divides by √(v̂ + ε) in place of √v̂ + ε",
            "kernels/managed/common/Optimizers.cs",
            "T.MultiplyAdd(T.Sqrt(second), T.Of(factors.RootCorrection), T.Of(factors.Epsilon))",
            "T.Sqrt(T.MultiplyAdd(second, T.Of(factors.RootCorrection * factors.RootCorrection), "
                + "T.Of(factors.Epsilon)))",
            "With ε = 1e-8 the two differ where |g| is about 1e-4 or less, for √ε = 1e-4: exactly where a small "
            + "adapter's gradients often are.",
            Steps),
        new("no-bias-correction", "Adam without dividing m by 1 − β₁ᵗ",
            AdamFactors,
            "(float)(step.Rate / (1 - Math.Pow(step.Beta1, step.Number)))",
            "(float)step.Rate",
            "The first step is a tenth of what it should be, the hundredth is right: a warm-up that nobody asked for.",
            Steps),
        new("step-off-by-one", "Adam's bias correction counts steps from 2",
            Adam,
            "Number = step }",
            "Number = step + 1 }",
            "The first step is 0.74 of what it should be (0.1/0.19 · √(0.001999/0.001)), and soon nobody can tell. "
            + "Counted from 0 it would divide by 1 − β⁰ = 0: a loud mistake is the better one.",
            Steps),
        new("betas-swapped", "Adam uses β₂ for the mean of the gradients and β₁ for their squares",
            Adam,
            "new AdamStep(learningRate, beta1, beta2,",
            "new AdamStep(learningRate, beta2, beta1,",
            "The first step cannot tell, for the bias correction makes both right. Test several steps, with gradients "
            + "that change.",
            Steps),
        new("decay-coupled", "AdamW adds its weight decay to the gradient, as Adam does",
            AdamFactors,
            "public readonly float DecayInGradient = step.Decoupled ? 0 : (float)step.WeightDecay;",
            "public readonly float DecayInGradient = (float)step.WeightDecay;",
            "Then the decay is divided by √v̂ with the rest, and weights with large gradients decay less (arXiv "
            + "1711.05101 is about this line). Invisible without weight decay.",
            Steps),
        new("dX-without-update", "dX = dY·W: what came through the adapter is missing",
            ClosedForm,
            "backend.AddProduct(dX.Matrix, dH.Matrix, a.Matrix.T);",
            "_ = a.Matrix.T;",
            "The layer itself learns as before; those below it get a wrong gradient. With B = 0 there is no difference "
            + "at all: test with B ≠ 0.",
            Layer),
        new("row-of-another-text", "each row of dY goes to the word vector of another token",
            "kernels/managed/cpu/Embedding.cs",
            "var target = dTable + indices[row] * columns + start;",
            "var target = dTable + indices[rows - 1 - row] * columns + start;",
            "The sum of the gradient is right and so is its norm; only the places are wrong. Compare every element.",
            "Engine.OpTests:Gather", "Lora.EmbeddingWithLoRATests"),
        new("zero-not-divided", "QA-LoRA's merge forgets to divide by the group's scale α",
            "lora/layers/QALoRAMerge.cs",
            "scaling * poolingFactor * sum / grid.Scale",
            "scaling * poolingFactor * sum",
            "The zero counts codes, the update counts weights: ζ′ = ζ − s·κ·(AB)/α. Files that keep β = −α·ζ instead "
            + "need no division; mixing the two is a mistake that people made with the authors' code.",
            "Lora.QALoRATests"),
    ];
}
