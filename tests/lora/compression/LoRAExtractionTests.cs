using LoraScratch.Engine;
using LoraScratch.Engine.LinearAlgebra;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Compression;
using LoraScratch.Lora.Data;
using LoraScratch.Tests.Lora;

using static LoraScratch.Tests.Lora.Models;

namespace LoraScratch.Tests.Compression;

/// <summary>A full fine-tune as a LoRA adapter.</summary>
public sealed class LoRAExtractionTests
{
    private static readonly ModulePattern[] Head = ["pre_classifier", "classifier"];
    private static readonly ModulePattern[] Attention = ["q_lin", "v_lin"];

    [Test]
    public void An_adapter_that_was_merged_comes_back_with_its_rank_and_its_logits([Values(2, 3)] int rank)
    {
        var tuned = new Classifier(new RandomStream(1));
        var trained = LoRAAdapter.Attach(tuned, new LoRASettings(rank, 7), Attention, new RandomStream(4));
        Randomize(trained);
        trained.MergeAndDetach();
        var start = new Classifier(new RandomStream(1));

        var extraction = LoRAExtraction.Run(start, tuned,
            new ExtractionOptions { Energy = 0.9999999, Targets = Attention });

        Assert.That(extraction.Layers.Select(layer => layer.Rank), Is.All.EqualTo(rank),
            "W + s·AB differs from W by rank r");
        Assert.That(extraction.Layers.Select(layer => layer.RelativeError), Is.All.LessThan(1e-6));
        Assert.That(extraction.Adapter.Layers.Select(layer => layer.Layer.Lora.Scaling), Is.All.EqualTo(1));
        Assert.That((extraction.Lost.Count, extraction.Unchanged.Count), Is.EqualTo((0, 0)));
        Assert.That(extraction.HeldShare, Is.GreaterThan(1 - 1e-9));
        using var scope = new TensorScope();
        Assert.That(Maths.RelativeError(start.Forward(LoRAAdapterTests.Input()).ToArray(),
            tuned.Forward(LoRAAdapterTests.Input()).Doubles()), Is.LessThan(1e-5));
    }

    [Test]
    public void The_error_of_every_layer_is_the_one_that_the_best_approximation_has([Values(1, 2, 5)] int rank)
    {
        var (start, tuned) = (new Classifier(new RandomStream(1)), Tuned());
        var before = start.NamedParameters().ToDictionary(entry => entry.Path, entry => entry.Parameter.Doubles());
        var extraction = LoRAExtraction.Run(start, tuned, new ExtractionOptions { Rank = rank, Targets = Attention });
        foreach (var (layer, adapted) in extraction.Layers.Zip(extraction.Adapter.Layers))
        {
            var (w, lora) = (before[$"{layer.Path}.weight"], adapted.Layer.Lora);
            var change = new DenseMatrix(6, 6,
                [.. tuned.NamedParameters().Single(entry => entry.Path == $"{layer.Path}.weight").Parameter.Doubles()
                    .Zip(w, (now, old) => now - old)]);
            var update = Maths.Transpose(Maths.Product(lora.A.Doubles(), lora.B.Doubles(), 6, rank, 6), 6, 6);
            var error = Math.Sqrt(change.Values.Zip(update, (x, y) => (x - y) * (x - y)).Sum());
            Assert.That(layer.Error, Is.EqualTo(error).Within(1e-9),
                "the error that is told is that of the saved numbers");
            Assert.That(layer.Error,
                Is.EqualTo(SingularValueDecomposition.Jacobi(change).ErrorOf(rank)).Within(1e-6 * change.Norm()),
                    "and no rank-k matrix has a smaller one");
            Assert.That(layer.ChangeNorm, Is.EqualTo(change.Norm()).Within(1e-12));
            Assert.That(layer.Energy, Is.EqualTo(1 - error * error / change.SquaredNorm()).Within(1e-9));
        }
    }

    [Test]
    public void Each_layer_gets_the_smallest_rank_that_keeps_the_energy_and_the_file_gives_the_same_logits()
    {
        using var folder = new TemporaryFolder();
        var start = new Classifier(new RandomStream(1));
        var extraction = LoRAExtraction.Run(start, Tuned(),
            new ExtractionOptions { Energy = 0.8, Targets = [.. Attention, "k_lin"], WholeModules = Head });
        Assert.That(extraction.Layers.Select(layer => layer.Energy), Is.All.GreaterThanOrEqualTo(0.8));
        Assert.That(extraction.Layers.Select(layer => layer.Rank).Distinct().Count(), Is.GreaterThan(1),
            "or the patterns of ranks and alphas are not tested");
        using var scope = new TensorScope();
        var logits = start.Forward(LoRAAdapterTests.Input()).Bits();
        DerivedAdapter.Save(folder.File("adapter"), extraction, "base", "tuned", new RunTask(["neg", "pos"]));

        var fresh = new Classifier(new RandomStream(1));
        PeftAdapter.Load(folder.File("adapter"), fresh);
        Assert.That(fresh.Forward(LoRAAdapterTests.Input()).Bits(), Is.EqualTo(logits));
        Assert.That(RunFiles.ReadTask(folder.File("adapter"))!.Labels, Is.EqualTo(new[] { "neg", "pos" }));
    }

