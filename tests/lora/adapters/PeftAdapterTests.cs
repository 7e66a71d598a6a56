using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;
using static LoraScratch.Tests.Lora.Models;

namespace LoraScratch.Tests.Lora;

/// <summary>An adapter written in PEFT's format and read back.</summary>
public sealed class PeftAdapterTests
{
    private const string QPath = "base_model.model.block.q_lin";

    [Test]
    public void A_saved_adapter_gives_the_same_logits_on_a_fresh_base([Values] LoRAScaling scaling, [Values]
        bool withHead)
    {
        using var folder = new TemporaryFolder();
        var (model, adapter) = Trained(new LoRASettings(3, 5, scaling), withHead);
        using var scope = new TensorScope();
        var x = LoRAAdapterTests.Input();
        var logits = model.Forward(x).Bits();
        PeftAdapter.Save(folder.File("adapter"), adapter, "base", "main");

        var fresh = new Classifier(new RandomStream(1));
        var loaded = PeftAdapter.Load(folder.File("adapter"), fresh);

        Assert.That(fresh.Forward(x).Bits(), Is.EqualTo(logits));
        Assert.That(loaded.Warnings, Is.Empty);
        Assert.That(loaded.Config.BaseModel, Is.EqualTo("base"));
        Assert.That(loaded.Adapter.Layers.Select(layer => layer.Layer.Lora.Scaling),
            Has.All.EqualTo(adapter.Layers[0].Layer.Lora.Scaling));
        Assert.That(new FolderContents(folder.File("adapter")).Names,
            Is.EqualTo(new[] { "adapter_config.json", "adapter_model.safetensors" }));
    }

    [Test]
    public void The_file_holds_both_matrices_transposed_under_PEFTs_names()
    {
        using var folder = new TemporaryFolder();
        var (_, adapter) = Trained(new LoRASettings(3, 5), withHead: false);
        PeftAdapter.Save(folder.File("adapter"), adapter);
        using var file = SafeTensorsFile.Open(Path.Combine(folder.File("adapter"), "adapter_model.safetensors"));
        Assert.That(file.Metadata["format"], Is.EqualTo("pt"));
        Assert.That(file.Tensors.Values.Select(tensor => tensor.ToString()), Is.EquivalentTo(new[]
        {
            $"'{QPath}.lora_A.weight' F32 [3, 6]", $"'{QPath}.lora_B.weight' F32 [6, 3]",
            "'base_model.model.block.v_lin.lora_A.weight' F32 [3, 6]",
            "'base_model.model.block.v_lin.lora_B.weight' F32 [6, 3]",
        }));
        var (a, stored) = (adapter.Layers[0].Layer.Lora.A.ToArray(), new float[18]);
        file.Read($"{QPath}.lora_A.weight", stored);
        for (var i = 0; i < 6; i++)
        {
            for (var k = 0; k < 3; k++)
            {
                Assert.That(stored[k * 6 + i], Is.EqualTo(a[i * 3 + k]), $"Aᵀ[{k}, {i}]");
            }
        }
    }

    [TestCase(LoRAScaling.AlphaOverRank, 16, 16, false)]
    [TestCase(LoRAScaling.Alpha, 16, 128, false)]
    [TestCase(LoRAScaling.AlphaOverSqrtRank, 16, 16, true)]
    public void The_config_is_PEFTs(LoRAScaling scaling, double alpha, double written, bool rsLora)
    {
        using var folder = new TemporaryFolder();
        var model = DistilBert(new RandomStream(1), layers: 1, width: 16);
        PeftAdapter.Save(folder.File("adapter"),
            LoRAAdapter.Attach(model, new LoRASettings(8, alpha, scaling, Dropout: 0.1f), ["v_lin", "q_lin"],
                new RandomStream(2)), "distilbert-base-uncased");
        Assert.That(File.ReadAllText(Path.Combine(folder.File("adapter"), "adapter_config.json")), Is.EqualTo($$"""
            {
              "alpha_pattern": {},
              "auto_mapping": null,
              "base_model_name_or_path": "distilbert-base-uncased",
              "bias": "none",
              "exclude_modules": null,
              "fan_in_fan_out": false,
              "inference_mode": true,
              "init_lora_weights": true,
              "layers_pattern": null,
              "layers_to_transform": null,
              "lora_alpha": {{written}},
              "lora_dropout": 0.1,
              "modules_to_save": null,
              "peft_type": "LORA",
              "r": 8,
              "rank_pattern": {},
              "revision": null,
              "target_modules": [
                "q_lin",
                "v_lin"
              ],
              "task_type": null,
              "use_dora": false,
              "use_rslora": {{(rsLora ? "true" : "false")}}
            }

            """));
    }

