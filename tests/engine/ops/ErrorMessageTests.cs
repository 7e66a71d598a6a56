using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// Every misuse of an op is refused before anything is computed, in words that name the op, its
/// arguments with their shapes, and the way out.
/// </summary>
public class ErrorMessageTests
{
    private static IBackend Backend => Backends.Any;

    private static Tensor Of(params ReadOnlySpan<int> sizes) => Tensor.Zeros(new Shape(sizes), Backend);

    private static readonly (string Case, Action Misuse, string[] Words)[] ShapeMisuses =
    [
        ("Add", () => Of(2, 3).Add(Of(3, 2)), ["Add:", "u [2, 3]", "v [3, 2]", "does not broadcast"]),
        ("Add of a row", () => Of(2, 3).Add(Of(3)), ["Add:", "u [2, 3]", "v [3]", "does not broadcast"]),
        ("Subtract", () => Of(2).Subtract(Of(3)), ["Subtract:", "u [2]", "v [3]"]),
        ("Multiply", () => Of(2).Multiply(Of(2, 1)), ["Multiply:", "u [2]", "v [2, 1]"]),
        ("MeanSquaredError", () => Of(2).MeanSquaredError(Of(3)),
            ["MeanSquaredError:", "prediction [2]", "target [3]"]),
        ("MatMul", () => Of(2, 3).MatMul(Of(4, 5)), ["MatMul:", "x [2, 3]", "w [4, 5]", "[3, out]"]),
        ("MatMul with a transposed w", () => Of(2, 3).MatMul(Of(4, 3)),
            ["MatMul:", "x [2, 3]", "w [4, 3]", "Did you mean w.Transpose(), or Linear(x, w)?"]),
        ("MatMul of a number", () => Of().MatMul(Of(1, 3)), ["MatMul:", "x []", "w [1, 3]"]),
        ("AddMatMul", () => Of(2, 5).AddMatMul(Of(2, 3), Of(4, 5)), ["AddMatMul:", "x [2, 3]", "w [4, 5]"]),
        ("AddMatMul onto another shape", () => Of(2, 4).AddMatMul(Of(2, 3), Of(3, 5)),
            ["AddMatMul:", "z [2, 4]", "x [2, 3]", "w [3, 5]", "[2, 5]"]),
        ("Linear", () => Of(2, 3).Linear(Of(3, 5)), ["Linear:", "x [2, 3]", "weight [3, 5]", "[out, 3]"]),
        ("Linear with a bias", () => Of(2, 3).Linear(Of(5, 3), Of(3)),
            ["Linear:", "weight [5, 3]", "bias of shape [5]", "got [3]"]),
        ("LinearPlusMatMul", () => Of(2, 3).LinearPlusMatMul(Of(5, 3), null, Of(2, 4), Of(5, 4)),
            ["LinearPlusMatMul:", "h [2, 4]", "b [5, 4]", "Did you mean b.Transpose(), or Linear(h, b)?"]),
        ("LinearPlusMatMul of other widths", () => Of(2, 3).LinearPlusMatMul(Of(5, 3), null, Of(2, 4), Of(4, 6)),
            ["LinearPlusMatMul:", "x [2, 3]", "weight [5, 3]", "[2, 5]", "h [2, 4]", "b [4, 6]", "[2, 6]"]),
        ("LinearPlusMatMul of other rows", () => Of(2, 3).LinearPlusMatMul(Of(5, 3), null, Of(1, 4), Of(4, 5)),
            ["LinearPlusMatMul:", "x [2, 3]", "h [1, 4]", "[2, 5]", "[1, 5]"]),
        ("LinearPlusMatMul with a bias", () => Of(2, 3).LinearPlusMatMul(Of(5, 3), Of(3), Of(2, 4), Of(4, 5)),
            ["LinearPlusMatMul:", "weight [5, 3]", "bias of shape [5]", "got [3]"]),
        ("AddBias", () => Of(2, 3).AddBias(Of(2)), ["AddBias:", "x [2, 3]", "bias of shape [3]", "got [2]"]),
        ("BatchedMatMul", () => Of(2, 3, 4).BatchedMatMul(Of(2, 5, 6)),
            ["BatchedMatMul:", "u [2, 3, 4]", "v [2, 5, 6]", "equal batch and inner"]),
        ("BatchedMatMul of matrices", () => Of(3, 4).BatchedMatMul(Of(4, 6)),
            ["BatchedMatMul:", "u [3, 4]", "v [4, 6]"]),
        ("Transpose", () => Of(2, 3, 4).Transpose(), ["Transpose:", "x [2, 3, 4]", "matrix"]),
        ("Reshape", () => Of(2, 3).Reshape(new Shape(4)), ["Reshape:", "x [2, 3]", "6", "[4]"]),
        ("LayerNorm gamma", () => Of(2, 3).LayerNorm(Of(2), Of(3)),
            ["LayerNorm:", "x [2, 3]", "gamma of shape [3]", "got [2]"]),
        ("LayerNorm beta", () => Of(2, 3).LayerNorm(Of(3), Of(1, 3)),
            ["LayerNorm:", "x [2, 3]", "beta of shape [3]", "got [1, 3]"]),
        ("LayerNormOfSum", () => Of(2, 3).LayerNormOfSum(Of(3, 2), Of(3), Of(3)),
            ["LayerNormOfSum:", "u [2, 3]", "v [3, 2]"]),
        ("LayerNormOfSum beta", () => Of(2, 3).LayerNormOfSum(Of(2, 3), Of(3), Of(2)),
            ["LayerNormOfSum:", "beta of shape [3]", "got [2]"]),
        ("Gather", () => Of(3).Gather(new Indices([0], Backend)), ["Gather:", "[rows, columns]", "got [3]"]),
        ("CrossEntropy", () => Of(2, 3).CrossEntropy(new Indices([0], Backend)),
            ["CrossEntropy:", "logits [2, 3]", "[1, classes]"]),
        ("BinaryCrossEntropy", () => Of(2, 3).BinaryCrossEntropy([true, false]),
            ["BinaryCrossEntropy:", "2 labels", "logits [2, 3]", "one per logit"]),
        ("Attention of unequal k",
            () => Ops.Attention(Of(2, 4), Of(3, 4), Of(2, 4), new SequenceOffsets([0, 2], Backend), 2),
                ["Attention:", "q [2, 4]", "k [3, 4]"]),
        ("Attention of unequal v",
            () => Ops.Attention(Of(2, 4), Of(2, 4), Of(2, 6), new SequenceOffsets([0, 2], Backend), 2),
                ["Attention:", "q [2, 4]", "v [2, 6]"]),
        ("Attention heads", () => Ops.Attention(Of(2, 4), Of(2, 4), Of(2, 4), new SequenceOffsets([0, 2], Backend), 3),
            ["Attention:", "q [2, 4]", "3 heads"]),
        ("Attention offsets", () =>
            Ops.Attention(Of(3, 4), Of(3, 4), Of(3, 4), new SequenceOffsets([0, 2], Backend), 2),
            ["Attention:", "k [3, 4]", "3 tokens", "end at 2"]),
        ("Attention rows", () => SomeAsk(Of(3, 4), [0, 2]), ["Attention:", "q [3, 4]", "2 chosen tokens"]),
        ("Dropout rows", () => Of(3, 4).Dropout(0.1f, 1, new Indices([0, 2], Backend)),
            ["Dropout:", "x [3, 4]", "2 rows"]),
        ("From", () => Tensor.From([1, 2], new Shape(3), Backend), ["Tensor.From:", "[3]", "got 2"]),
        ("Set", () => Of(3).Set([1, 2]), ["Tensor.Set:", "leaf [3]", "got 2"]),
        ("Parameter", () => _ = new Parameter("weight", [1, 2], new Shape(3), Backend),
            ["parameter weight [3]", "got 2"]),
    ];

