using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Lora.Pages;

namespace LoraScratch.Lora.Explaining;

/// <summary>A row of an explained batch, for readers.</summary>
/// <param name="Token">The token in it.</param>
/// <param name="Text">The text that it is from.</param>
internal readonly record struct RowName(string Token, string Text);

/// <summary>Makes the pages of the built-in example and of layers of real models.</summary>
internal static class LayerPages
{
    /// <summary>
    /// Columns of y, and of dX, that a real layer's page computes again: W is too large to carry.
    /// </summary>
    private const int Carried = 8;

    /// <summary>
    /// The example's vectors are random; its tokens have names so that one can speak of them.
    /// </summary>
    private static readonly string[][] ExampleTexts = [["not", "so", "good"], ["what", "a", "film"]];

    private static readonly IReadOnlyDictionary<string, string> Closed = new Dictionary<string, string>
    {
        ["A"] = "Σₙ X̃[n, i]·dH[n, k]",
        ["B"] = "s·Σₙ H[n, k]·dY[n, j]",
        ["X"] = "Σⱼ dY[n, j]·W[j, i] + M[n, i]/(1 − p)·Σₖ dH[n, k]·A[i, k]",
        ["Y"] = "Σᵢ X[n, i]·W[j, i] + b[j] + s·Σₖ H[n, k]·B[k, j]",
    };

    /// <summary>The page of the built-in example.</summary>
    public static LayerPage Of(LoRAExample example)
    {
        var first = example.Start;
        return new LayerPage(example.EngineSteps[0].Tapes[0], new PageData
        {
            Kind = PageData.Example,
            Formulas = PageFormulas.LoRA,
            Mutants = PageFormulas.Mutants,
            Backward = Closed,
            Constants = new Dictionary<string, double>
            {
                ["s"] = first.Scaling,
                ["p"] = LoRAExample.Dropout,
                ["c"] = 2.0 / example.Targets.Values.Length,
                ["lr"] = (float)LoRAExample.Rate,
                ["b1"] = LoRAExample.Beta1,
                ["b2"] = LoRAExample.Beta2,
                ["eps"] = LoRAExample.Epsilon,
                ["decay"] = LoRAExample.Decay,
            },
            W = Matrix(first.W),
            Bias = new PageMatrix(1, first.Bias.Length, Floats(first.Bias)),
            A = Matrix(first.A),
            B = Matrix(first.B),
            Steps = [.. example.EngineSteps.Select(Step)],
            FirstNode = "A",
        });
    }

    /// <summary>The page of a layer of a model.</summary>
    /// <param name="layer">One batch through it.</param>
    /// <param name="rows">A name for each row.</param>
    public static LayerPage Of(LayerExplanation layer, IReadOnlyList<RowName> rows)
    {
        var (tape, numbers) = (layer.Tape, layer.Numbers);
        var (a, b) = (Gradient(tape, "A"), Gradient(tape, "B"));
        // those where the gradients are largest
        var outputs = LargestColumns(b);
        var inputs = LargestColumns(Gradient(tape, "X"));
        var w = Matrix(numbers.W);
        var constants = new Dictionary<string, double> { ["s"] = numbers.Scaling, ["p"] = 0 };
        if (numbers.GroupSize > 1)
        {
            constants["k"] = numbers.PoolingFactor;
        }
        return new LayerPage(tape, new PageData
        {
            Kind = PageData.Layer,
            Formulas = numbers.GroupSize > 1 ? PageFormulas.QALoRA : PageFormulas.LoRA,
            Mutants = [],
            Backward = Closed,
            Constants = constants,
            Bias = new PageMatrix(1, numbers.Bias.Length, Floats(numbers.Bias)),
            A = Matrix(numbers.A),
            B = Matrix(numbers.B),
            G = numbers.GroupSize > 1 ? Groups(numbers.X.Columns, numbers.GroupSize) : null,
            Part = new PagePart(outputs, inputs, w.SomeRows(outputs), w.SomeColumns(inputs)),
            Steps =
            [
                new PageStep([new PageBatch
                {
                    Rows = [.. rows.Select(row => row.Token)],
                    Texts = [.. rows.Select(row => row.Text)],
                    X = Matrix(numbers.X),
                    OutputGradient = Matrix(layer.DY),
                    Engine = new EngineResults
                    {
                        H = Values(tape, "H"),
                        Y = Values(tape, "Y").SomeColumns(outputs),
                        InputGradient = Gradient(tape, "X").SomeColumns(inputs),
                    },
                }], new StepGradients(a, b), null),
            ],
            FirstNode = "A",
        }, new LayerTitle(layer.Path, layer.Loss, layer.InputNeedsGradient, layer.Merge));
    }

