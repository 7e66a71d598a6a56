using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Compression;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Tests.Lora;

/// <summary>A low-rank update of a table of vectors: alone, in a model, in files.</summary>
public sealed class EmbeddingWithLoRATests
{
    private const int Count = 9, Width = 6, Rank = 3;
    private const string Words = "distilbert.embeddings.word_embeddings";
    private static readonly int[] Ids = [4, 0, 4, 8, 2];
    private static readonly ModulePattern[] Targets = ["word_embeddings", "q_lin"];

    [Test]
    public void A_fresh_update_changes_no_bit([Values] bool training)
    {
        var table = new Embedding(Count, Width, new RandomStream(1));
        using var ids = new Indices(Ids);
        using var scope = new TensorScope();
        var before = table.Forward(ids).Bits();
        var layer = new EmbeddingWithLoRA(table, new LoRASettings(Rank, 7, Dropout: 0.3f), new RandomStream(2));
        layer.Train(training);
        Assert.That(layer.Forward(ids).Bits(), Is.EqualTo(before));
        Assert.That(layer.Lora.A.ToArray(), Has.All.Zero);
        Assert.That(layer.Lora.B.ToArray().Max(Math.Abs),
            Is.LessThanOrEqualTo(1 / Math.Sqrt(Width)).And.GreaterThan(0.7 / Math.Sqrt(Width)),
                "Kaiming-uniform with the width as fan-in");
        Assert.That(layer.TrainableParameters(), Is.EqualTo(new[] { layer.Lora.A, layer.Lora.B }));
    }

    [Category(Categories.Gradients)]
    [Test]
    public void Vectors_and_gradients_are_those_of_the_page()
    {
        var layer = Trained();
        using var ids = new Indices(Ids);
        // Of E (frozen), A and B: y[n] = E[t[n]] + s·A[t[n]]·B
        double[] Expected(double[][] values) => [.. Ids.SelectMany(id => Enumerable.Range(0, Width).Select(j =>
            values[0][id * Width + j] + 7.0 / Rank * Enumerable.Range(0, Rank)
            .Sum(k => values[1][id * Rank + k] * values[2][k * Width + j])))];
        var report = GradientCheck.Run(() => layer.Forward(ids),
            [("E", layer.Base.Weight), ("A", layer.Lora.A), ("B", layer.Lora.B)], Expected);
        Assert.That(report.Passed, report.ToString());

        using (new TensorScope())
        {
            layer.Forward(ids).Square().Sum().Backward();
        }
        Assert.That(layer.Base.Weight.Gradient, Is.Null, "E is frozen");
        var rows = layer.Lora.A.Gradient!.ToArray().Chunk(Rank).Select(row => row.Any(value => value != 0));
        Assert.That(rows, Is.EqualTo(Enumerable.Range(0, Count).Select(id => Ids.Contains(id))),
            "a token that does not occur is not moved");
    }

    [Test]
    public void Looking_up_is_multiplying_with_rows_that_hold_a_single_one()
    {
        var layer = Trained();
        using var ids = new Indices(Ids);
        var ones = new float[Ids.Length * Count];
        foreach (var (n, id) in Ids.Index())
        {
            ones[n * Count + id] = 1;
        }
        using var x = Tensor.From(ones, new Shape(Ids.Length, Count));
        using var scope = new TensorScope();
        Assert.That(Maths.RelativeError(layer.Forward(ids).ToArray(), layer.Forward(x).Doubles()), Is.LessThan(1e-6));
        Assert.That(layer.Base.Forward(ids).Bits(), Is.EqualTo(layer.Base.Forward(x).Bits()));
    }

    [Test]
    public void Merging_keeps_the_vectors_and_unmerging_restores_every_bit()
    {
        var layer = Trained();
        using var ids = new Indices(Ids);
        using var scope = new TensorScope();
        var (before, unmerged) = (layer.Base.Weight.Bits(), layer.Forward(ids).Doubles());
        layer.Merge();
        Assert.That(Maths.RelativeError(layer.Forward(ids).ToArray(), unmerged), Is.LessThan(1e-6));
        Assert.That(layer.Base.Weight.Bits(), Is.Not.EqualTo(before));
        layer.Train();
        Assert.That(() => layer.Forward(ids), Throws.InvalidOperationException.With.Message.Contains("Unmerge()"));
        layer.Unmerge();
        Assert.That(layer.Base.Weight.Bits(), Is.EqualTo(before));
    }

