using System.Text.Json.Nodes;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Tests.Lora;

/// <summary>Adapters that PEFT writes and loads, and that mean what they mean there.</summary>
public sealed class LenientAdapterTests
{
    private const string Table = "distilbert.embeddings.word_embeddings",
        Q0 = "distilbert.transformer.layer.0.attention.q_lin", Prefix = "base_model.model.";

    private AdapterCheckTests.AdapterFolder folder = null!;

    [SetUp]
    public void WriteSound() => folder = new AdapterCheckTests.AdapterFolder();

    [TearDown]
    public void DeleteFolder() => folder.Dispose();

    [Test]
    public void Names_of_other_architectures_change_nothing_and_are_said()
    {
        var expected = Logits(out _);
        folder.Config["target_modules"] = new JsonArray("q_lin", "query", "v_lin", "value");
        folder.Config["modules_to_save"] = new JsonArray("classifier", "score", "pooler");
        folder.Config["rank_pattern"] = new JsonObject { ["query"] = 7 };
        folder.Config["alpha_pattern"] = new JsonObject { ["dense"] = 0.5 };
        folder.Write();
        Assert.That(Logits(out var loaded), Is.EqualTo(expected));
        Assert.That(loaded.Warnings, Has.One.Contains("target_modules has 'query', 'value', which mean no layer").And
            .One.Contains("modules_to_save names 'pooler'").And
            .One.Contains("rank_pattern has 'query'").And.One.Contains("alpha_pattern has 'dense'"));
        Assert.That(Errors(), Is.Empty);
    }

    [Test]
    public void A_list_of_other_names_alone_is_refused_and_so_is_one_in_training()
    {
        folder.Config["target_modules"] = new JsonArray("query", "value");
        folder.Write();
        Assert.That(() => Logits(out _),
            Throws.TypeOf<InputException>().With.Message.Contains("'query' meets no layer"));
        Assert.That(() => LoRAPlan.For(TinyDistilBert.Create(), new LoRASettings(2, 2), ["q_lin", "query"]),
            Throws.TypeOf<InputException>().With.Message.Contains("'query' meets no layer"));
    }

    [Test]
    public void The_one_adapter_in_a_sub_folder_is_found()
    {
        var expected = Logits(out _);
        using var above = new TemporaryFolder();
        Copy("mood");
        Directory.CreateDirectory(above.File("logs"));
        Assert.That(Logits(out var loaded, above.Root), Is.EqualTo(expected));
        Assert.That(loaded.Warnings, Has.One.EqualTo($"{above.Root}: the adapter is in its sub-folder mood."));
        Assert.That(AdapterCheck.Run(above.Root, TinyDistilBert.Create()).Select(finding => finding.Kind),
            Has.None.EqualTo(FindingKind.Error));
        Assert.That(PeftAdapter.Find(above.Root), Is.EqualTo(above.File("mood")));
        Copy("topic");
        Assert.That(() => Logits(out _, above.Root), Throws.TypeOf<InputException>().With.Message
            .Contains("holds 2 adapters, in the sub-folders mood, topic. Name one of them"));

        void Copy(string name) => TemporaryFolder.Copy(folder.Path, above.File(name));
    }

    [TestCase("weight")]
    [TestCase("base_layer.weight")]
    public void A_saved_table_that_is_the_models_own_is_passed_over(string name)
    {
        var expected = Logits(out _);
        folder.Add($"{Prefix}{Table}.{name}", [30, 12], Find(TinyDistilBert.Create(), $"{Table}.weight").ToArray());
        folder.Write();
        Assert.That(Logits(out var loaded), Is.EqualTo(expected));
        Assert.That(loaded.Adapter.Plan.ModulesToSave.Select(kept => kept.Path), Has.None.EqualTo(Table));
        Assert.That(Errors(), Is.Empty);
    }

    [Test]
    public void A_saved_table_that_differs_goes_and_comes_with_the_adapter()
    {
        var changed = TinyDistilBert.Create();
        var table = Find(changed, $"{Table}.weight").ToArray().Select(value => 1.5f * value + 0.1f).ToArray();
        Find(changed, $"{Table}.weight").Set(table);
        var expected = Logits(changed, folder.Path, out _);
        folder.Add($"{Prefix}{Table}.weight", [30, 12], table);
        folder.Write();

        var model = TinyDistilBert.Create();
        var plain = Logits(model);
        Assert.That(Logits(model, folder.Path, out var loaded), Is.EqualTo(expected));
        Assert.That(Find(model, $"{Table}.weight").IsTrainable, Is.False, "PEFT does not train it either");
        loaded.Adapter.Detach();
        Assert.That(Logits(model), Is.EqualTo(plain), "the base has its own table again");
        Assert.That(Errors(), Is.Empty);
    }

    [Test]
    public void A_table_of_a_larger_vocabulary_is_refused()
    {
        folder.Add($"{Prefix}{Table}.weight", [31, 12], new float[31 * 12]);
        folder.Write();
        Assert.That(() => Logits(out _), Throws.TypeOf<InputException>().With.Message
            .Contains("word_embeddings.weight' F32 [31, 12]: expected [30, 12]"));
    }

