using System.Text;
using System.Text.Json.Nodes;
using LoraScratch.Engine;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Families;

namespace LoraScratch.Tests.Lora;

/// <summary>What config.json says in each family, and what is refused by name.</summary>
public class FamilyConfigTests
{
    private const string Bert = """{"model_type": "bert", "hidden_size": 12, "num_attention_heads": 3, """;
    private const string Roberta = """{"model_type": "roberta", "hidden_size": 12, "num_attention_heads": 3, """;

    // as transformers' configuration classes have them
    [TestCase("distilbert", 30522, 768, 6, 12, 3072, 512, 0, 768)]
    [TestCase("bert", 30522, 768, 12, 12, 3072, 512, 2, 768)]
    [TestCase("roberta", 50265, 768, 12, 12, 3072, 510, 2, 768)]
    [TestCase("xlm-roberta", 30522, 768, 12, 12, 3072, 510, 2, 768)]
    [TestCase("camembert", 30522, 768, 12, 12, 3072, 510, 2, 768)]
    [TestCase("electra", 30522, 256, 12, 4, 1024, 512, 2, 128)]
    public void Absent_fields_are_those_of_transformers(string family, int words, int hidden, int layers, int heads,
        int inner, int positions, int types, int embedding)
    {
        var config = Parse($$"""{"model_type": "{{family}}"}""");
        Assert.That((config.VocabularySize, config.Hidden, config.Layers, config.Heads, config.FeedForward),
            Is.EqualTo((words, hidden, layers, heads, inner)));
        Assert.That((config.MaxPositions, config.TokenTypes, config.EmbeddingWidth, config.Epsilon),
            Is.EqualTo((positions, types, embedding, 1e-12f)));
        Assert.That((config.Dropout, config.ClassifierDropout),
            Is.EqualTo((0.1f, family == "distilbert" ? 0.2f : 0.1f)));
    }

    [Test]
    public void The_classifiers_dropout_is_the_encoders_where_it_is_null_or_absent()
    {
        Assert.That(Parse(Bert + """ "hidden_dropout_prob": 0.3, "classifier_dropout": null}""").ClassifierDropout,
            Is.EqualTo(0.3f));
        Assert.That(Parse(Bert + """ "hidden_dropout_prob": 0.3, "classifier_dropout": 0}""").ClassifierDropout,
            Is.Zero);
    }

    [Test]
    public void The_configs_of_published_checkpoints_say_nothing_that_is_not_understood([Values(
        """
        {"architectures": ["BertForMaskedLM"], "attention_probs_dropout_prob": 0.1,
         "gradient_checkpointing": false, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
         "hidden_size": 768, "initializer_range": 0.02, "intermediate_size": 3072, "layer_norm_eps": 1e-12,
          "max_position_embeddings": 512, "model_type": "bert",
         "num_attention_heads": 12, "num_hidden_layers": 12, "pad_token_id": 0,
          "position_embedding_type": "absolute", "transformers_version": "4.6.0", "type_vocab_size": 2,
         "use_cache": true, "vocab_size": 30522}
        """,
        """
        {"architectures": ["XLMRobertaModel"], "attention_probs_dropout_prob": 0.1, "bos_token_id": 0,
         "classifier_dropout": null, "eos_token_id": 2, "hidden_act": "gelu",
         "hidden_dropout_prob": 0.1, "hidden_size": 1024, "initializer_range": 0.02, "intermediate_size": 4096,
          "layer_norm_eps": 1e-05, "max_position_embeddings": 8194,
         "model_type": "xlm-roberta", "num_attention_heads": 16, "num_hidden_layers": 24, "output_past": true,
          "pad_token_id": 1, "position_embedding_type": "absolute",
         "torch_dtype": "float32", "transformers_version": "4.33.0", "type_vocab_size": 1, "use_cache": true,
          "vocab_size": 250002}
        """,
        """
        {"architectures": ["ElectraForPreTraining"], "attention_probs_dropout_prob": 0.1,
         "embedding_size": 128, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
         "hidden_size": 256, "initializer_range": 0.02, "intermediate_size": 1024, "layer_norm_eps": 1e-12,
          "max_position_embeddings": 512, "model_type": "electra",
         "num_attention_heads": 4, "num_hidden_layers": 12, "summary_activation": "gelu",
          "summary_last_dropout": 0.1, "summary_type": "first", "summary_use_proj": true,
         "type_vocab_size": 2, "vocab_size": 30522}
        """)] string json)
    {
        var config = Parse(json);
        Assert.That(config.Notices, Is.Empty);
        var written = JsonNode.Parse(config.ToJson())!.AsObject();
        foreach (var (key, value) in JsonNode.Parse(json)!.AsObject()
            .Where(entry => entry.Key is not ("architectures" or "classifier_dropout")))
        {
            Assert.That(written[key]?.ToJsonString().Replace("E-0", "e-").Replace("1E-", "1e-"),
                Is.EqualTo(value!.ToJsonString().Replace("1e-05", "1e-5")), key);
        }
    }