    [Test]
    public void Every_linear_layer_means_no_embedding()
    {
        var plan = LoRAPlan.For(TinyDistilBert.Create(), new LoRASettings(2, 6), [ModulePattern.AllLinear]);
        Assert.That(plan.Layers.Select(layer => layer.Base), Has.None.InstanceOf<Embedding>());
        var named = LoRAPlan.For(TinyDistilBert.Create(), new LoRASettings(2, 6), Targets);
        Assert.That(named.ToString(), Does.Contain("E [30, 12]  A [30, 2]  B [2, 12]").And.Contain("84 parameters"));
        Assert.That(named.LoRAParameters, Is.EqualTo(2 * (30 + 12) + 2 * 2 * (12 + 12)));
    }

    [Test]
    public void A_place_for_embeddings_alone_is_refused_with_the_way_out() =>
    Assert.That(() => LoRAPlan.For(new Holder(), new LoRASettings(2, 6), ["table"]),
        Throws.InstanceOf<InputException>().With.Message.Contains("nothing but an Embedding").And.Message
            .Contains("Add<ITokenLayer>(\"table\""));

    [Test]
    public void The_folder_has_PEFTs_names_and_gives_the_same_logits_on_a_fresh_base()
    {
        using var folder = new TemporaryFolder();
        var (model, adapter) = Adapted();
        var logits = Logits(model);
        PeftAdapter.Save(folder.File("adapter"), adapter);
        using (var file = SafeTensorsFile.Open(Path.Combine(folder.File("adapter"), "adapter_model.safetensors")))
        {
            Assert.That(file.Tensors.Values.Where(tensor => tensor.Name.Contains("word_embeddings"))
                .Select(tensor => tensor.ToString()), Is.EquivalentTo(new[]
            {
                $"'base_model.model.{Words}.lora_embedding_A' F32 [2, 30]",
                $"'base_model.model.{Words}.lora_embedding_B' F32 [12, 2]",
            }));
        }
        var fresh = TinyDistilBert.Create();
        Assert.That(AdapterCheck.Run(folder.File("adapter"), fresh).Concat(AdapterCheck.Run(folder.File("adapter")))
            .Where(finding => finding.Kind != FindingKind.Note), Is.Empty);
        var loaded = PeftAdapter.Load(folder.File("adapter"), fresh);
        Assert.That(loaded.Warnings, Is.Empty, "the table's hash is known");
        Assert.That(loaded.Config.TargetNames, Is.EquivalentTo(new[] { "word_embeddings", "q_lin" }));
        Assert.That(Logits(fresh), Is.EqualTo(logits));
        Assert.That(Maths.RelativeError([.. Logits(TinyDistilBert.Create())],
            [.. logits.Select(value => (double)value)]), Is.GreaterThan(1e-2), "the update does something");

        var other = TinyDistilBert.Create();
        var table = other.NamedParameters().Single(entry => entry.Path == $"{Words}.weight").Parameter;
        table.Set([.. table.ToArray().Select(value => value + 0.1f)]);
        Assert.That(() => PeftAdapter.Load(folder.File("adapter"), other),
            Throws.InstanceOf<InputException>().With.Message.Contains("another base").And.Message.Contains(Words));
    }

    [Test]
    public void Merged_for_good_the_model_needs_no_adapter()
    {
        var (model, adapter) = Adapted();
        var logits = Logits(model);
        adapter.MergeAndDetach();
        Assert.That(model.NamedModules().Select(entry => entry.Module), Has.None.InstanceOf<LayerWithLoRA>());
        Assert.That(Maths.RelativeError(Logits(model), [.. logits.Select(value => (double)value)]), Is.LessThan(1e-5));
    }

