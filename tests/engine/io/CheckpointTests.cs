using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Tests.IO;

/// <summary>
/// One file or several shards are one dictionary; an index that disagrees with its shards is
/// refused.
/// </summary>
public sealed class CheckpointTests
{
    private static void WriteShard(TemporaryFolder folder, string file, params (string Name, float Value)[] tensors)
        => SafeTensorsWriter.Write(folder.File(file),
            tensors.Select(tensor => TensorToWrite.Floats(tensor.Name, [1], new[] { tensor.Value })));

    private static TemporaryFolder TwoShards(string weightMap =
        """{"a":"1.safetensors","b":"2.safetensors","c":"1.safetensors"}""")
    {
        var folder = new TemporaryFolder();
        WriteShard(folder, "1.safetensors", ("a", 1), ("c", 3));
        WriteShard(folder, "2.safetensors", ("b", 2));
        File.WriteAllText(folder.File(Checkpoint.IndexName),
            $$"""{"metadata":{"total_size":12},"weight_map":{{weightMap}}}""");
        return folder;
    }

    [Test]
    public void Shards_are_read_as_one_dictionary_from_the_folder_or_its_index([Values("", Checkpoint.IndexName)]
        string name)
    {
        using var folder = TwoShards();
        using var checkpoint = Checkpoint.Open(folder.File(name));

        Assert.That(checkpoint.Tensors.Keys, Is.EqualTo(["a", "c", "b"]));
        var value = new float[1];
        foreach (var (tensor, expected) in new[] { ("a", 1f), ("b", 2f), ("c", 3f) })
        {
            checkpoint.Read(tensor, value);
            Assert.That(value[0], Is.EqualTo(expected), tensor);
        }
        Assert.That(() => checkpoint.Read("model.b", value),
            Throws.TypeOf<InputException>().With.Message.Contains("It has 3, among them 'b'"));
    }

    [Test]
    public void A_single_file_is_read_from_its_folder_or_by_name_and_wins_over_an_index(
        [Values("", Checkpoint.FileName)] string name)
    {
        using var folder = TwoShards();
        WriteShard(folder, Checkpoint.FileName, ("only", 7));
        using var checkpoint = Checkpoint.Open(folder.File(name));

        Assert.That(checkpoint.Tensors.Keys, Is.EqualTo(["only"]));
    }

    [TestCase("""{"a":"1.safetensors","b":"3.safetensors","c":"1.safetensors"}""", "shard '3.safetensors' is missing")]
    [TestCase("""{"a":"1.safetensors","b":"2.safetensors","c":"1.safetensors","d":"2.safetensors"}""",
        "'d' is listed in '2.safetensors', found in no shard")]
    [TestCase("""{"a":"2.safetensors","b":"2.safetensors","c":"1.safetensors"}""",
        "'a' is listed in '2.safetensors', found in '1.safetensors'")]
    [TestCase("""{"a":"1.safetensors","b":"2.safetensors"}""", "'c' of ", "is not listed")]
    [TestCase("""{"a":"../1.safetensors"}""", "'a' must name a file beside the index", "../1.safetensors")]
    [TestCase("""{"a":"..\\1.safetensors"}""", "'a' must name a file beside the index")]
    [TestCase("""{"a":".."}""", "'a' must name a file beside the index")]
    [TestCase("""{"a":1}""", "'a' must name a file beside the index")]
    [TestCase("""{"a":"1.safetensors","a":"2.safetensors"}""", "not valid JSON")]
    [TestCase("""{"\ud800":"1.safetensors"}""", "half a surrogate pair")]
    [TestCase("{}", "weight_map is empty")]
    [TestCase("[]", "weight_map")]
    [TestCase("{", "not valid JSON")]
    public void An_index_that_disagrees_with_its_shards_is_refused(string weightMap, params string[] expected)
    {
        using var folder = TwoShards(weightMap);
        var refusal = Assert.Throws<InputException>(() => Checkpoint.Open(folder.Root).Dispose())!;

        Assert.That(refusal.Message, Does.StartWith(folder.File(Checkpoint.IndexName)));
        foreach (var part in expected)
        {
            Assert.That(refusal.Message, Does.Contain(part));
        }
    }

    [Test]
    public void A_tensor_in_two_shards_is_refused_with_both_files()
    {
        using var folder = TwoShards();
        WriteShard(folder, "2.safetensors", ("b", 2), ("a", 9));

        Assert.That(() => Checkpoint.Open(folder.Root), Throws.TypeOf<InputException>()
            .With.Message.Contains("'a' is in two shards").And.Message.Contains("1.safetensors").And.Message
            .Contains("2.safetensors"));
    }

    [Test]
    public void A_damaged_shard_and_a_folder_without_weights_are_refused_by_name()
    {
        using var folder = TwoShards();
        File.WriteAllBytes(folder.File("2.safetensors"), [1, 2]);
        Assert.That(() => Checkpoint.Open(folder.Root),
            Throws.TypeOf<InputException>().With.Message.StartsWith(folder.File("2.safetensors")));

        using var empty = new TemporaryFolder();
        Assert.That(() => Checkpoint.Open(empty.Root),
            Throws.TypeOf<InputException>().With.Message.Contains("no weights"));
        empty.Write("pytorch_model.bin", [1]);
        Assert.That(() => Checkpoint.Open(empty.Root),
            Throws.TypeOf<InputException>().With.Message.Contains("weights_only=True"));
        Assert.That(() => Checkpoint.Open(empty.File("none.safetensors")),
            Throws.TypeOf<InputException>().With.Message.Contains("no such file"));
        Assert.That(() => Checkpoint.Open(empty.File("none.index.json")),
            Throws.TypeOf<InputException>().With.Message.Contains("no such file"));
    }

    [Test]
    public void Twenty_thousand_tensors_are_written_and_opened()
    {
        using var folder = new TemporaryFolder();
        var one = new float[1];
        SafeTensorsWriter.Write(folder.File("x"),
            Enumerable.Range(0, 20_000).Select(i => TensorToWrite.Floats($"layer.{i}.weight", [1], one)));
        var watch = Environment.CpuUsage.TotalTime;
        using var checkpoint = Checkpoint.Open(folder.File("x"));

        TestContext.Out.WriteLine($"opened {new FileInfo(folder.File("x")).Length} bytes in "
            + $"{(Environment.CpuUsage.TotalTime - watch).TotalMilliseconds} ms of processor time");
        Assert.That(checkpoint.Tensors, Has.Count.EqualTo(20_000));
    }
}
