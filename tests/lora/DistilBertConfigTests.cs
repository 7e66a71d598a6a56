using System.Text;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Lora.DistilBert;

namespace LoraScratch.Tests.Lora;

public class DistilBertConfigTests
{
    [Test]
    public void Reads_every_field_under_its_Hugging_Face_name()
    {
        var config = Parse("""
            {"model_type": "distilbert", "activation": "relu", "attention_dropout": 0.3, "dim": 24, "dropout": 0.2, "hidden_dim": 36, "initializer_range": 0.05,
             "max_position_embeddings": 40, "n_heads": 4, "n_layers": 3, "pad_token_id": 1, "seq_classif_dropout": 0.4, "vocab_size": 99,
             "id2label": {"0": "neg", "1": "pos", "2": "mixed"}, "label2id": {"pos": 1, "mixed": 2, "neg": 0}}
            """);
        Assert.Multiple(() =>
        {
            Assert.That((config.Activation, config.Hidden, config.FeedForward, config.Heads, config.Layers),
                Is.EqualTo(("relu", 24, 36, 4, 3)));
            Assert.That((config.MaxPositions, config.PadTokenId, config.VocabularySize), Is.EqualTo((40, 1, 99)));
            Assert.That((config.AttentionDropout, config.Dropout, config.ClassifierDropout, config.InitializerRange),
                Is.EqualTo((0.3f, 0.2f, 0.4f, 0.05f)));
            Assert.That(config.Labels, Is.EqualTo(new[] { "neg", "pos", "mixed" }));
            Assert.That(config.Notices, Is.Empty);
        });
    }

    [Test]
    public void Absent_fields_are_those_of_distilbert_base_uncased()
    {
        var config = Parse("{}");
        Assert.That((config.VocabularySize, config.Hidden, config.Layers, config.Heads, config.FeedForward,
            config.MaxPositions), Is.EqualTo((30522, 768, 6, 12, 3072, 512)));
        Assert.That(config.Labels, Is.EqualTo(new[] { "LABEL_0", "LABEL_1" }));
    }

    [Test]
    public void Num_labels_alone_names_the_classes_by_number()
    {
        Assert.That(Parse("""{"num_labels": 3}""").Labels, Is.EqualTo(new[] { "LABEL_0", "LABEL_1", "LABEL_2" }));
    }

    [Test]
    public void Unknown_keys_are_noticed_and_written_back()
    {
        var config = Parse("""{"_name_or_path": "x", "my_key": {"a": [1, 2]}, "dim": 24, "n_heads": 4}""");
        Assert.That(config.Notices.Single(), Does.Contain("my_key").And.Not.Contain("_name_or_path"));
        using var written = JsonDocument.Parse(config.ToJson());
        Assert.That(written.RootElement.GetProperty("my_key").GetProperty("a")[1].GetInt32(), Is.EqualTo(2));
    }

    [Test]
    public void What_is_written_reads_the_same_again()
    {
        var config = TinyDistilBert.Config with
        {
            Labels = ["schlecht", "gut", "\"so\""],
            Dropout = 0.15f,
            Activation = "relu"
        };
        var again = Parse(config.ToJson());
        Assert.That(again.ToJson(), Is.EqualTo(config.ToJson()));
        Assert.That(again.Labels, Is.EqualTo(config.Labels));
        Assert.That(again.Dropout, Is.EqualTo(0.15f));
        Assert.That(again.Notices, Is.Empty, "our own file must not be remarked upon");
    }

    [TestCase("""{"activation": "silu"}""", "activation is 'silu', supported are 'gelu' and 'relu'")]
    [TestCase("""{"dim": 10, "n_heads": 4}""", "n_heads is 4 and does not divide dim, 10")]
    [TestCase("""{"dim": "768"}""", "dim is \"768\"; expected a whole number")]
    [TestCase("""{"n_layers": 0}""", "n_layers is 0, it must be at least 1")]
    [TestCase("""{"dropout": 1}""", "dropout is 1, a probability in [0, 1) is expected")]
    [TestCase("""{"vocab_size": 2000000000}""", "makes a matrix of more than")]
    [TestCase("""{"dim": 60000, "hidden_dim": 1}""", "makes a matrix of more than")]
    [TestCase("""{"dim": 3072, "num_labels": 1000000}""", "makes a matrix of more than")]
    [TestCase("""{"pad_token_id": 30522}""", "pad_token_id is 30522")]
    [TestCase("""{"model_type": "bert"}""", "model_type is \"bert\"")]
    [TestCase("""{"sinusoidal_pos_embds": true}""", "sinusoidal_pos_embds is true; expected false")]
    [TestCase("""{"problem_type": "regression"}""", "problem_type is \"regression\"")]
    [TestCase("""{"id2label": {"0": "a", "2": "b"}}""", "id2label has the entry \"2\"")]
    [TestCase("""{"id2label": {"0": "a", "00": "b"}}""", "id2label has no entry for class 1")]
    [TestCase("""{"id2label": {"0": "a", "1": "a"}}""", "id2label names 'a' twice")]
    [TestCase("""{"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 1, "b": 0}}""", "contradict each other")]
    [TestCase("""{"id2label": {"0": "a", "1": "b"}, "num_labels": 3}""", "num_labels is 3; expected 2")]
    [TestCase("""{"num_labels": 1}""", "num_labels is 1; expected at least 2")]
    [TestCase("""{"dim": 8, "dim": 16}""", "not valid JSON")]
    [TestCase("""[1]""", "a JSON object is expected")]
    [TestCase("""{""", "not valid JSON")]
    public void Refuses(string json, string expected)
    {
        var error = Assert.Throws<InputException>(() => Parse(json))!;
        Assert.That(error.Message, Does.StartWith("here/config.json").And.Contains(expected));
    }

    [Test]
    public void A_missing_file_is_named()
    {
        Assert.That(() => DistilBertConfig.Load("no-such-folder/config.json"),
            Throws.TypeOf<InputException>().With.Message.Contains("no-such-folder"));
    }

    private static DistilBertConfig Parse(string json) =>
        DistilBertConfig.Parse("here/config.json", Encoding.UTF8.GetBytes(json));
}
