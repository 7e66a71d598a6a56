using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Classification;

/// <summary>Counts right and wrong answers.</summary>
/// <param name="classes">Number of classes.</param>
/// <param name="isMultiLabel">
/// Whether any number of them may hold; those are predicted then whose probability is at least 0.5.
/// </param>
internal sealed class EvaluationCounts(int classes, bool isMultiLabel)
{
    private readonly int[] support = new int[classes], predicted = new int[classes], correct = new int[classes];
    private readonly int[][] confusion = [.. Enumerable.Range(0, classes).Select(_ => new int[classes])];
    private readonly AnswerCalibration calibration = new();
    private int count, right;
    private double loss;

    /// <summary>Counts one answer.</summary>
    /// <param name="example">With the true classes.</param>
    /// <param name="logits">[classes]</param>
    public void Add(EncodedExample example, float[] logits)
    {
        count++;
        if (isMultiLabel)
        {
            AddSet(example.Classes!, logits);
            return;
        }
        var answer = Logit.Largest(logits);
        confusion[example.Label][answer]++;
        var logarithms = Logit.LogSoftmax(logits);
        loss -= logarithms[example.Label];
        calibration.Add(Math.Exp(logarithms[answer]), answer == example.Label);
        support[example.Label]++;
        predicted[answer]++;
        if (answer == example.Label)
        {
            correct[answer]++;
            right++;
        }
    }

    /// <summary>The result of all.</summary>
    public Evaluation Result(long tokens, double seconds) => new(
        [.. support.Select((texts, label) => new ClassScore(texts, predicted[label], correct[label]))], count, right,
        loss / count, tokens, seconds)
    {
        Confusion = isMultiLabel ? null : confusion,
        Calibration = calibration,
    };

    private void AddSet(int[] labels, float[] logits)
    {
        var isRight = true;
        for (var label = 0; label < classes; label++)
        {
            var (holds, isPredicted) = (Array.BinarySearch(labels, label) >= 0, logits[label] >= 0);
            support[label] += holds ? 1 : 0;
            predicted[label] += isPredicted ? 1 : 0;
            correct[label] += holds && isPredicted ? 1 : 0;
            isRight &= holds == isPredicted;
            calibration.Add(Logit.Sigmoid(logits[label]), holds);
            loss += Logit.BinaryCrossEntropy(logits[label], holds) / classes;
        }
        right += isRight ? 1 : 0;
    }
}