    private static IEnumerable<TestCaseData> ShapeErrors =>
        ShapeMisuses.Select(error => new TestCaseData(error.Misuse, error.Words).SetArgDisplayNames(error.Case));

    [TestCaseSource(nameof(ShapeErrors))]
    public void A_shape_that_does_not_fit_is_refused_in_words(Action misuse, string[] words)
    {
        var message = Assert.Throws<ShapeMismatchException>(() => misuse())!.Message;
        foreach (var word in words)
        {
            Assert.That(message, Does.Contain(word));
        }
    }

    [Test]
    public void An_index_outside_the_table_or_the_classes_is_named_with_its_position()
    {
        using var indices = new Indices([1, 0, 3], Backend);
        Assert.That(() => Of(3, 2).Gather(indices),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message
                .Contains("Gather: index 3 at position 2 is outside [0, 3)"));
        Assert.That(() => Of(3, 2).CrossEntropy(indices),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message
                .Contains("CrossEntropy: index 3 at position 2 is outside [0, 2), the classes"));
        Assert.That(() => new Indices([0, -4], Backend),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("Index 1 is -4"));
        using var embedding = Parameter.Filled("word_embeddings", 0, new Shape(3, 2), Backend);
        Assert.That(() => embedding.Gather(indices),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("parameter word_embeddings [3, 2]"));
    }

