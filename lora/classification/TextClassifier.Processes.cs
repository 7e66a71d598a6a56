using LoraScratch.Lora.Processes;

namespace LoraScratch.Lora.Classification;

/// <content>Predictions of many texts by several processes.</content>
public sealed partial class TextClassifier
{
    // of each process: long enough that they seldom wait for each other, short enough to show progress
    private const int BatchesOfRound = 16;

    /// <summary>
    /// Predicts text by text, in their order, each process some batches at a time; all get all
    /// predictions, which are those of one process, bit for bit.
    /// </summary>
    /// <param name="texts">The same in every process.</param>
    /// <param name="batchSize">Texts at a time.</param>
    /// <param name="maxLength">As for <see cref="Encode"/>.</param>
    /// <param name="processes">All must enumerate to the end.</param>
    internal IEnumerable<Prediction> Predict(IEnumerable<TextInput> texts, int batchSize, int? maxLength,
        ProcessGroup processes)
    {
        if (!processes.HasOthers)
        {
            return Predict(texts, batchSize, maxLength);
        }
        return texts.Chunk(processes.Size * BatchesOfRound * batchSize).SelectMany(Round);

        IEnumerable<Prediction> Round(TextInput[] round)
        {
            var (first, end) = processes.ShareOf(round.Length);
            Prediction[] mine = [.. Predict(round[first..end], batchSize, maxLength)];
            var logits = OfAll<float>([.. mine.SelectMany(one => one.Logits)]);
            var isCut = OfAll<bool>([.. mine.Select(one => one.IsTruncated)]);
            var at = 0;
            for (var i = 0; i < round.Length; i++)
            {
                var head = HeadOf(round[i].Adapter);
                var classes = head.Model.Config.Classes;
                yield return ToPrediction(head, logits[at..(at + classes)], isCut[i]);
                at += classes;
            }
        }

        T[] OfAll<T>(T[] values) where T : unmanaged => [.. processes.Gather<T>(values).SelectMany(part => part)];
    }
}
