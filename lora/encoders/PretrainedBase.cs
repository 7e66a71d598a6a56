using LoraScratch.Kernels;
using LoraScratch.Lora.Adapters;

namespace LoraScratch.Lora.Encoders;

/// <summary>
/// The built-in base model: an uncased encoder of the DistilBERT architecture with a vocabulary
/// of its own, pretrained by 'lora pretrain' on English film reviews. It knows how such texts are
/// written and has no classification head: LoRA and a head that is trained beside it make a
/// classifier of it.
/// </summary>
internal static class PretrainedBase
{
    /// <summary>What messages call it.</summary>
    public const string Description = BuiltInBase.Description;

    /// <summary>
    /// Share of the words of its own kind of text that its tokenizer cuts or does not know:
    /// measured on the 25,000 labelled film reviews of the training half, see
    /// <see cref="Data.TokenStatistics.CutWordShare"/>.
    /// </summary>
    public const double CutWordShare = 0.098;

    /// <summary>
    /// What adapters call it: "lorascratch-base:" and the first twelve digits of the SHA-256 of its
    /// model.safetensors, so that another version has another name. The colon keeps other programs
    /// from looking for it among published models.
    /// </summary>
    public static string Name => BuiltInBase.Name;

    /// <summary>
    /// Loads it as a classifier with a head that is yet to be trained. No file is read.
    /// </summary>
    /// <param name="seed">Draws the head, and names the dropout masks.</param>
    /// <param name="labels">The classes; null: two, without names.</param>
    /// <param name="backend">Where to put it; default <see cref="Engine.Device.Default"/>.</param>
    /// <example><code>
    /// var classifier = new TextClassifier(PretrainedBase.Load(seed: 1, labels: ["negative", "positive"]));
    /// var adapter = TrainingSetup.Prepare(classifier, new TrainingOptions());
    /// </code></example>
    public static LoadedModel Load(ulong seed = 0, IReadOnlyList<string>? labels = null, IBackend? backend = null) =>
        ModelSource.BuiltIn.Load(seed, labels, backend: backend);

    /// <summary>
    /// Whether a name, as adapters give one, is that of a base inside this program, of this version
    /// or another one.
    /// </summary>
    public static bool IsNamedBy(string? name) => BuiltInBase.IsNamedBy(name);
}