    [Test]
    public void With_every_layer_at_full_rank_the_head_whole_and_all_biases_the_model_is_the_tuned_one()
    {
        var (start, tuned) = (new Classifier(new RandomStream(1)), Tuned());
        var extraction = LoRAExtraction.Run(start, tuned,
            new ExtractionOptions
            {
                Rank = 6,
                Targets = [.. Attention, "k_lin"],
                WholeModules = Head,
                Bias = LoRABias.All
            });
        Assert.That((extraction.Lost.Count, extraction.Adapter.Plan.ModulesToSave.Count,
            extraction.Adapter.Plan.TrainedBiases.Count), Is.EqualTo((0, 2, 3)));
        Assert.That(extraction.HeldShare, Is.GreaterThan(1 - 1e-9));
        using var scope = new TensorScope();
        Assert.That(Maths.RelativeError(start.Forward(LoRAAdapterTests.Input()).ToArray(),
            tuned.Forward(LoRAAdapterTests.Input()).Doubles()), Is.LessThan(1e-5));
    }

    [Test]
    public void What_the_adapter_has_no_place_for_is_told_by_name_and_size()
    {
        var (start, tuned) = (new Classifier(new RandomStream(1)), new Classifier(new RandomStream(1)));
        Change(tuned, "block.q_lin.weight", 0.5f);
        Change(tuned, "block.q_lin.bias", 0.3f);
        Change(tuned, "block.k_lin.weight", 0.2f);
        var extraction = LoRAExtraction.Run(start, tuned,
            new ExtractionOptions { Rank = 6, Targets = Attention, WholeModules = Head });
        Assert.That(extraction.Lost
            .Select(entry => (entry.Path, entry.Shape.ToString(), Math.Round(entry.ChangeNorm, 5))), Is.EqualTo(new[]
        {
            ("block.k_lin.weight", "[6, 6]", 1.2),                              // 36 elements, moved by 0.2 each
            ("block.q_lin.bias", "[6]", Math.Round(0.3 * Math.Sqrt(6), 5)),
        }));
        Assert.That(extraction.Unchanged, Is.EqualTo(new[] { "block.v_lin" }));
        Assert.That(extraction.Layers.Single().Path, Is.EqualTo("block.q_lin"));
        Assert.That(extraction.Adapter.Plan.ModulesToSave, Is.Empty, "a head that did not change stays the base's");
        Assert.That(extraction.HeldShare, Is.EqualTo(9 / (9 + 1.44 + 0.54)).Within(1e-5));
    }

    [Test]
    public void What_cannot_be_extracted_is_refused()
    {
        var start = new Classifier(new RandomStream(1));
        void Refused(string message, Module tuned, ExtractionOptions options) =>
            Assert.That(() => LoRAExtraction.Run(start, tuned, options),
                Throws.InstanceOf<InputException>().With.Message.Contains(message));
        Refused("None of the 2 layers", new Classifier(new RandomStream(1)),
            new ExtractionOptions { Rank = 2, Targets = Attention });
        Refused("classifier.weight is [2, 6] in the base and [3, 6] in the tuned model",
            new Classifier(new RandomStream(1), classes: 3), new ExtractionOptions { Rank = 2, Targets = Attention });
        Refused("the target 'q_linn' meets no layer", Tuned(),
            new ExtractionOptions { Rank = 2, Targets = ["q_linn"] });
        Refused("Neither option 'rank' nor option 'energy'", Tuned(), new ExtractionOptions { Targets = Attention });
        Refused("both given", Tuned(), new ExtractionOptions { Rank = 1, Energy = 0.5, Targets = Attention });
        Refused("Option 'energy' is 1.5", Tuned(), new ExtractionOptions { Energy = 1.5, Targets = Attention });
        Refused("Option 'rank' is 0", Tuned(), new ExtractionOptions { Rank = 0, Targets = Attention });
    }

    internal static void Randomize(LoRAAdapter adapter)
    {
        var random = new RandomStream(77);
        foreach (var (_, layer) in adapter.Layers)
        {
            layer.Lora.A.Set(random.Normal(layer.Lora.A.Shape.Count, 0.5f));
            layer.Lora.B.Set(random.Normal(layer.Lora.B.Shape.Count, 0.5f));
        }
    }

    /// <summary>Another model than the base in every number.</summary>
    private static Classifier Tuned()
    {
        var (tuned, random) = (new Classifier(new RandomStream(1)), new RandomStream(5));
        foreach (var parameter in tuned.Parameters())
        {
            parameter.Set([.. parameter.ToArray()
                .Zip(random.Normal(parameter.Shape.Count, 0.2f), (old, step) => old + step)]);
        }
        return tuned;
    }

    private static void Change(Module model, string path, float step)
    {
        var parameter = model.NamedParameters().Single(entry => entry.Path == path).Parameter;
        parameter.Set([.. parameter.ToArray().Select(value => value + step)]);
    }
}