    [Test]
    public void An_adapter_with_an_embedding_is_truncated_but_has_no_name_in_the_other_conventions()
    {
        using var folder = new TemporaryFolder();
        var (model, adapter) = Adapted();
        var logits = Logits(model);
        PeftAdapter.Save(folder.File("adapter"), adapter);
        var truncation = AdapterTruncation.Read(folder.File("adapter"));
        truncation.Save(folder.File("same"), truncation.RanksUpTo(2));
        truncation.Save(folder.File("smaller"), truncation.RanksUpTo(1));
        var (same, smaller) = (TinyDistilBert.Create(), TinyDistilBert.Create());
        PeftAdapter.Load(folder.File("same"), same);
        PeftAdapter.Load(folder.File("smaller"), smaller);
        Assert.That(Maths.RelativeError(Logits(same), [.. logits.Select(value => (double)value)]), Is.LessThan(1e-4));
        Assert.That(Maths.RelativeError(Logits(smaller), [.. logits.Select(value => (double)value)]),
            Is.GreaterThan(1e-2));
        Assert.That(() => AdapterConversion.Convert(folder.File("adapter"), folder.File("out"),
            AdapterConvention.LoraLib),
                Throws.InstanceOf<InputException>().With.Message.Contains($"{Words} is an embedding"));
        Assert.That(AdapterConversion.Convert(folder.File("adapter"), folder.File("peft"),
            AdapterConvention.Peft).Layers, Is.EqualTo(3));
    }

    [Test]
    public void The_change_of_a_table_is_extracted()
    {
        var (tuned, adapter) = Adapted();
        adapter.MergeAndDetach();
        var logits = Logits(tuned);
        var start = TinyDistilBert.Create();
        var extraction = LoRAExtraction.Run(start, tuned, new ExtractionOptions { Rank = 2, Targets = Targets });
        Assert.That(extraction.Layers.Select(layer => (layer.Path == Words, layer.Rank)), Does.Contain((true, 2)));
        Assert.That(extraction.Layers.Select(layer => layer.RelativeError), Is.All.LessThan(1e-5));
        Assert.That(extraction.Lost, Is.Empty);
        Assert.That(Maths.RelativeError(Logits(start), [.. logits.Select(value => (double)value)]), Is.LessThan(1e-4));
    }

    [Test]
    public void Half_a_pair_is_named()
    {
        using var folder = new TemporaryFolder();
        PeftAdapter.Save(folder.File("adapter"), Adapted().Adapter);
        var path = Path.Combine(folder.File("adapter"), "adapter_model.safetensors");
        TensorToWrite[] tensors;
        using (var file = SafeTensorsFile.Open(path))
        {
            tensors = [.. file.Tensors.Values
                .Where(tensor => !tensor.Name.Contains("lora_embedding")
                    || tensor.Name.EndsWith("lora_embedding_A", StringComparison.Ordinal)).Select(tensor =>
            {
                var values = new float[tensor.ElementCount];
                file.Read(tensor.Name, values);
                return TensorToWrite.Floats(tensor.Name, [.. tensor.Shape], values);
            })];
        }
        SafeTensorsWriter.Write(path, tensors);
        Assert.That(AdapterCheck.Run(folder.File("adapter")).Select(finding => finding.Message),
            Has.Some.Contains("lora_embedding_B' is missing"));
        Assert.That(() => PeftAdapter.Load(folder.File("adapter"), TinyDistilBert.Create()),
            Throws.InstanceOf<InputException>().With.Message.Contains("lora_embedding_B").And.Message
                .Contains("incomplete"));
    }

    private static EmbeddingWithLoRA Trained()
    {
        var random = new RandomStream(3);
        var layer = new EmbeddingWithLoRA(new Embedding(Count, Width, random), new LoRASettings(Rank, 7), random);
        layer.Lora.A.Set(random.Normal(Count * Rank, 0.5f));
        return layer;
    }

    private static (EncoderForSequenceClassification Model, LoRAAdapter Adapter) Adapted()
    {
        var model = TinyDistilBert.Create();
        var adapter = LoRAAdapter.Attach(model, new LoRASettings(2, 6), Targets, new RandomStream(0));
        var random = new RandomStream(4);
        foreach (var (_, layer) in adapter.Layers)
        {
            layer.Lora.A.Set(random.Normal(layer.Lora.A.Shape.Count, 0.5f));
            layer.Lora.B.Set(random.Normal(layer.Lora.B.Shape.Count, 0.5f));
        }
        return (model, adapter);
    }

    private static float[] Logits(EncoderForSequenceClassification model) =>
        Forward.Logits(model, TinyDistilBert.Texts);

    /// <summary>A module that calls its table by its class.</summary>
    private sealed class Holder : Module
    {
        public Holder() => Add("table", new Embedding(Count, Width, new RandomStream(1)));
    }
}