    [TestCase(Bert + """ "hidden_act": "silu"}""", "hidden_act is 'silu', supported are 'gelu', 'gelu_new', "
        + "'gelu_pytorch_tanh' and 'relu'")]
    [TestCase(Bert + """ "position_embedding_type": "relative_key"}""",
        "position_embedding_type is \"relative_key\"; expected \"absolute\"")]
    [TestCase(Bert + """ "is_decoder": true}""", "is_decoder is true; expected false")]
    [TestCase(Bert + """ "add_cross_attention": true}""", "add_cross_attention is true; expected false")]
    [TestCase(Bert + """ "intermediate_size": 0}""", "intermediate_size is 0, it must be at least 1")]
    [TestCase(Bert + """ "type_vocab_size": 0}""", "type_vocab_size is 0, it must be at least 1")]
    [TestCase(Bert + """ "layer_norm_eps": -1}""", "layer_norm_eps is -1, a number of at least 0 is expected")]
    [TestCase(Bert + """ "hidden_dropout_prob": 1}""", "hidden_dropout_prob is 1, a probability")]
    [TestCase("""{"model_type": "bert", "hidden_size": 10, "num_attention_heads": 4}""",
        "num_attention_heads is 4 and does not divide hidden_size, 10")]
    [TestCase("""{"model_type": "electra", "embedding_size": 0}""", "embedding_size is 0, it must be at least 1")]
    [TestCase(Roberta + """ "max_position_embeddings": 3}""",
        "max_position_embeddings is 3: [CLS] and [SEP] need 2 positions, the first of them at 2")]
    [TestCase(Roberta + """ "max_position_embeddings": 0}""", "max_position_embeddings is 0, it must be at least 1")]
    [TestCase(Roberta + """ "pad_token_id": 60000}""", "pad_token_id is 60000, ids of vocab_size 50265")]
    [TestCase(Roberta + """ "pad_token_id": 2147483647}""", "pad_token_id is 2147483647, ids of")]
    [TestCase("""{"model_type": "lorascratch-bert"}""", "a model of type lorascratch-bert names its low-rank")]
    [TestCase("""{"model_type": "lorascratch-albert"}""", "model_type is \"lorascratch-albert\"")]
    [TestCase("""{"model_type": 5}""", "model_type is 5; expected \"distilbert\", \"bert\", \"roberta\", "
        + "\"xlm-roberta\", \"camembert\" or \"electra\"; other architectures are not supported")]
    public void Refuses(string json, string expected) =>
        Assert.That(() => Parse(json), Throws.TypeOf<InputException>().With.Message.StartsWith("here/config.json: ")
            .And.Message.Contains(expected));

    [TestCase("modernbert", "The nearest that works is a BERT")]
    [TestCase("albert", "The nearest that works is a BERT or an ELECTRA")]
    [TestCase("mpnet", "The nearest that works is a BERT, such as all-MiniLM-L12-v2")]
    [TestCase("deberta-v2", "The nearest that works is a RoBERTa")]
    [TestCase("t5", "it has an encoder and a decoder. The nearest that works is a RoBERTa")]
    [TestCase("gpt2", "it is a decoder, which writes text. The nearest that works is a BERT")]
    [TestCase("llama", "it is a decoder, which writes text. The nearest that works is a BERT or an XLM-RoBERTa")]
    [TestCase("longformer", "bge-m3")]
    [TestCase("whisper", "other architectures are not supported")]
    public void Another_architecture_is_refused_with_the_nearest_that_works(string type, string expected) =>
        Assert.That(() => Parse($$"""{"model_type": "{{type}}"}"""), Throws.TypeOf<InputException>().With.Message
            .StartsWith($"here/config.json: model_type is \"{type}\"; expected \"distilbert\", \"bert\"").And.Message
            .Contains(expected));

