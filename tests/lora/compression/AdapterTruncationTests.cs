using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Compression;
using LoraScratch.Tests.Lora;
using static LoraScratch.Tests.Lora.Models;

namespace LoraScratch.Tests.Compression;

/// <summary>A trained adapter at smaller ranks.</summary>
public sealed class AdapterTruncationTests
{
    [Test]
    public void The_spectrum_is_that_of_the_product_which_is_never_formed([Values] LoRAScaling scaling)
    {
        using var folder = new TemporaryFolder();
        var (_, adapter) = Saved(folder, new LoRASettings(4, 6, scaling));
        var truncation = AdapterTruncation.Read(folder.File("adapter"));
        foreach (var (layer, own) in truncation.Layers.Zip(adapter.Layers))
        {
            var lora = own.Layer.Lora;
            var update = new DenseMatrix(6, 6,
                [.. Maths.Product(lora.A.Doubles(), lora.B.Doubles(), 6, 4, 6).Select(value => value * lora.Scaling)]);
            var expected = SingularValueDecomposition.Jacobi(update);
            Assert.That(layer.Decomposition.Values, Is.EqualTo(expected.Values.Take(4)).Within(1e-6));
            Assert.That((layer.Decomposition.Reconstruct() - update).Norm(), Is.LessThan(1e-6 * update.Norm()));
            Assert.That(layer.Decomposition.ErrorOf(2), Is.EqualTo(expected.ErrorOf(2)).Within(1e-6));
        }
        Assert.That(truncation.DroppedNorm(2),
            Is.EqualTo(Math.Sqrt(truncation.Layers.Sum(layer => Math.Pow(layer.Decomposition.ErrorOf(2), 2))))
                .Within(1e-12));
        Assert.That((truncation.DroppedEnergy(0), truncation.DroppedEnergy(4)), Is.EqualTo((1.0, 0.0)));
        Assert.That(truncation.DroppedEnergy(1), Is.GreaterThan(truncation.DroppedEnergy(2)));
    }

    [Test]
    public void The_full_rank_gives_the_same_logits_and_a_smaller_one_those_of_the_best_approximation([Values]
        LoRAScaling scaling)
    {
        using var folder = new TemporaryFolder();
        var (model, adapter) = Saved(folder, new LoRASettings(4, 6, scaling));
        var truncation = AdapterTruncation.Read(folder.File("adapter"));
        using var scope = new TensorScope();
        var trained = model.Forward(LoRAAdapterTests.Input()).Doubles();

        truncation.ApplyTo(adapter, 4);
        Assert.That(Maths.RelativeError(model.Forward(LoRAAdapterTests.Input()).ToArray(), trained), Is.LessThan(1e-5));

        truncation.ApplyTo(adapter, 2);
        var applied = model.Forward(LoRAAdapterTests.Input()).ToArray();
        Assert.That(Maths.RelativeError(applied, trained), Is.GreaterThan(1e-2), "rank 2 is not rank 4");
        truncation.Save(folder.File("smaller"), truncation.RanksUpTo(2));
        var fresh = new Classifier(new RandomStream(1));
        var loaded = PeftAdapter.Load(folder.File("smaller"), fresh);
        Assert.That(loaded.Adapter.Layers.Select(layer => (layer.Layer.Lora.Rank, layer.Layer.Lora.Scaling)),
            Is.All.EqualTo((2, adapter.Layers[0].Layer.Lora.Scaling)), "s stays what it was");
        Assert.That(Maths.RelativeError(fresh.Forward(LoRAAdapterTests.Input()).ToArray(),
            Array.ConvertAll(applied, value => (double)value)), Is.LessThan(1e-5));

        truncation.ApplyTo(adapter, 0);
        var without = model.Forward(LoRAAdapterTests.Input()).ToArray();
        adapter.Detach();
        Assert.That(model.Forward(LoRAAdapterTests.Input()).ToArray(), Is.EqualTo(without), "rank 0 is the base");
    }

    [Test]
    public void Each_layer_gets_the_smallest_rank_that_keeps_the_energy()
    {
        using var folder = new TemporaryFolder();
        Saved(folder, new LoRASettings(5, 5), withHead: true);
        var truncation = AdapterTruncation.Read(folder.File("adapter"));
        var ranks = truncation.RanksForEnergy(0.9);
        foreach (var (layer, rank) in truncation.Layers.Zip(ranks))
        {
            Assert.That(layer.Decomposition.EnergyOf(rank), Is.GreaterThanOrEqualTo(0.9));
            Assert.That(layer.Decomposition.EnergyOf(rank - 1), Is.LessThan(0.9));
        }
        truncation.Save(folder.File("smaller"), ranks);
        var loaded = PeftAdapter.Load(folder.File("smaller"), new Classifier(new RandomStream(1)));
        Assert.That(loaded.Adapter.Layers.Select(layer => layer.Layer.Lora.Rank), Is.EqualTo(ranks));
        Assert.That(loaded.Adapter.Plan.ModulesToSave, Has.Count.EqualTo(2), "the head goes along");
        Assert.That(loaded.Warnings, Is.Empty, "and so do the hashes of the base");
    }

    [Test]
    public void What_cannot_be_truncated_is_refused()
    {
        using var folder = new TemporaryFolder();
        Saved(folder, new LoRASettings(3, 3));
        var truncation = AdapterTruncation.Read(folder.File("adapter"));
        Assert.That(() => truncation.RanksUpTo(4),
            Throws.InstanceOf<InputException>().With.Message.Contains("the adapter").And.Message
                .Contains("has rank 3"));
        Assert.That(() => truncation.RanksUpTo(0),
            Throws.InstanceOf<InputException>().With.Message.Contains("Option 'rank' is 0"));
        Assert.That(() => truncation.RanksForEnergy(0),
            Throws.InstanceOf<InputException>().With.Message.Contains("Option 'energy' is 0"));
        Assert.That(() => AdapterTruncation.Read(folder.File("none")),
            Throws.InstanceOf<InputException>().With.Message.Contains("there is no such folder"));
        var other = LoRAAdapter.Attach(new Classifier(new RandomStream(1)), new LoRASettings(2, 2), ["q_lin"],
            new RandomStream(2));
        Assert.That(() => truncation.ApplyTo(other, 1), Throws.ArgumentException.With.Message.Contains("of rank 2"));
    }

    private static (Classifier Model, LoRAAdapter Adapter) Saved(TemporaryFolder folder, LoRASettings settings,
        bool withHead = false)
    {
        var model = new Classifier(new RandomStream(1));
        var adapter = LoRAAdapter.Attach(model, settings, ["q_lin", "v_lin"], new RandomStream(4),
            withHead ? ["pre_classifier", "classifier"] : null);
        LoRAExtractionTests.Randomize(adapter);
        PeftAdapter.Save(folder.File("adapter"), adapter, "base");
        return (model, adapter);
    }
}