    [TestCase(new int[0], "0 followed by")]
    [TestCase(new[] { 0 }, "0 followed by")]
    [TestCase(new[] { 1, 3 }, "[1, 3]")]
    [TestCase(new[] { 0, 3, 3, 5 }, "Sequence 1 of the packed batch has 0 tokens (offsets 3 to 3)")]
    [TestCase(new[] { 0, 3, 2 }, "Sequence 1 of the packed batch has -1 tokens")]
    public void Offsets_that_do_not_rise_from_zero_are_refused_before_memory_is_taken(int[] offsets, string words)
    {
        using var backend = new CpuBackend(threads: 1);
        Assert.That(() => new SequenceOffsets(offsets, backend), Throws.ArgumentException.With.Message.Contains(words));
        Assert.That(backend.Memory.InUse, Is.Zero);
    }

    [TestCase(new int[0], "at least one is needed")]
    [TestCase(new[] { 2, 2 }, "Row 1 of those chosen of the packed batch is 2; they rise")]
    [TestCase(new[] { 0, 5 }, "is 5; they rise and lie in [0, 5)")]
    [TestCase(new[] { -1, 2 }, "Row 0 of those chosen of the packed batch is -1")]
    public void Chosen_rows_that_do_not_rise_within_the_batch_are_refused(int[] rows, string words)
    {
        using var offsets = new SequenceOffsets([0, 3, 5], Backend);
        Assert.That(() => new SequenceRows(rows, offsets, Backend),
            Throws.ArgumentException.With.Message.Contains(words));
    }

    private static Tensor SomeAsk(Tensor x, int[] rows)
    {
        var offsets = new SequenceOffsets([0, 2, 3], Backend);
        return Ops.Attention(x, x, x, offsets, new SequenceRows(rows, offsets, Backend), 2, 0, 0);
    }

    [Test]
    public void A_probability_outside_its_range_is_refused([Values(-0.1f, 1f, float.NaN)] float probability)
    {
        Assert.That(() => Of(3).Dropout(probability, 1),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("[0, 1)"));
        Assert.That(() => Ops.Attention(Of(2, 4), Of(2, 4), Of(2, 4), new SequenceOffsets([0, 2], Backend), 2,
            probability), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void A_shape_with_too_many_elements_or_a_negative_size_is_refused()
    {
        Assert.That(() => new Shape(1 << 16, 1 << 16),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("[65536, 65536]"));
        Assert.That(() => new Shape(2, -1), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public void Item_of_several_elements_is_refused() =>
        Assert.That(() => Of(2, 3).Item(),
            Throws.InvalidOperationException.With.Message.Contains("[2, 3]").And.Message.Contains("ToArray()"));

    [Test]
    public void Inputs_on_different_backends_are_refused()
    {
        using var other = new CpuBackend(threads: 1, InstructionSet.Portable);
        var x = Of(2, 3);
        var y = Tensor.Zeros(new Shape(2, 3), other);
        (string Op, Action Misuse)[] misuses =
        [
            ("Add", () => x.Add(y)), ("MatMul", () => x.MatMul(Tensor.Zeros(new Shape(3, 2), other))),
                ("Linear", () => x.Linear(y)),
            ("Linear", () => x.Linear(x, Tensor.Zeros(new Shape(2), other))),
                ("AddBias", () => x.AddBias(Tensor.Zeros(new Shape(3), other))),
            ("AddMatMul", () => y.AddMatMul(Of(2, 4), Of(4, 3))),
            ("LinearPlusMatMul", () => y.LinearPlusMatMul(y, null, Of(2, 4), Of(4, 2))),
                ("BatchedMatMul", () => Of(1, 2, 3).BatchedMatMul(Tensor.Zeros(new Shape(1, 3, 2), other))),
            ("Gather", () => x.Gather(new Indices([0], other))),
                ("CrossEntropy", () => x.CrossEntropy(new Indices([0, 1], other))),
            ("Attention", () => Ops.Attention(x, x, x, new SequenceOffsets([0, 2], other), 1)),
        ];
        foreach (var (op, misuse) in misuses)
        {
            Assert.That(() => misuse(),
                Throws.ArgumentException.With.Message.Contains($"{op}:").And.Message.Contains(other.Description), op);
        }
        using var trainable = Values.Leaf(Backend, 1, new Shape(2, 3));
        Assert.That(() => trainable.Scale(2).Backward(y),
            Throws.ArgumentException.With.Message.Contains(other.Description));
    }
}
