using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Quantization;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// Whole models: layers are found, calibrated, replaced, trained beside, merged, written and read.
/// </summary>
public sealed class ModelQuantizerTests
{
    private static readonly QuantizationFormat Format = new(4, 16);

    private static Models.Classifier Model(ulong seed = 1) => new(new RandomStream(seed), width: 32);

    private static Tensor Input(int rows, ulong seed) =>
        Tensor.From(new RandomStream(seed).Normal(rows * 32, 1), new Shape(rows, 32));

    [Test]
    public void Layers_are_found_by_their_names()
    {
        var model = Model();
        Assert.That(ModelQuantizer.Find(model, [ModulePattern.AllLinear]).Select(layer => layer.Path),
            Is.EqualTo(new[] { "block.q_lin", "block.k_lin", "block.v_lin", "pre_classifier", "classifier" }));
        Assert.That(ModelQuantizer.Find(model, ["q_lin", "v_lin"]).Select(layer => layer.Path),
            Is.EqualTo(new[] { "block.q_lin", "block.v_lin" }));
        Assert.That(() => ModelQuantizer.Find(model, ["q_lin", "q_proj"]),
            Throws.InstanceOf<InputException>().With.Message.Contains("q_proj"));
    }

    [Test]
    public void A_quantised_model_computes_nearly_the_same_and_less_so_after_rounding_to_nearest()
    {
        using var scope = new TensorScope();
        using var texts = Input(300, 2);
        using var x = Input(20, 3);
        var expected = Model().Forward(x).Doubles();
        var errors = new List<double>();
        foreach (var method in new[] { QuantizationMethod.RoundToNearest, QuantizationMethod.Gptq })
        {
            var model = Model();
            var layers = ModelQuantizer.Find(model, ["q_lin", "k_lin", "v_lin", "pre_classifier"]);
            using var calibration = new Calibration(layers);
            Assert.That(model.Forward(texts).ToArray(), Is.EqualTo(Model().Forward(texts).ToArray()),
                "listening changes nothing");
            var reports = ModelQuantizer.Quantize(layers, Format, method, calibration);
            Assert.That(calibration.IsListening, Is.False);
            Assert.That(reports.Select(report => report.Path), Is.EqualTo(layers.Select(layer => layer.Path)));
            foreach (var report in reports)
            {
                Assert.That((report.BytesBefore, report.BytesAfter),
                    Is.EqualTo((32 * 32 * 4L, 32 * 32L / 2 + 32 * 2 * 8L)));
                Assert.That(report.WeightError, Is.InRange(0.01, 0.15));
                Assert.That(report.OutputError, Is.InRange(0.01, 0.15));
            }
            Assert.That(model.NamedModules().Count(entry => entry.Module is QuantizedLinear), Is.EqualTo(4));
            var error = Maths.RelativeError(model.Forward(x).ToArray(), expected);
            Assert.That(error, Is.InRange(1e-4, 0.3));
            errors.Add(reports.Sum(report => report.OutputError!.Value));
        }
        Assert.That(errors[1], Is.LessThan(errors[0]), "GPTQ's outputs err less");
    }

    [Test]
    public void A_model_is_quantised_whole_or_not_at_all()
    {
        var model = new Models.Node().With("first", new Linear(32, 4, new RandomStream(1)))
            .With("second", new Linear(40, 4, new RandomStream(2)));
        var layers = ModelQuantizer.Find(model, [ModulePattern.AllLinear]);
        Assert.That(() => ModelQuantizer.Quantize(layers, Format),
            Throws.InstanceOf<InputException>().With.Message.Contains("40 inputs of second"));
        Assert.That(layers.Select(layer => layer.Submodule.Current), Is.All.InstanceOf<Linear>());
        Assert.That(() => ModelQuantizer.Quantize(layers, Format, QuantizationMethod.Gptq),
            Throws.InstanceOf<InputException>().With.Message.Contains("calibration texts"));
        Assert.That(() => ModelQuantizer.ParseMethod("awq"),
            Throws.InstanceOf<InputException>().With.Message.Contains("rtn, gptq"));
        Assert.That(ModelQuantizer.ParseMethod(ModelQuantizer.Name(QuantizationMethod.Gptq)),
            Is.EqualTo(QuantizationMethod.Gptq));
    }

