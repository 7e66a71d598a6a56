using LoraScratch.Engine.IO;

namespace LoraScratch.Tests.IO;

/// <summary>An adapter that the reference library wrote.</summary>
public sealed class ReferenceAdapterTests
{
    [Test]
    public void The_reference_adapter_is_read_and_written_again_byte_for_byte()
    {
        var data = Environment.GetEnvironmentVariable("LORASCRATCH_DATA");
        var path = Path.Combine(data ?? "", "peft", "distilbert-imdb-r8-a32", "adapter_model.safetensors");
        if (data is null || !File.Exists(path))
        {
            Assert.Ignore("LORASCRATCH_DATA names no folder with peft/distilbert-imdb-r8-a32.");
        }
        using var file = SafeTensorsFile.Open(path);

        Assert.That(file.Tensors, Has.Count.EqualTo(28));
        Assert.That(file.Tensors.Values.Select(tensor => tensor.DType), Has.All.EqualTo(DType.F32));
        foreach (var tensor in file.Tensors.Values)
        {
            var values = new float[tensor.ElementCount];
            file.Read(tensor.Name, values);
            Assert.That(values.All(float.IsFinite), tensor.Name);
            Assert.That(values.Any(value => value != 0), $"{tensor.Name} of a trained adapter");
        }

        using var folder = new TemporaryFolder();
        SafeTensorsWriter.Write(folder.File("copy"), file.Tensors.Keys.Select(name => TensorToWrite.Copy(file, name)),
            file.Metadata);
        Assert.That(File.ReadAllBytes(folder.File("copy")).SequenceEqual(File.ReadAllBytes(path)));
    }
}
