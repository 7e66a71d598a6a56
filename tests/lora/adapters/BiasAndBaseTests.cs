using System.Security.Cryptography;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;

using static LoraScratch.Tests.Lora.Models;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// Adapters with trained biases, and the fingerprint of the base that an adapter belongs to.
/// </summary>
internal sealed class BiasAndBaseTests
{
    private static readonly string[] Targets = ["q_lin", "v_lin"];

    [TestCase(LoRABias.None, "")]
    [TestCase(LoRABias.LoRAOnly, "block.q_lin.bias block.v_lin.bias")]
    [TestCase(LoRABias.All, "block.k_lin.bias block.q_lin.bias block.v_lin.bias classifier.bias pre_classifier.bias")]
    public void The_trained_biases_are_those_that_the_setting_names(LoRABias bias, string expected)
    {
        var model = new Classifier(new RandomStream(1));
        var before = model.NamedParameters().ToDictionary(entry => entry.Path, entry => entry.Parameter.ToArray());
        var adapter = LoRAAdapter.Attach(model, new LoRASettings(3, 5) { Bias = bias },
            [.. Targets.Select(ModulePattern.Named)], new RandomStream(2));
        Assert.That(adapter.Plan.TrainableParameters,
            Is.EqualTo(model.TrainableParameters().Sum(parameter => parameter.Shape.Count)));
        LoRAAdapterTests.Train(model, new RandomStream(3));
        var changed = model.NamedParameters()
            .Select(entry => (Path: entry.Path.Replace(".linear.", "."), entry.Parameter))
            .Where(entry => before.TryGetValue(entry.Path, out var values)
                && !values.SequenceEqual(entry.Parameter.ToArray())).Select(entry => entry.Path)
                .Order(StringComparer.Ordinal);
        Assert.That(string.Join(' ', changed), Is.EqualTo(expected));
        adapter.Detach();
        Assert.That(model.NamedParameters().Select(entry => entry.Parameter.ToArray()), Is.EqualTo(before.Values),
            "the base has its own biases again");
    }

    [Test]
    public void An_adapter_with_biases_gives_the_same_logits_when_it_is_loaded([Values(LoRABias.LoRAOnly, LoRABias.All)]
        LoRABias bias, [Values] bool withHead)
    {
        using var folder = new TemporaryFolder();
        var model = Trained(folder, bias, withHead);
        using var scope = new TensorScope();
        var fresh = new Classifier(new RandomStream(1));
        var loaded = PeftAdapter.Load(folder.File("adapter"), fresh);
        Assert.That(loaded.Config.Bias, Is.EqualTo(bias));
        Assert.That(loaded.Warnings, Is.Empty);
        Assert.That(fresh.Forward(LoRAAdapterTests.Input()).Bits(),
            Is.EqualTo(model.Forward(LoRAAdapterTests.Input()).Bits()));
    }

    [Test]
    public void Biases_have_the_names_under_which_PEFT_looks_for_them()
    {
        using var folder = new TemporaryFolder();
        Trained(folder, LoRABias.All, withHead: true);
        using var file = Weights(folder);
        Assert.That(file.Tensors.Keys.Where(key => key.Contains("bias"))
            .Select(key => key["base_model.model.".Length..]).Order(StringComparer.Ordinal), Is.EqualTo(new[]
        {
            "block.k_lin.bias", "block.q_lin.base_layer.bias", "block.v_lin.base_layer.bias", "classifier.bias",
            "pre_classifier.bias",
        }));
    }

    [Test]
    public void Older_names_of_biases_and_PEFTs_copies_of_the_head_are_read_and_a_missing_bias_is_listed()
    {
        using var folder = new TemporaryFolder();
        var model = Trained(folder, LoRABias.All, withHead: true);
        Rewrite(folder, name => name.Replace(".base_layer.bias", ".bias"),
            "base_model.model.classifier.original_module.bias");
        var fresh = new Classifier(new RandomStream(1));
        PeftAdapter.Load(folder.File("adapter"), fresh);
        using var scope = new TensorScope();
        Assert.That(fresh.Forward(LoRAAdapterTests.Input()).Bits(),
            Is.EqualTo(model.Forward(LoRAAdapterTests.Input()).Bits()));

        Rewrite(folder, name => name == "base_model.model.block.k_lin.bias" ? null : name);
        Assert.That(() => PeftAdapter.Load(folder.File("adapter"), new Classifier(new RandomStream(1))),
            Throws.TypeOf<InputException>().With.Message
                .Contains("missing 'base_model.model.block.k_lin.bias' [6]: bias is \"all\""));
    }