    /// <summary>
    /// Quantise, train A and B through two quantised layers, merge: the logits stay, and so does
    /// the size.
    /// </summary>
    [Test]
    public void QA_LoRA_learns_on_a_quantised_model_and_merges_into_it()
    {
        var random = new RandomStream(4);
        var model = Model();
        ModelQuantizer.Quantize(ModelQuantizer.Find(model, ["q_lin", "v_lin", "pre_classifier"]), Format);
        model.Freeze();
        var adapted = new List<LinearWithQALoRA>();
        foreach (var (_, submodule) in model.NamedSubmodules())
        {
            if (submodule.Current is QuantizedLinear linear)
            {
                adapted.Add(new LinearWithQALoRA(linear, new LoRASettings(Rank: 4, Alpha: 64), random));
                submodule.Replace(adapted[^1]);
            }
        }
        Assert.That(model.TrainableParameters().Count(), Is.EqualTo(6));
        using var x = Input(40, 5);
        using var labels = new Indices([.. Enumerable.Range(0, 40).Select(i => i % 2)]);
        using var optimizer = new LoraScratch.Engine.Optim.Adam([.. model.TrainableParameters()], 0.02f);
        float Step()
        {
            using var scope = new TensorScope();
            optimizer.ZeroGradient();
            var loss = model.Forward(x).CrossEntropy(labels);
            var value = loss.Item();
            loss.Backward();
            optimizer.Step();
            return value;
        }
        var first = Step();
        for (var i = 0; i < 30; i++)
        {
            Step();
        }
        Assert.That(Step(), Is.LessThan(0.8 * first), "it learns");
        Assert.That(adapted.SelectMany(layer => layer.Lora.B.ToArray()).Max(Math.Abs), Is.GreaterThan(0.01f),
            "B is not zero");
        using var evaluation = new TensorScope();
        var (before, bytes) = (model.Forward(x).Doubles(), adapted.Sum(layer => layer.Base.Weight.Bytes));
        adapted.ForEach(layer => layer.Merge());
        Assert.That(Maths.RelativeError(model.Forward(x).ToArray(), before), Is.LessThan(1e-5));
        Assert.That(adapted.Sum(layer => layer.Base.Weight.Bytes), Is.EqualTo(bytes));
    }

    [Test]
    public void A_quantised_weight_is_written_and_read_bit_by_bit([Values(2, 3, 4, 8)] int bits)
    {
        using var folder = new TemporaryFolder();
        var path = folder.File(Checkpoint.FileName);
        var format = new QuantizationFormat(bits, 32);
        using var weight = RoundToNearest.Quantize(new RandomStream(6).Normal(7 * 96, 0.05f), 7, 96, format);
        SafeTensorsWriter.Write(path, QuantizedTensors.Of("layer.0.q_lin", weight));
        using var files = Checkpoint.Open(path);
        Assert.That(files.Tensors.Keys,
            Is.All.Matches<string>(name => QuantizedTensors.TryParse(name!, out var layer)
                && layer == "layer.0.q_lin"));
        Assert.That(files.Tensors.Values.Sum(tensor => tensor.ByteLength), Is.EqualTo(weight.Bytes));
        using var read = QuantizedTensors.Read(files, "layer.0.q_lin", format, 7, 96);
        Assert.That(read.Packed(), Is.EqualTo(weight.Packed()));
        Assert.That(read.Grids(), Is.EqualTo(weight.Grids()));
        Assert.That(() => QuantizedTensors.Read(files, "layer.0.q_lin", format with { GroupSize = 16 }, 7, 96),
            Throws.InstanceOf<InputException>().With.Message.Contains("should be F32 [7, 6]"));
        Assert.That(() => QuantizedTensors.Read(files, "layer.1.q_lin", format, 7, 96),
            Throws.InstanceOf<InputException>().With.Message.Contains("layer.1.q_lin"));
    }

    [Test]
    public void Damaged_scales_are_refused_in_words()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File(Checkpoint.FileName);
        SafeTensorsWriter.Write(path,
        [
            TensorToWrite.Bytes("q.weight.codes", DType.U8, [2, 8], new byte[16]),
            TensorToWrite.Floats("q.weight.scales", [2, 1], new float[] { 1, 0 }),
            TensorToWrite.Floats("q.weight.zeros", [2, 1], new float[] { 0, 0 }),
        ]);
        using var files = Checkpoint.Open(path);
        Assert.That(() => QuantizedTensors.Read(files, "q", Format, 2, 16),
            Throws.InstanceOf<InputException>().With.Message.Contains("group 0 of output 1 of 'q' has the scale 0"));
    }
}