    [Test]
    public void With_a_trained_head_the_task_is_SEQ_CLS_and_all_four_tensors_are_there(
        [Values("classifier", "pre_classifier,classifier")] string kept)
    {
        using var folder = new TemporaryFolder();
        var model = new Classifier(new RandomStream(1));
        var adapter = LoRAAdapter.Attach(model, new LoRASettings(2, 2), ["q_lin"], new RandomStream(2),
            [.. kept.Split(',').Select(ModulePattern.Named)]);
        PeftAdapter.Save(folder.File("adapter"), adapter);
        using var file = SafeTensorsFile.Open(Path.Combine(folder.File("adapter"), "adapter_model.safetensors"));
        Assert.That(file.Tensors.Keys.Where(key => key.Contains("classifier")), Is.EquivalentTo(new[]
        {
            "base_model.model.pre_classifier.weight", "base_model.model.pre_classifier.bias",
            "base_model.model.classifier.weight", "base_model.model.classifier.bias",
        }), "PEFT takes pre_classifier for a trained module too, for it ends with classifier");
        var config = PeftConfig.Read(Path.Combine(folder.File("adapter"), "adapter_config.json"));
        Assert.That(config.TaskType, Is.EqualTo("SEQ_CLS"));
        Assert.That(config.ModulesToSave, Is.EqualTo(new[] { "classifier", "pre_classifier" }));
        Assert.That(() => PeftAdapter.Load(folder.File("adapter"), new Classifier(new RandomStream(1))),
            Throws.Nothing);
    }

    [Test]
    public void Ranks_and_alphas_of_single_layers_survive([Values] LoRAScaling scaling)
    {
        using var folder = new TemporaryFolder();
        var settings = new LoRASettings(2, 7, scaling)
        {
            RankPattern = new Dictionary<string, int> { ["v_lin"] = 5 },
            AlphaPattern = new Dictionary<string, double> { ["k_lin"] = 0.3 }
        };
        var model = new Classifier(new RandomStream(1));
        var adapter = LoRAAdapter.Attach(model, settings, ["q_lin", "k_lin", "v_lin"], new RandomStream(2));
        PeftAdapter.Save(folder.File("adapter"), adapter);
        var loaded = PeftAdapter.Load(folder.File("adapter"), new Classifier(new RandomStream(1))).Adapter;
        Assert.That(loaded.Layers.Select(layer => (layer.Path, layer.Layer.Lora.Rank, layer.Layer.Lora.Scaling)),
            Is.EqualTo(adapter.Layers.Select(layer => (layer.Path, layer.Layer.Lora.Rank, layer.Layer.Lora.Scaling))));
        Assert.That(loaded.Layers[2].Layer.Lora.Rank, Is.EqualTo(5));
    }

    [Test]
    public void Targets_are_written_so_that_they_mean_the_adapted_layers_only()
    {
        using var folder = new TemporaryFolder();
        var adapter = LoRAAdapter.Attach(DistilBert(new RandomStream(1), layers: 2, width: 4), new LoRASettings(2, 2),
            ["layer.1.attention.q_lin", "v_lin"], new RandomStream(2));
        PeftAdapter.Save(folder.File("adapter"), adapter);
        Assert.That(PeftConfig.Read(Path.Combine(folder.File("adapter"), "adapter_config.json")).TargetNames,
            Is.EqualTo(new[] { "distilbert.transformer.layer.1.attention.q_lin", "v_lin" }));
        Assert.That(PeftAdapter.Load(folder.File("adapter"),
            DistilBert(new RandomStream(1), layers: 2, width: 4)).Adapter.Layers, Has.Count.EqualTo(3));
    }