    [TestCase("BertModel", "bert")]
    [TestCase("XLMRobertaForMaskedLM", "xlm-roberta")]
    [TestCase("DistilBertForSequenceClassification", "distilbert")]
    [TestCase("SomeModel", "distilbert")]
    public void A_file_older_than_model_type_tells_by_its_class(string architecture, string family) =>
        Assert.That(Parse($$"""{"architectures": ["{{architecture}}"]}""").Family.ModelType, Is.EqualTo(family));

    [TestCase("gelu_new")]
    [TestCase("gelu_pytorch_tanh")]
    public void Both_names_of_GELUs_tanh_form_mean_the_same(string activation)
    {
        using var scope = new TensorScope();
        var x = Tensor.From([-1.5f, 0.25f, 2], new Shape(3));
        Assert.That(Activations.Apply(activation, x).ToArray(), Is.EqualTo(x.GeluTanh().ToArray()));
        Assert.That(Activations.Apply(activation, x).ToArray(), Is.Not.EqualTo(x.Gelu().ToArray()));
    }

    [Test]
    public void The_length_of_a_text_leaves_out_the_positions_before_the_first()
    {
        var config = Parse(Roberta + """ "vocab_size": 30, "num_hidden_layers": 1, "max_position_embeddings": 14}""");
        var classifier = TinyDistilBert.Of(config);
        var text = string.Join(' ', Enumerable.Repeat("wa", 40));
        Assert.That(classifier.Encode(text), Has.Length.EqualTo(12));
        Assert.That(classifier.Predict([text]).Single().Logits, Has.Length.EqualTo(2));
        Assert.That(() => classifier.Encode(text, 13), Throws.TypeOf<InputException>().With.Message.Contains(
            "the model has 12 positions (max_position_embeddings 14, and a text's first token is at 2)"));
    }

    [Test]
    public void A_model_that_knows_one_token_type_gives_both_texts_of_a_pair_that_type()
    {
        var model = TinyFamily.Of("roberta").Create();
        var ids = new[] { 0, 7, 2, 2, 9, 2 };
        Assert.That(Forward.Logits(model, new EncodedExample(ids, 0) { SecondSegment = 3 }),
            Is.EqualTo(Forward.Logits(model, new EncodedExample(ids, 0))));
    }

    [Test]
    public void A_model_without_token_types_costs_no_upload_of_them()
    {
        var backend = new LoraScratch.Kernels.Cpu.CpuBackend(threads: 1);
        using var tokens = PackedTokens.From([[.. Enumerable.Range(0, 4096)]], backend);
        var before = backend.Memory.InUse;
        _ = tokens.Positions(0);
        var uploaded = backend.Memory.InUse;
        _ = tokens.Positions(0);
        Assert.That(uploaded - before, Is.GreaterThanOrEqualTo(4096 * sizeof(int)));
        Assert.That(backend.Memory.InUse, Is.EqualTo(uploaded), "once for all layers that ask");
        _ = tokens.TokenTypes(2);
        Assert.That(backend.Memory.InUse, Is.GreaterThan(uploaded));
    }

    [Test]
    public void Every_family_is_found_by_its_paths_and_has_the_head_of_those_that_share_them()
    {
        foreach (var family in EncoderFamilies.All)
        {
            var path = $"{family.Trunk}.{family.Blocks}.0.{family.Block.Query}";
            Assert.That(EncoderFamilies.OfPath(path)!.Head.OwnParameters, Is.EqualTo(family.Head.OwnParameters));
            Assert.That(EncoderFamilies.Of(family.ModelType), Is.SameAs(family));
        }
        Assert.That(EncoderFamilies.OfPath("model.layers.0.self_attn.q_proj"), Is.Null);
    }

    [Test]
    public void A_quantised_folder_of_an_earlier_version_is_read()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder.File("config.json"), """
            {"model_type": "lorascratch-distilbert", "vocab_size": 30, "dim": 12, "n_heads": 3,
             "low_rank": {"distilbert.transformer.layer.0.ffn.lin1": 3}}
            """);
        var config = EncoderConfig.Load(folder.Root);
        Assert.That((config.Family, config.OwnModelType), Is.EqualTo((DistilBert.Family, "lorascratch-distilbert")));
        Assert.That(config.LowRank["distilbert.transformer.layer.0.ffn.lin1"], Is.EqualTo(3));
    }

    private static EncoderConfig Parse(string json) =>
        EncoderConfig.Parse("here/config.json", Encoding.UTF8.GetBytes(json));
}
