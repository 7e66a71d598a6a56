using System.Text;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Tests.Lora;

public class EncoderConfigTests
{
    [Test]
    public void Reads_every_field_under_its_Hugging_Face_name()
    {
        var config = Parse("""
            {"model_type": "distilbert", "activation": "relu", "attention_dropout": 0.3, "dim": 24, "dropout": 0.2,
             "hidden_dim": 36, "initializer_range": 0.05, "max_position_embeddings": 40, "n_heads": 4, "n_layers": 3,
             "pad_token_id": 1, "seq_classif_dropout": 0.4, "vocab_size": 99,
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

    [TestCase("""{"activation": "silu"}""",
        "activation is 'silu', supported are 'gelu', 'gelu_new', 'gelu_pytorch_tanh' and 'relu'")]
    [TestCase("""{"dim": 10, "n_heads": 4}""", "n_heads is 4 and does not divide dim, 10")]
    [TestCase("""{"dim": "768"}""", "dim is \"768\"; expected a whole number")]
    [TestCase("""{"n_layers": 0}""", "n_layers is 0, it must be at least 1")]
    [TestCase("""{"dropout": 1}""", "dropout is 1, a probability in [0, 1) is expected")]
    [TestCase("""{"vocab_size": 2000000000}""", "makes a matrix of more than")]
    [TestCase("""{"dim": 60000, "hidden_dim": 1}""", "makes a matrix of more than")]
    [TestCase("""{"dim": 3072, "num_labels": 1000000}""", "makes a matrix of more than")]
    [TestCase("""{"pad_token_id": 30522}""", "pad_token_id is 30522")]
    [TestCase("""{"id2label": {"0": "a", "2": "b"}}""", "id2label has the entry '2'")]
    [TestCase("""{"id2label": {"0": "a", "1": null}}""", "id2label has the entry '1': null")]
    [TestCase("""{"label2id": {"a": 0, "b": "one"}}""", "label2id gives 'b' \"one\"")]
    [TestCase("""{"num_labels": 0}""", "num_labels is 0; expected at least 2")]
    [TestCase("""{"sinusoidal_pos_embds": "yes"}""", "sinusoidal_pos_embds is \"yes\"; expected true or false")]
    [TestCase("""{"id2label": {"0": "a", "00": "b"}}""", "id2label has no entry for class 1")]
    [TestCase("""{"dim": 8, "dim": 16}""", "not valid JSON")]
    [TestCase("""[1]""", "a JSON object is expected")]
    [TestCase("""{""", "not valid JSON")]
    public void Refuses(string json, string expected)
    {
        var error = Assert.Throws<InputException>(() => Parse(json))!;
        Assert.That(error.Message, Does.StartWith("here/config.json").And.Contains(expected));
    }

    // transformers reads id2label alone; the others may say what they will
    [TestCase("""{"id2label": {"0": "a", "1": "b"}, "label2id": {"a": 1, "b": 0}}""", "a b", "label2id is not")]
    [TestCase("""{"id2label": {"0": "a", "1": "b"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}}""", "a b", "label2id")]
    [TestCase("""{"id2label": {"0": "a", "1": "b"}, "label2id": [1]}""", "a b", "label2id is not")]
    [TestCase("""{"id2label": {"0": "a", "1": "b"}, "label2id": {"a": "0", "b": "1"}}""", "a b", null)]
    [TestCase("""{"label2id": {"a": "0", "b": 1}}""", "a b", null)]
    [TestCase("""{"id2label": {"0": "a", "1": "b"}, "num_labels": 3}""", "a b", "num_labels is 3, but there are 2")]
    [TestCase("""{"id2label": {"0": 5, "1": 7}, "label2id": {"5": 0, "7": 1}}""", "5 7", null)]
    [TestCase("""{"id2label": {"0": false, "1": true}}""", "false true", null)]
    [TestCase("""{"id2label": {"0": "a", "1": "a"}}""", "a LABEL_1", "'a' more than once")]
    public void Names_of_classes_are_taken_as_transformers_takes_them(string json, string names, string? notice)
    {
        var config = Parse(json);
        Assert.That(string.Join(' ', config.Labels), Is.EqualTo(names));
        Assert.That(config.Notices, notice is null ? Is.Empty : Has.One.Contains(notice));
        Assert.That(config.HasClasses);
    }

    [TestCase("""{"problem_type": "regression"}""")]
    [TestCase("""{"num_labels": 1}""")]
    [TestCase("""{"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}""")]
    public void Regression_is_refused_by_name_where_a_head_is_wanted(string json)
    {
        var config = Parse(json);
        Assert.That(config.IsRegression);
        Assert.That(() => new EncoderForSequenceClassification(config),
            Throws.TypeOf<InputException>().With.Message.Contains("regression"));
    }

    [Test]
    public void Positions_that_are_not_learned_are_refused_where_weights_are_drawn()
    {
        var config = Parse("""{"sinusoidal_pos_embds": true}""");
        Assert.That(() => new EncoderForSequenceClassification(config),
            Throws.TypeOf<InputException>().With.Message.Contains("sinusoidal_pos_embds is true"));
        Assert.That(() => new EncoderForMaskedLM(config),
            Throws.TypeOf<InputException>().With.Message.Contains("sinusoidal_pos_embds is true"));
    }

    [Test]
    public void Long_values_are_not_quoted_whole()
    {
        var text = new string('x', 1_000_000);
        foreach (var json in (string[])[$$"""{"activation": "{{text}}"}""", $$"""{"dim": "{{text}}"}""",
            $$"""{"id2label": {"{{text}}": 1, "0": 2}, "dim": 8}""",
                $$"""{"id2label": {"0": "a", "1": ["{{text}}"] } }""",
            $$"""{"{{text}}": 1, "{{text}}": 2}""", $$"""{"model_type": "{{text}}"}"""])
        {
            Assert.That(Assert.Throws<InputException>(() => Parse(json))!.Message, Has.Length.LessThan(500));
        }
        Assert.That(Parse($$"""{"{{text}}": 1}""").Notices.Single(), Has.Length.LessThan(500));
    }

    [TestCase("\uFEFF{}", "a text that begins with a byte order mark")]
    [TestCase("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "a Git LFS pointer")]
    [TestCase("<!DOCTYPE html>", "HTML")]
    [TestCase("", "an empty file")]
    public void What_is_no_JSON_is_called_by_its_name(string text, string name) =>
        Assert.That(() => Parse(text), Throws.TypeOf<InputException>().With.Message.Contains($"no JSON but {name}"));

    [Test]
    public void A_text_in_UTF_16_is_called_so() =>
        Assert.That(() => EncoderConfig.Parse("config.json", new byte[] { 0xFF, 0xFE, (byte)'{', 0 }),
            Throws.TypeOf<InputException>().With.Message.Contains("UTF-16"));

    [Test]
    public void A_missing_file_is_named()
    {
        Assert.That(() => EncoderConfig.Load("no-such-folder/config.json"),
            Throws.TypeOf<InputException>().With.Message.Contains("no-such-folder"));
    }

    private static EncoderConfig Parse(string json) =>
        EncoderConfig.Parse("here/config.json", Encoding.UTF8.GetBytes(json));
}