    [TestCase("F16", 1e-3)]
    [TestCase("BF16", 1e-2)]
    [TestCase("F64", 0)]
    public void Every_dtype_of_floats_is_read(string dtype, double tolerance)
    {
        using var folder = new TemporaryFolder();
        var (_, adapter) = Trained(new LoRASettings(3, 5), withHead: false);
        PeftAdapter.Save(folder.File("adapter"), adapter);
        Rewrite(folder, tensors => tensors.ToDictionary(entry => entry.Key, entry => entry.Value),
            Enum.Parse<DType>(dtype));
        var loaded = PeftAdapter.Load(folder.File("adapter"), new Classifier(new RandomStream(1))).Adapter;
        Assert.That(loaded.Layers[0].Layer.Lora.B.Doubles(),
            Is.EqualTo(adapter.Layers[0].Layer.Lora.B.Doubles()).Within(tolerance));
    }

    [Test]
    public void Everything_that_does_not_fit_is_listed_and_nothing_is_loaded()
    {
        using var folder = new TemporaryFolder();
        var (_, adapter) = Trained(new LoRASettings(3, 5), withHead: true);
        PeftAdapter.Save(folder.File("adapter"), adapter);
        Rewrite(folder, tensors =>
        {
            tensors.Remove($"{QPath}.lora_B.weight");
            tensors["base_model.model.block.v_lin.lora_A.weight"] = ([2, 6], new float[12]);
            tensors["base_model.model.block.v_lin.lora_B.weight"] = ([3, 6], new float[18]);
            tensors["block.k_lin.lora_A.weight"] = ([3, 6], new float[18]);
            tensors["base_model.model.block.k_lin.lora_A.weight"] = ([3, 6], new float[18]);
            tensors["base_model.model.block.q_lin.lora_A.default.weight"] = ([3, 6], new float[18]);
            tensors["base_model.model.block.q_lin.lora_magnitude_vector"] = ([6], new float[6]);
            tensors["base_model.model.classifier.bias"] = ([2], [1, float.NaN]);
            tensors.Remove("base_model.model.pre_classifier.bias");
            return tensors;
        });
        var model = new Classifier(new RandomStream(1));
        var modules = model.NamedModules().ToList();
        var message = Assert.Throws<InputException>(() => PeftAdapter.Load(folder.File("adapter"), model))!.Message;
        Assert.Multiple(() =>
        {
            Assert.That(message, Does.Contain("9 problems, nothing was loaded"));
            Assert.That(message,
                Does.Contain($"missing '{QPath}.lora_B.weight' [6, 3]: the layer's other matrix is there"));
            Assert.That(message,
                Does.Contain("v_lin.lora_A.weight' F32 [2, 6]: expected [3, 6]; its rank is 2, adapter_config.json "
                    + "says 3: mend r (3) or rank_pattern there"));
            Assert.That(message, Does.Contain("v_lin.lora_B.weight' F32 [3, 6]: expected [6, 3]; it is the transpose"));
            Assert.That(message,
                Does.Contain("unexpected 'block.k_lin.lora_A.weight' F32 [3, 6]: the names in an adapter begin with "
                    + "'base_model.model.'"));
            Assert.That(message,
                Does.Contain("unexpected 'base_model.model.block.k_lin.lora_A.weight' F32 [3, 6]: target_modules "
                    + "means no layer 'block.k_lin' of this model"));
            Assert.That(message, Does.Contain("an adapter's own name stands in it"));
            Assert.That(message, Does.Contain("it belongs to DoRA"));
            Assert.That(message, Does.Contain("damaged 'base_model.model.classifier.bias' F32 [2]: element 1 is NaN"));
            Assert.That(message,
                Does.Contain("missing 'base_model.model.pre_classifier.bias' [6]: the adapter was saved without its "
                    + "trained head"));
        });
        Assert.That(model.NamedModules(), Is.EqualTo(modules), "the model was not touched");
    }

    [Test]
    public void An_untrained_adapter_is_noted()
    {
        using var folder = new TemporaryFolder();
        PeftAdapter.Save(folder.File("adapter"),
            LoRAAdapter.Attach(new Classifier(new RandomStream(1)), new LoRASettings(2, 2), ["q_lin"],
                new RandomStream(2)));
        Assert.That(PeftAdapter.Load(folder.File("adapter"), new Classifier(new RandomStream(1))).Warnings,
            Has.One.Contains("q_lin.lora_B.weight is all zero"));
    }

