using LoraScratch.Engine;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Encoders;
using LoraScratch.Lora.Training;

namespace LoraScratch.Tests.Lora;

/// <summary>Option 'layers': LoRA in some of the encoder's layers.</summary>
public class LayersOptionTests
{
    [TestCase("4,5", 6, new[] { 4, 5 })]
    [TestCase("5,0", 6, new[] { 0, 5 })]
    [TestCase("last:2", 6, new[] { 4, 5 })]
    [TestCase("last:6", 6, new[] { 0, 1, 2, 3, 4, 5 })]
    [TestCase("0", 1, new[] { 0 })]
    public void Numbers_and_the_last_ones_are_understood(string written, int layers, int[] numbers)
    {
        var names = written.Split(',');
        Assert.That(BlockNumbers.AreWritten(names));
        Assert.That(BlockNumbers.Of(names, layers), Is.EqualTo(numbers));
    }

    [TestCase("6")]
    [TestCase("0,6")]
    [TestCase("last:7")]
    public void A_layer_that_the_model_does_not_have_is_refused(string written) =>
        Assert.That(() => BlockNumbers.Of(written.Split(','), 6), Throws.TypeOf<InputException>().With.Message
            .EqualTo($"Option 'Layers' is {written}; the model has 6 layers, 0 to 5. Name some of them, or the last "
                + "ones as last:2."));

    [TestCase("last")]
    [TestCase("last:0")]
    [TestCase("-1")]
    [TestCase("1,1")]
    [TestCase("1,last:2")]
    [TestCase("")]
    public void What_names_no_layers_is_refused(string written) =>
        Assert.That(() => new TrainingOptions { Layers = written.Split(',') }.Check(),
            Throws.TypeOf<InputException>().With.Message.EqualTo($"Option 'Layers' is {written}; expected numbers of "
                + "layers from 0, each once, such as 4,5, or the last ones, such as last:2."));

    [Test]
    public void Only_the_targets_in_these_layers_get_LoRA_and_the_head_is_trained()
    {
        var adapter = Attach("last:1", out var model);
        Assert.That(adapter.Layers.Select(layer => layer.Path), Is.EqualTo(new[]
        {
            "distilbert.transformer.layer.1.attention.q_lin", "distilbert.transformer.layer.1.attention.v_lin",
        }));
        Assert.That(TrainingSetup.IsHeadTrained(model));
    }

    [Test]
    public void The_word_embeddings_lie_in_no_layer_and_are_adapted_all_the_same()
    {
        var adapter = Attach("1", out _, ["embeddings", "query"]);
        Assert.That(adapter.Layers.Select(layer => layer.Path), Is.EqualTo(new[]
        {
            "distilbert.embeddings.word_embeddings", "distilbert.transformer.layer.1.attention.q_lin",
        }));
    }

    /// <summary>
    /// PEFT 0.17 reads a list of names together with layers_to_transform; a target that is a whole
    /// path is not restricted by it.
    /// </summary>
    [Test]
    public void The_config_has_PEFTs_layers_to_transform_and_is_read_back()
    {
        using var folder = new TemporaryFolder();
        var adapter = Attach("last:1", out _, ["embeddings", "query", "value"]);
        PeftAdapter.Save(folder.File("adapter"), adapter);
        var config = PeftConfig.Read(Path.Combine(folder.File("adapter"), PeftAdapter.ConfigName));
        Assert.That(config.Blocks, Is.EqualTo(new[] { 1 }));
        Assert.That(config.BlockLists, Is.Empty);
        Assert.That(config.TargetNames, Is.EquivalentTo(new[]
        {
            "q_lin", "v_lin", "distilbert.embeddings.word_embeddings",
        }));
        Assert.That(config.ToJson(),
            Does.Contain("\"layers_pattern\": null").And.Contain("\"layers_to_transform\": ["));
        var loaded = PeftAdapter.Load(folder.File("adapter"), TinyDistilBert.Classifier().Model).Adapter;
        Assert.That(loaded.Layers.Select(layer => layer.Path), Is.EqualTo(adapter.Layers.Select(layer => layer.Path)));
    }

    [Test]
    public void An_adapter_of_every_layer_needs_no_layers_to_transform()
    {
        using var folder = new TemporaryFolder();
        PeftAdapter.Save(folder.File("adapter"), Attach("0,1", out _));
        var config = PeftConfig.Read(Path.Combine(folder.File("adapter"), PeftAdapter.ConfigName));
        Assert.That(config.Blocks, Is.Empty);
        Assert.That(config.TargetNames, Is.EquivalentTo(new[] { "q_lin", "v_lin" }));
    }

    private static LoRAAdapter Attach(string layers, out EncoderForSequenceClassification model,
        params string[] targets)
    {
        var classifier = TinyDistilBert.Classifier();
        model = classifier.Model;
        var options = new TrainingOptions { Layers = layers.Split(',') };
        return TrainingSetup.Prepare(classifier, targets.Length == 0 ? options : options with { Targets = targets })!;
    }
}
