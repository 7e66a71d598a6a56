using System.Text;
using System.Text.Json;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Classification;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Tokenizers;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// The tiny classifiers of tests/reference/families.py, one of each family, with the weights that
/// the script makes by formula.
/// </summary>
internal sealed class TinyFamily
{
    private static readonly JsonElement All = ReferenceNumbers.Load("families.json");

    private TinyFamily(string name, JsonElement reference) => (Name, Reference) = (name, reference);

    /// <summary>The model_types of the script.</summary>
    public static string[] Names { get; } = [.. All.EnumerateObject().Select(family => family.Name)];

    /// <summary>model_type</summary>
    public string Name { get; }

    /// <summary>What the script computed.</summary>
    public JsonElement Reference { get; }

    /// <summary>Read from the config.json of the script.</summary>
    public EncoderConfig Config => EncoderConfig.Parse($"{Name}/config.json",
        Encoding.UTF8.GetBytes(Reference.GetProperty("config").GetRawText()));

    public int[] Labels => [.. Reference.GetProperty("labels").EnumerateArray().Select(label => label.GetInt32())];

    /// <summary>Texts, in which the second one of a pair has the token type 1.</summary>
    public EncodedExample[] Texts
    {
        get
        {
            var seconds = Reference.GetProperty("secondSegments").EnumerateArray().Select(at => at.GetInt32());
            return [.. Reference.GetProperty("texts").EnumerateArray().Zip(seconds, Labels).Select(text =>
                new EncodedExample([.. text.First.EnumerateArray().Select(id => id.GetInt32())], text.Third)
                {
                    SecondSegment = text.Second,
                })];
        }
    }

    public static TinyFamily Of(string name) => new(name, All.GetProperty(name));

    public EncoderForSequenceClassification Create()
    {
        var model = new EncoderForSequenceClassification(Config);
        TinyDistilBert.Fill(model);
        return model;
    }

    /// <summary>LoRA on query and value with the script's A and B.</summary>
    public static LoRAAdapter Adapt(Module model) => TinyDistilBert.Adapt(model, ["query", "value"]);

    /// <summary>
    /// A classifier of the words of <see cref="TinyDistilBert"/>, with dropout and random weights.
    /// </summary>
    public TextClassifier Classifier(ulong seed = 3, float dropout = 0.1f) =>
        new(new EncoderForSequenceClassification(
            Config with
            {
                Labels = ["neg", "pos"],
                Dropout = dropout,
                AttentionDropout = dropout,
                ClassifierDropout = dropout,
                InitializerRange = 0.2f,
            }, seed),
            WordPieceTokenizer.FromVocabulary(TinyDistilBert.Vocabulary));
}
