using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Lora;

namespace LoraScratch.Course;

[Category("Course1")]
public sealed class Step1Checks
{
    // All sizes differ, s ≠ 1 and B ≠ 0: nothing can be right by accident.
    private const int In = 5, Out = 3, Rank = 2;
    private const double S = 1.5;

    private static readonly DenseMatrix X = Check.Random(1, In, 1), W = Check.Random(Out, In, 2),
        A = Check.Random(In, Rank, 3), B = Check.Random(Rank, Out, 4);

    [Test]
    public void The_output_is_the_base_plus_the_scaled_update()
    {
        var y = Step1ByHand.Forward(X.Values, Array(W), Array(A), Array(B), S);
        Check.Same("y", new DenseMatrix(1, y.Length, y), X * W.Transpose() + S * (X * A * B), 1e-12);
    }

    [Test]
    public void It_is_the_tutorials_page_transposed()
    {
        // lora/LoRAFromScratch.cs: y = W·x + alpha·A·(B·x) on columns; its A is our Bᵀ, its B our Aᵀ
        var page = LoRAFromScratch.ForwardPass(Array(W), Array(B.Transpose()), Array(A.Transpose()), X.Values, S);
        var y = Step1ByHand.Forward(X.Values, Array(W), Array(A), Array(B), S);
        Check.Same("y", new DenseMatrix(1, y.Length, y), new DenseMatrix(1, Out, page), 1e-12);
    }

    [Test]
    public void With_B_zero_nothing_has_changed_yet() =>
        Assert.That(Step1ByHand.Forward(X.Values, Array(W), Array(A), new double[Rank, Out], S),
            Is.EqualTo((X * W.Transpose()).Values).Within(1e-12));

    [Test]
    public void DistilBERTs_query_and_value_layers_train_147456_numbers()
    {
        Assert.That(Step1ByHand.TrainableNumbers(5, 3, 2), Is.EqualTo(16), "in = 5, out = 3, r = 2");
        Assert.That(6 * 2 * Step1ByHand.TrainableNumbers(768, 768, 8), Is.EqualTo(147_456),
            "six blocks, two layers each, r = 8: the number in the tutorial's table");
    }

    private static double[,] Array(DenseMatrix matrix)
    {
        var array = new double[matrix.Rows, matrix.Columns];
        Buffer.BlockCopy(matrix.Values, 0, array, 0, matrix.Values.Length * sizeof(double));
        return array;
    }
}