    [Test]
    public void The_file_names_the_hash_of_every_adapted_weight_merged_or_not([Values] bool merged)
    {
        using var folder = new TemporaryFolder();
        var model = new Classifier(new RandomStream(1));
        var weight = model.NamedParameters().Single(entry => entry.Path == "block.v_lin.weight").Parameter.ToArray();
        var adapter = LoRAAdapter.Attach(model, new LoRASettings(3, 5), ["q_lin", "v_lin"], new RandomStream(2));
        LoRAAdapterTests.Train(model, new RandomStream(3));
        if (merged)
        {
            adapter.Merge();
        }
        PeftAdapter.Save(folder.File("adapter"), adapter);
        using var file = Weights(folder);
        var bytes = weight.SelectMany(BitConverter.GetBytes).ToArray();
        Assert.That(file.Metadata["base_sha256.block.v_lin"],
            Is.EqualTo(Convert.ToHexStringLower(SHA256.HashData(bytes))));
        Assert.That(file.Metadata.Keys,
            Is.EquivalentTo(new[] { "format", "base_sha256.block.q_lin", "base_sha256.block.v_lin" }));
    }

    [Test]
    public void Another_base_is_refused_by_name_and_taken_when_asked()
    {
        using var folder = new TemporaryFolder();
        Trained(folder, LoRABias.None, withHead: false);
        var other = new Classifier(new RandomStream(1));
        var v = other.NamedParameters().Single(entry => entry.Path == "block.v_lin.weight").Parameter;
        var values = v.ToArray();
        values[17] = MathF.BitIncrement(values[17]);
        v.Set(values);
        var modules = other.NamedModules().ToList();
        Assert.That(() => PeftAdapter.Load(folder.File("adapter"), other), Throws.TypeOf<InputException>()
            .With.Message.Contains("1 of 2 adapted layers").And.Message.Contains("(block.v_lin)").And.Message
            .Contains("option 'anyBase'"));
        Assert.That(other.NamedModules(), Is.EqualTo(modules), "the model was not touched");
        Assert.That(PeftAdapter.Load(folder.File("adapter"), other, anyBase: true).Warnings,
            Has.One.Contains("used all the same"));
    }

    [Test]
    public void A_folder_without_a_fingerprint_is_loaded_with_a_note()
    {
        using var folder = new TemporaryFolder();
        Trained(folder, LoRABias.None, withHead: false);
        Rewrite(folder, name => name);
        Assert.That(PeftAdapter.Load(folder.File("adapter"), new Classifier(new RandomStream(1))).Warnings,
            Has.One.Contains("so that was not checked"));
    }

    private static Classifier Trained(TemporaryFolder folder, LoRABias bias, bool withHead)
    {
        var model = new Classifier(new RandomStream(1));
        var adapter = LoRAAdapter.Attach(model, new LoRASettings(3, 5) { Bias = bias },
            [.. Targets.Select(ModulePattern.Named)], new RandomStream(2),
                withHead ? ["pre_classifier", "classifier"] : null);
        LoRAAdapterTests.Train(model, new RandomStream(3));
        PeftAdapter.Save(folder.File("adapter"), adapter);
        return model;
    }

    private static SafeTensorsFile Weights(TemporaryFolder folder) =>
        SafeTensorsFile.Open(Path.Combine(folder.File("adapter"), PeftAdapter.WeightsName));

    /// <summary>
    /// Renames or leaves out the tensors of a saved adapter, adds one of 2 elements, and drops the
    /// metadata, as another program would write the file.
    /// </summary>
    private static void Rewrite(TemporaryFolder folder, Func<string, string?> rename, string? added = null)
    {
        using var file = Weights(folder);
        var tensors = file.Tensors.Keys.Where(name => rename(name) is not null)
            .Select(name => TensorToWrite.Copy(file, name, rename(name)));
        SafeTensorsWriter.Write(file.Path,
            added is null ? tensors : tensors.Append(TensorToWrite.Floats(added, [2], new float[2])));
    }
}
