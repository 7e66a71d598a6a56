using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Classification;

/// <summary>An example that a model answered wrongly.</summary>
/// <param name="Index">Of the example, from 0.</param>
/// <param name="Predicted">
/// The class that was predicted; where any number may hold, all that were, perhaps none.
/// </param>
/// <param name="Probability">
/// How sure the model was: the probability of the predicted class; where any number may hold, that
/// of the surest of its wrong decisions.
/// </param>
internal sealed record Mistake(int Index, IReadOnlyList<int> Predicted, double Probability);

/// <summary>Keeps the examples that a model answers wrongly.</summary>
/// <param name="examples">All of them, with the true classes.</param>
internal sealed class Mistakes(IReadOnlyList<EncodedExample> examples)
{
    private readonly List<Mistake> mistakes = [];

    /// <summary>Those so far, the surest first; of equals the earlier example.</summary>
    public IReadOnlyList<Mistake> SurestFirst =>
        [.. mistakes.OrderByDescending(mistake => mistake.Probability).ThenBy(mistake => mistake.Index)];

    /// <summary>Looks at one answer.</summary>
    /// <param name="index">Of the example.</param>
    /// <param name="logits">[classes]</param>
    public void Add(int index, float[] logits)
    {
        if (examples[index].Classes is { } truth)
        {
            AddSet(index, truth, logits);
            return;
        }
        var answer = Logit.Largest(logits);
        if (answer != examples[index].Label)
        {
            mistakes.Add(new Mistake(index, [answer], Math.Exp(Logit.LogSoftmax(logits)[answer])));
        }
    }

    private void AddSet(int index, int[] truth, float[] logits)
    {
        int[] predicted = [.. Enumerable.Range(0, logits.Length).Where(label => logits[label] >= 0)];
        int[] wrong = [.. predicted.Except(truth), .. truth.Except(predicted)];
        if (wrong.Length > 0)
        {
            mistakes.Add(new Mistake(index, predicted, wrong.Max(label => Logit.Sigmoid(Math.Abs(logits[label])))));
        }
    }
}