    [Test]
    public void An_adapted_table_comes_with_the_base_that_it_was_trained_on([Values] bool isOwn)
    {
        using var other = new TemporaryFolder();
        var model = TinyDistilBert.Create();
        var adapter = LoRAAdapter.Attach(model, new LoRASettings(2, 3), [Table], new RandomStream(1));
        adapter.Layers[0].Layer.Lora.A.Set(new RandomStream(5).Normal(60, 1));
        var expected = Logits(model);
        PeftAdapter.Save(other.File("adapter"), adapter);
        var table = Find(TinyDistilBert.Create(), $"{Table}.weight").ToArray();
        table[7] += isOwn ? 0 : 1;
        Extend(Path.Combine(other.File("adapter"), PeftAdapter.WeightsName), $"{Prefix}{Table}.base_layer.weight",
            [30, 12], table);
        if (isOwn)
        {
            Assert.That(Logits(TinyDistilBert.Create(), other.File("adapter"), out _), Is.EqualTo(expected));
        }
        else
        {
            Assert.That(() => PeftAdapter.Load(other.File("adapter"), TinyDistilBert.Create()),
                Throws.TypeOf<InputException>().With.Message.Contains("the model has another one"));
        }
    }

    [Test]
    public void A_bias_beside_B_is_added_to_the_layers_own_times_s()
    {
        var random = new RandomStream(8);
        string[] layers = [.. Enumerable.Range(0, 2).SelectMany(block => new[] { "q_lin", "v_lin" }
            .Select(name => $"distilbert.transformer.layer.{block}.attention.{name}"))];
        var biases = layers.ToDictionary(path => path, _ => random.Normal(12, 1));
        var model = TinyDistilBert.Create();
        foreach (var (path, values) in biases)
        {
            var bias = Find(model, $"{path}.bias");
            bias.Set([.. bias.ToArray().Zip(values, (b, ofB) => (float)(b + 3.0 * ofB))]);      // s = 6/2
        }
        var expected = Logits(model, folder.Path, out _);
        folder.Config["lora_bias"] = true;
        foreach (var (path, values) in biases)
        {
            folder.Add($"{Prefix}{path}.lora_B.bias", [12], values);
        }
        folder.Write();
        Assert.That(Errors(), Is.Empty);

        var fresh = TinyDistilBert.Create();
        var plain = Logits(fresh);
        Assert.That(Logits(fresh, folder.Path, out var loaded), Is.EqualTo(expected));
        loaded.Adapter.Detach();
        Assert.That(Logits(fresh), Is.EqualTo(plain));
        loaded.Adapter.Attach();
        using var saved = new TemporaryFolder();
        PeftAdapter.Save(saved.File("again"), loaded.Adapter);
        Assert.That(Logits(TinyDistilBert.Create(), saved.File("again"), out _), Is.EqualTo(expected),
            "saved with the biases of the layers");
        loaded.Adapter.MergeAndDetach();
        Assert.That(Logits(fresh), Is.EqualTo(expected).Within(1e-4));
        Assert.That(() => AdapterConversion.Convert(folder.Path, saved.File("t.safetensors"),
            AdapterConvention.Tutorial), Throws.TypeOf<InputException>().With.Message.Contains("lora_bias"));

        folder.Remove($"{Prefix}{Q0}.lora_B.bias");
        folder.Write();
        Assert.That(() => Logits(out _), Throws.TypeOf<InputException>().With.Message
            .Contains($"missing '{Prefix}{Q0}.lora_B.bias' [12]: lora_bias is true"));
    }

    private float[] Logits(out LoadedAdapter loaded, string? path = null) =>
        Logits(TinyDistilBert.Create(), path ?? folder.Path, out loaded);

    private static float[] Logits(EncoderForSequenceClassification model, string path, out LoadedAdapter loaded)
    {
        loaded = PeftAdapter.Load(path, model, anyBase: true);
        return Logits(model);
    }

    private static float[] Logits(EncoderForSequenceClassification model)
    {
        model.Evaluate();
        return Forward.Logits(model, TinyDistilBert.Texts);
    }

    private IEnumerable<string> Errors() => AdapterCheck.Run(folder.Path, TinyDistilBert.Create())
        .Where(finding => finding.Kind == FindingKind.Error).Select(finding => finding.Message);

    private static Parameter Find(Module model, string path) =>
        model.NamedParameters().Single(entry => entry.Path == path).Parameter;

    private static void Extend(string path, string name, long[] shape, float[] values)
    {
        using var file = SafeTensorsFile.Open(path);
        SafeTensorsWriter.Write(path, [.. file.Tensors.Keys.Select(key => TensorToWrite.Copy(file, key)),
            TensorToWrite.Floats(name, shape, values)], new Dictionary<string, string>(file.Metadata));
    }
}
