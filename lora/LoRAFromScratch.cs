using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;

namespace LoraScratch.Lora;

/// <summary>
/// LoRA on one page: start here. Plain arrays and loops, nothing hidden; below it, the same
/// training on the engine.
/// <para>
/// A trained layer computes W·x. To adapt it to a new task, W [out, in] stays as it is and two
/// small matrices are trained beside it:
/// </para>
/// <code>y = W·x + alpha · A·(B·x)          A [out, r], B [r, in], r much smaller than in and out</code>
/// <para>
/// A·B is a change of W of rank r with r·(in + out) numbers in place of in·out. The bracket
/// matters: B·x has r numbers and A·(B·x) costs r·(in + out) multiplications; (A·B)·x would first
/// make a matrix as large as W.
/// </para>
/// <para>
/// <b>Columns here, rows in the layers.</b> This page multiplies a column vector from the left,
/// A·(B·x). The layers take a batch with one example in a row and multiply from the right, (x·A)·B,
/// with A [in, r] and B [r, out]. Transposing one gives the other, (A·(B·x))ᵀ = (xᵀ·Bᵀ)·Aᵀ: <b>the
/// A of this page is the layer's B transposed, and its B the layer's A transposed.</b>
/// <see cref="LoRALayer"/> starts its B, and hence this page its A, at zero.
/// </para>
/// <para>
/// <b>Where the tutorial's pseudo-code needs care.</b> It draws A and B both at random: then A·B ≠
/// 0 and the first output already differs from the trained model's; the paper sets one of the two
/// to zero (<see cref="InitializeLora"/> does, and can do either). It takes W to be square, which
/// is not needed. And it multiplies by alpha itself, where the paper takes alpha/r; pass alpha/r
/// for that.
/// </para>
/// </summary>
public static class LoRAFromScratch
{
    /// <summary>
    /// The two matrices to be trained: B uniform in ±1/√in, A zero, so that training begins at the
    /// given model.
    /// </summary>
    /// <param name="W">[out, in]</param>
    /// <param name="r">Rank, at least 1.</param>
    /// <param name="seed">Names the random numbers.</param>
    /// <param name="bothRandom">
    /// True: A too is random, in ±1/√r, as the tutorial's pseudo-code has it. Then y ≠ W·x from the
    /// start.
    /// </param>
    /// <returns>A [out, r] and B [r, in]</returns>
    public static (double[,] A, double[,] B) InitializeLora(double[,] W, int r, ulong seed = 0, bool bothRandom = false)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(r, 1);
        var (rows, columns) = (W.GetLength(0), W.GetLength(1));
        var random = new RandomStream(seed);
        var A = new double[rows, r];
        var B = new double[r, columns];
        Fill(B, () => (2 * random.NextUniform() - 1) / Math.Sqrt(columns));
        if (bothRandom)
        {
            Fill(A, () => (2 * random.NextUniform() - 1) / Math.Sqrt(r));
        }
        return (A, B);
    }

    /// <summary>y = W·x + alpha·A·(B·x)</summary>
    /// <param name="W">[out, in]</param>
    /// <param name="A">[out, r]</param>
    /// <param name="B">[r, in]</param>
    /// <param name="x">[in]</param>
    /// <param name="alpha">Factor.</param>
    /// <returns>[out]</returns>
    public static double[] ForwardPass(double[,] W, double[,] A, double[,] B, double[] x, double alpha)
    {
        var y = Multiply(W, x);
        var update = Multiply(A, Multiply(B, x));
        for (var i = 0; i < y.Length; i++)
        {
            y[i] += alpha * update[i];
        }
        return y;
    }

    /// <summary>L = (1/out)·Σᵢ (yᵢ − targetᵢ)², the mean squared error.</summary>
    public static double ComputeLoss(double[] output, double[] target) =>
        output.Zip(target, (y, t) => (y - t) * (y - t)).Average();

    /// <summary>
    /// The chain rule by hand. With h = B·x:
    /// <code>
    /// dy = 2/out · (y − target)
    /// dA = alpha · dy·hᵀ               since yᵢ holds alpha·Aᵢₖ·hₖ
    /// dh = alpha · Aᵀ·dy               since yᵢ holds alpha·Aᵢₖ·hₖ
    /// dB = dh·xᵀ                       since hₖ holds Bₖⱼ·xⱼ
    /// </code>
    /// W has no gradient: it is not trained.
    /// </summary>
    /// <returns>dA [out, r] and dB [r, in]</returns>
    public static (double[,] dA, double[,] dB) ComputeGradients(double[,] W, double[,] A, double[,] B, double[] x,
        double[] target, double alpha)
    {
        var y = ForwardPass(W, A, B, x, alpha);
        var dy = y.Zip(target, (output, wanted) => 2 * (output - wanted) / y.Length).ToArray();
        var h = Multiply(B, x);
        var dA = OuterProduct(dy, h, alpha);
        var dh = Multiply(Transpose(A), dy);
        var dB = OuterProduct(dh, x, alpha);
        return (dA, dB);
    }

    /// <summary>
    /// Gradient descent, one example at a time: A ← A − learningRate·dA, B ← B − learningRate·dB.
    /// Changes A and B in place; never W.
    /// </summary>
    /// <returns>The mean loss of each epoch, taken before each step.</returns>
    public static double[] TrainLora(double[,] W, double[,] A, double[,] B,
        IReadOnlyList<(double[] X, double[] Target)> data, double alpha, double learningRate, int epochs)
    {
        var losses = new double[epochs];
        for (var epoch = 0; epoch < epochs; epoch++)
        {
            foreach (var (x, target) in data)
            {
                losses[epoch] += ComputeLoss(ForwardPass(W, A, B, x, alpha), target) / data.Count;
                var (dA, dB) = ComputeGradients(W, A, B, x, target, alpha);
                Descend(A, dA, learningRate);
                Descend(B, dB, learningRate);
            }
        }
        return losses;
    }

    /// <summary>
    /// The same training on the engine: autograd finds the gradients, an optimizer takes the steps.
    /// Float32, so equal up to rounding.
    /// </summary>
    /// <returns>The mean loss of each epoch; A and B are changed in place.</returns>
    public static double[] TrainLoraOnEngine(double[,] W, double[,] A, double[,] B,
        IReadOnlyList<(double[] X, double[] Target)> data, double alpha, double learningRate, int epochs)
    {
        var linear = new Linear(W.GetLength(1), W.GetLength(0), Flat(W), bias: null);
        // freezes W
        var layer = new LinearWithLoRA(linear, new LoRASettings(B.GetLength(0), alpha, LoRAScaling.Alpha),
            new RandomStream(0));
        layer.Lora.A.Set(Flat(Transpose(B)));                   // the layer's A is this page's Bᵀ,
        layer.Lora.B.Set(Flat(Transpose(A)));                   // and its B this page's Aᵀ
        using var optimizer = new Sgd(layer.TrainableParameters(), (float)learningRate);
        var losses = new double[epochs];
        for (var epoch = 0; epoch < epochs; epoch++)
        {
            foreach (var (x, target) in data)
            {
                using var scope = new TensorScope();
                using var input = Row(x);
                using var wanted = Row(target);
                var loss = layer.Forward(input).MeanSquaredError(wanted);
                losses[epoch] += loss.Item() / data.Count;
                loss.Backward();
                optimizer.Step();
                optimizer.ZeroGradient();
            }
        }
        SetTransposed(B, layer.Lora.A.ToArray());
        SetTransposed(A, layer.Lora.B.ToArray());
        return losses;
    }

    // ---------------------------------------------------------------- matrices as plain arrays

    /// <summary>y = M·x</summary>
    private static double[] Multiply(double[,] M, double[] x)
    {
        var y = new double[M.GetLength(0)];
        for (var i = 0; i < y.Length; i++)
        {
            for (var j = 0; j < x.Length; j++)
            {
                y[i] += M[i, j] * x[j];
            }
        }
        return y;
    }

    /// <summary>scale · u·vᵀ</summary>
    private static double[,] OuterProduct(double[] u, double[] v, double scale)
    {
        var product = new double[u.Length, v.Length];
        for (var i = 0; i < u.Length; i++)
        {
            for (var j = 0; j < v.Length; j++)
            {
                product[i, j] = scale * u[i] * v[j];
            }
        }
        return product;
    }

    private static double[,] Transpose(double[,] M)
    {
        var transposed = new double[M.GetLength(1), M.GetLength(0)];
        for (var i = 0; i < M.GetLength(0); i++)
        {
            for (var j = 0; j < M.GetLength(1); j++)
            {
                transposed[j, i] = M[i, j];
            }
        }
        return transposed;
    }

    /// <summary>M ← M − learningRate·dM</summary>
    private static void Descend(double[,] M, double[,] dM, double learningRate)
    {
        for (var i = 0; i < M.GetLength(0); i++)
        {
            for (var j = 0; j < M.GetLength(1); j++)
            {
                M[i, j] -= learningRate * dM[i, j];
            }
        }
    }

    private static void Fill(double[,] M, Func<double> next)
    {
        for (var i = 0; i < M.GetLength(0); i++)
        {
            for (var j = 0; j < M.GetLength(1); j++)
            {
                M[i, j] = next();
            }
        }
    }

    // ---------------------------------------------------------------- to the engine and back

    private static Tensor Row(double[] x) =>
        Tensor.From(Array.ConvertAll(x, value => (float)value), new Shape(1, x.Length));

    private static float[] Flat(double[,] M) => [.. M.Cast<double>().Select(value => (float)value)];

    /// <summary>M ← Vᵀ, where V is given row by row.</summary>
    private static void SetTransposed(double[,] M, float[] values)
    {
        for (var i = 0; i < M.GetLength(0); i++)
        {
            for (var j = 0; j < M.GetLength(1); j++)
            {
                M[i, j] = values[j * M.GetLength(0) + i];
            }
        }
    }
}
