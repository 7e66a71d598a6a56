using LoraScratch.Engine.IO;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// An adapter folder that the reference library wrote, for DistilBERT with a trained head.
/// </summary>
public sealed class ReferencePeftFolderTests
{
    [Test]
    public void The_reference_adapter_is_loaded_and_saved_again_tensor_for_tensor()
    {
        var data = Environment.GetEnvironmentVariable("LORASCRATCH_DATA");
        var reference = Path.Combine(data ?? "", "peft", "distilbert-imdb-r8-a32");
        if (data is null || !Directory.Exists(reference))
        {
            Assert.Ignore("LORASCRATCH_DATA names no folder with peft/distilbert-imdb-r8-a32.");
        }
        // its encoder all zero: 66,955,010 parameters need not be drawn
        var model = new EncoderForSequenceClassification(new EncoderConfig(), seed: 1, backend: null,
            draw: false);
        var loaded = PeftAdapter.Load(reference, model);
        Assert.That(loaded.Warnings.Single(), Does.Contain("does not say which base weights it was trained on"));
        Assert.That(loaded.Adapter.Layers, Has.Count.EqualTo(12));
        Assert.That(loaded.Adapter.Layers.Select(layer => layer.Layer.Lora.Scaling), Has.All.EqualTo(4f), "32/8");
        Assert.That(loaded.Adapter.Plan.TrainableParameters, Is.EqualTo(739_586));

        using var folder = new TemporaryFolder();
        PeftAdapter.Save(folder.File("again"), loaded.Adapter, loaded.Config.BaseModel);
        using var before = SafeTensorsFile.Open(Path.Combine(reference, "adapter_model.safetensors"));
        using var after = SafeTensorsFile.Open(Path.Combine(folder.File("again"), "adapter_model.safetensors"));
        Assert.That(after.Tensors.Keys, Is.EquivalentTo(before.Tensors.Keys));
        foreach (var name in before.Tensors.Keys)
        {
            Assert.That(after.Bytes(name).SequenceEqual(before.Bytes(name)), name);
        }
        var config = PeftConfig.Read(Path.Combine(folder.File("again"), "adapter_config.json"));
        Assert.That((config.Rank, config.Alpha, config.TaskType, config.BaseModel),
            Is.EqualTo((8, 32.0, "SEQ_CLS", "distilbert-base-uncased")));
        Assert.That(config.TargetNames, Is.EqualTo(new[] { "q_lin", "v_lin" }));
        Assert.That(config.Dropout, Is.EqualTo(0.1f));
    }
}
