namespace LoraScratch.Lora.Classification;

/// <summary>What logits say, in double.</summary>
internal static class Logit
{
    /// <summary>The index of the largest, the first of equals.</summary>
    public static int Largest(float[] logits) => Array.IndexOf(logits, logits.Max());

    /// <summary>log softmax(x)</summary>
    public static double[] LogSoftmax(float[] logits)
    {
        // exp(x − max): the largest exponent is 0, it cannot overflow
        double largest = logits.Max();
        var logSum = largest + Math.Log(logits.Sum(logit => Math.Exp(logit - largest)));
        return [.. logits.Select(logit => logit - logSum)];
    }

    /// <summary>σ(x) = 1 / (1 + exp(−x))</summary>
    public static double Sigmoid(double logit) => 1 / (1 + Math.Exp(-logit));

    /// <summary>
    /// −log σ(x) where a label holds, −log(1 − σ(x)) where it does not: log(1 + exp(∓x)), in a form
    /// in which the exponent is never above 0.
    /// </summary>
    public static double BinaryCrossEntropy(double logit, bool holds)
    {
        var x = holds ? -logit : logit;
        return Math.Max(x, 0) + Math.Log(1 + Math.Exp(-Math.Abs(x)));
    }
}