    [Test]
    public void An_adapter_of_another_model_and_a_folder_without_tensors_are_refused()
    {
        using var folder = new TemporaryFolder();
        var (_, adapter) = Trained(new LoRASettings(3, 5), withHead: false);
        PeftAdapter.Save(folder.File("adapter"), adapter);
        Assert.That(() => PeftAdapter.Load(folder.File("adapter"),
            new Sequential(new Linear(6, 6, new RandomStream(1)))),
            Throws.TypeOf<InputException>().With.Message.Contains("adapter_config.json: the adapter does not fit the "
                + "model. LoRA: the target 'q_lin' meets no layer"));
        File.Move(Path.Combine(folder.File("adapter"), "adapter_model.safetensors"),
            Path.Combine(folder.File("adapter"), "adapter_model.bin"));
        Assert.That(() => PeftAdapter.Load(folder.File("adapter"), new Classifier(new RandomStream(1))),
            Throws.TypeOf<InputException>().With.Message.Contains("a pickled file of PyTorch"));
        Assert.That(() => PeftAdapter.Load(folder.File("none"), new Classifier(new RandomStream(1))),
            Throws.TypeOf<InputException>().With.Message.Contains("no such file"));
    }

    [Test]
    public void What_cannot_be_saved_is_refused()
    {
        using var folder = new TemporaryFolder();
        var (_, adapter) = Trained(new LoRASettings(3, 5), withHead: false);
        Directory.CreateDirectory(folder.File("full"));
        File.WriteAllText(Path.Combine(folder.File("full"), "thesis.txt"), "mine");
        Assert.That(() => PeftAdapter.Save(folder.File("full"), adapter),
            Throws.TypeOf<InputException>().With.Message.Contains("thesis.txt"));
        PeftAdapter.SaveInto(folder.File("full"), adapter);
        Assert.That(new FolderContents(folder.File("full")).Names, Has.Length.EqualTo(3), "beside what is there");
        adapter.Detach();
        Assert.That(() => PeftAdapter.Save(folder.File("a"), adapter),
            Throws.InvalidOperationException.With.Message.Contains("attach the adapter"));
        var root = LoRAAdapter.Attach(new Linear(3, 3, new RandomStream(1)), new LoRASettings(1, 1),
            [ModulePattern.AllLinear], new RandomStream(1));
        Assert.That(() => PeftAdapter.Save(folder.File("a"), root),
            Throws.TypeOf<InputException>().With.Message.Contains("has no path"));
    }

    private static (Classifier Model, LoRAAdapter Adapter) Trained(LoRASettings settings, bool withHead)
    {
        var model = new Classifier(new RandomStream(1));
        var adapter = LoRAAdapter.Attach(model, settings, ["q_lin", "v_lin"], new RandomStream(2),
            withHead ? ["pre_classifier", "classifier"] : null);
        LoRAAdapterTests.Train(model, new RandomStream(3));
        return (model, adapter);
    }

    /// <summary>Changes the tensors of a saved adapter.</summary>
    private static void Rewrite(TemporaryFolder folder,
        Func<Dictionary<string, (long[] Shape, float[] Values)>, Dictionary<string, (long[] Shape,
            float[] Values)>> change, DType dtype = DType.F32)
    {
        var path = Path.Combine(folder.File("adapter"), "adapter_model.safetensors");
        var tensors = new Dictionary<string, (long[] Shape, float[] Values)>();
        using (var file = SafeTensorsFile.Open(path))
        {
            foreach (var tensor in file.Tensors.Values)
            {
                var values = new float[tensor.ElementCount];
                file.Read(tensor.Name, values);
                tensors[tensor.Name] = ([.. tensor.Shape], values);
            }
        }
        SafeTensorsWriter.Write(path,
            change(tensors).Select(entry =>
                TensorToWrite.Floats(entry.Key, entry.Value.Shape, entry.Value.Values, dtype)));
    }

    private sealed record FolderContents(string Path)
    {
        public string[] Names =>
            [.. Directory.GetFileSystemEntries(Path).Select(entry => System.IO.Path.GetFileName(entry)!)
                .Order(StringComparer.Ordinal)];
    }
}