    private static PageStep Step(ExampleStep step)
    {
        var first = step.Numbers;
        return new PageStep([.. step.Tapes.Select((tape, k) => Batch(tape, k))],
            new StepGradients(Like(first.A, step.DA), Like(first.B, step.DB)),
            new StepResult(Like(first.A, step.A), Like(first.B, step.B)));
    }

    private static PageBatch Batch(Explanation tape, int number) => new()
    {
        Rows = ExampleTexts[number],
        Texts = [.. ExampleTexts[number].Select(_ => $"“{string.Join(' ', ExampleTexts[number])}”")],
        X = Values(tape, "X"),
        Mask = LayerTape.Mask(tape) is { } mask ? Kept(mask) : null,
        Target = Values(tape, "T"),
        OutputGradient = Gradient(tape, "Y"),
        Engine = new EngineResults
        {
            H = Values(tape, "H"),
            Y = Values(tape, "Y"),
            Loss = new PageMatrix(1, 1, [tape.Result.Values[0]]),
            InputGradient = Gradient(tape, "X"),
        },
    };

    private static int[] LargestColumns(PageMatrix matrix)
    {
        var sizes = Enumerable.Range(0, matrix.Columns)
            .Select(j => Enumerable.Range(0, matrix.Rows).Max(i => Math.Abs(matrix.Values[i * matrix.Columns + j])))
            .ToArray();
        return [.. Enumerable.Range(0, matrix.Columns).OrderByDescending(j => sizes[j]).Take(Carried).Order()];
    }

    /// <summary>G [in, in/g]: 1 where an input is of the group.</summary>
    private static PageMatrix Groups(int inputs, int size)
    {
        var groups = new PageMatrix(inputs, inputs / size, new float[inputs * (inputs / size)]);
        for (var i = 0; i < inputs; i++)
        {
            groups.Values[i * groups.Columns + i / size] = 1;
        }
        return groups;
    }

    /// <summary>1 where dropout kept a number, else 0.</summary>
    private static PageMatrix Kept(DenseMatrix mask) =>
        Like(mask, Array.ConvertAll(mask.Values, value => value == 0 ? 0f : 1f));

    private static PageMatrix Values(Explanation tape, string name) => tape[name].Matrix();

    private static PageMatrix Gradient(Explanation tape, string name) => tape[name].GradientMatrix()!;

    private static PageMatrix Like(DenseMatrix shape, float[] values) => new(shape.Rows, shape.Columns, values);

    private static PageMatrix Matrix(DenseMatrix matrix) => Like(matrix, Floats(matrix.Values));

    private static float[] Floats(double[] values) => Array.ConvertAll(values, value => (float)value);
}

/// <summary>Explained tensors as a page's matrices.</summary>
internal static class ExplainedMatrices
{
    /// <summary>The values.</summary>
    public static PageMatrix Matrix(this ExplainedTensor tensor) => Of(tensor.Shape, tensor.Values);

    /// <summary>The gradient; null where none was computed.</summary>
    public static PageMatrix? GradientMatrix(this ExplainedTensor tensor) =>
        tensor.Gradient is { } gradient ? Of(tensor.Shape, gradient) : null;

    private static PageMatrix Of(Shape shape, IReadOnlyList<float> values) =>
        new(shape.Rows, shape.Columns, values as float[] ?? [.. values]);
}
