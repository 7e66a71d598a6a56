using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Lora;
using LoraScratch.Lora.Compression;
using LoraScratch.Lora.Quantization;

namespace LoraScratch.Tests.Lora;

/// <summary>
/// Whole models: layers are found, measured and replaced, whole ones and the factors of low-rank
/// ones; weights are written and read.
/// </summary>
public sealed class DynamicQuantizationTests
{
    private static readonly ModulePattern[] Body = ["q_lin", "k_lin", "v_lin", "pre_classifier"];

    private static Models.Classifier Model() => new(new RandomStream(1), width: 32);

    private static Tensor Input(int rows, ulong seed) =>
        Tensor.From(new RandomStream(seed).Normal(rows * 32, 1), new Shape(rows, 32));

    [Test]
    public void A_quantised_model_computes_nearly_the_same_and_reports_how_nearly()
    {
        using var recording = new NoGradient();
        using var scope = new TensorScope();
        var (model, x) = (Model(), Input(200, 3));
        var expected = model.Forward(x).Doubles();
        using var quantization = DynamicQuantization.Of(ModelQuantizer.Find(model, Body));
        using (quantization.Listen())
        {
            Assert.That(model.Forward(x).Doubles(), Is.EqualTo(expected), "listening changes nothing");
            Assert.That(() => quantization.Apply(), Throws.InvalidOperationException.With.Message.Contains("Listen"));
        }
        Assert.That(model.NamedModules().Select(entry => entry.Module).OfType<DynamicInt8Linear>(), Is.Empty);
        var reports = quantization.Apply();
        Assert.That(reports.Select(report => report.Path),
            Is.EqualTo(new[] { "block.q_lin", "block.k_lin", "block.v_lin", "pre_classifier" }).And
                .EqualTo(quantization.Paths));
        foreach (var report in reports)
        {
            Assert.That((report.BytesBefore, report.BytesAfter), Is.EqualTo((32 * 32 * 4L, 32 * 32L + 32 * 8)));
            Assert.That(report.WeightError, Is.InRange(0.001, 0.006));
            Assert.That(report.OutputError, Is.InRange(report.WeightError, 0.015),
                "the rounding of the inputs comes on top");
        }
        Assert.That(model.NamedModules().Count(entry => entry.Module is DynamicInt8Linear), Is.EqualTo(4));
        Assert.That(Maths.RelativeError(model.Forward(x).ToArray(), expected), Is.InRange(1e-4, 0.03));
        Assert.That(() => quantization.Apply(), Throws.InvalidOperationException.With.Message.Contains("only once"));
    }

    [Test]
    public void The_reported_error_is_that_of_the_layer_alone()
    {
        using var recording = new NoGradient();
        using var scope = new TensorScope();
        var linear = new Linear(32, 9, new RandomStream(5));
        var (model, x) = (new Sequential(linear), Input(50, 6));
        var exact = Maths.Product(x.Doubles(), Maths.Transpose(linear.Weight.Doubles(), 9, 32), 50, 32, 9);
        var bias = linear.Bias!.ToArray();
        using var quantization = DynamicQuantization.Of(ModelQuantizer.Find(model, [ModulePattern.AllLinear]));
        using (quantization.Listen())
        {
            model.Forward(x);
        }
        var report = quantization.Apply().Single();
        var errors = model.Forward(x).ToArray().Select((y, i) => Math.Pow(y - bias[i % 9] - exact[i], 2)).Sum();
        Assert.That(report.OutputError, Is.EqualTo(Math.Sqrt(errors / exact.Sum(y => y * y))).Within(0.1).Percent);
    }

    [Test]
    public void Without_texts_there_is_no_output_error()
    {
        using var quantization = DynamicQuantization.Of(ModelQuantizer.Find(Model(), Body));
        using (quantization.Listen())
        {
        }
        Assert.That(quantization.Apply().Select(report => report.OutputError), Is.All.Null);
    }

    /// <summary>
    /// Compress, then quantise dynamically: both factors of each low-rank layer become whole
    /// numbers.
    /// </summary>
    [Test]
    public void A_compressed_model_is_quantised_on_top()
    {
        using var recording = new NoGradient();
        using var scope = new TensorScope();
        var (model, x) = (Model(), Input(100, 3));
        var compression = ModelCompression.Of(model, ["q_lin", "v_lin"]);
        compression.Apply(compression.ByRank(12));
        var compressed = model.Forward(x).Doubles();
        using var quantization = DynamicQuantization.Of(ModelQuantizer.Find(model, ["q_lin", "pre_classifier"]));
        Assert.That(quantization.Paths, Is.EqualTo(new[] { "block.q_lin.down", "block.q_lin.up", "pre_classifier" }));
        var reports = quantization.Apply();
        Assert.That(reports.Take(2).Sum(report => report.BytesAfter), Is.EqualTo((16 * 32 + 32 * 12) + (12 + 32) * 8),
            "panels of 16 outputs");
        Assert.That(Maths.RelativeError(model.Forward(x).ToArray(), compressed), Is.InRange(1e-4, 0.03));
        Assert.That(() => DynamicQuantization.Of(ModelQuantizer.Find(model, ["v_lin"])),
            Throws.InstanceOf<InputException>().With.Message.Contains("block.q_lin.down is quantised already"));
        Assert.That(() => LoRAAdapter.Attach(LoRAPlan.For(model, new LoRASettings(2, 4), ["q_lin"]),
            new RandomStream(1)), Throws.InstanceOf<InputException>().With.Message
                .Contains("block.q_lin.down is quantised dynamically"));
    }

    [Test]
    public void A_model_is_quantised_whole_or_not_at_all()
    {
        var damaged = new float[32 * 4];
        damaged[70] = float.NaN;
        var model = new Models.Node().With("first", new Linear(32, 4, new RandomStream(1)))
            .With("second", new Linear(32, 4, damaged, null));
        Assert.That(() => DynamicQuantization.Of(ModelQuantizer.Find(model, [ModulePattern.AllLinear])),
            Throws.InstanceOf<InputException>().With.Message.Contains("second").And.Message.Contains("[2, 6] is NaN"));
        Assert.That(model.NamedSubmodules().Select(entry => entry.Submodule.Current), Is.All.InstanceOf<Linear>());
        Assert.That(() => DynamicQuantization.Of(ModelQuantizer.Find(model, ["third"])),
            Throws.InstanceOf<InputException>().With.Message.Contains("'third'").And.Message.Contains("first, second"));
    }

    [Test]
    public void Training_through_a_quantised_layer_is_refused_in_words()
    {
        using var scope = new TensorScope();
        var model = Model();
        using var quantization = DynamicQuantization.Of(ModelQuantizer.Find(model, ["pre_classifier"]));
        quantization.Apply();
        Assert.That(() => model.Forward(Input(2, 1)),
            Throws.InvalidOperationException.With.Message.Contains("x requires a gradient"));
    }

    [Test]
    public void A_weight_is_written_and_read_bit_by_bit()
    {
        using var folder = new TemporaryFolder();
        var path = folder.File(Checkpoint.FileName);
        using var weight = ChannelQuantizedWeight.Quantize(new RandomStream(6).Normal(7 * 97, 0.05f), 7, 97);
        SafeTensorsWriter.Write(path, Int8Tensors.Of("layer.0.q_lin", weight));
        using var files = Checkpoint.Open(path);
        Assert.That(files.Tensors.Keys,
            Is.EquivalentTo(new[] { "layer.0.q_lin.weight.codes", "layer.0.q_lin.weight.scales" }).And.All
                .Matches<string>(name => Int8Tensors.TryParse(name!, out var layer) && layer == "layer.0.q_lin"));
        Assert.That(files.Tensors["layer.0.q_lin.weight.codes"].DType, Is.EqualTo(DType.I8));
        Assert.That(files.Tensors.Values.Sum(tensor => tensor.ByteLength), Is.EqualTo(7 * 97 + 7 * 4));
        using var read = Int8Tensors.Read(files, "layer.0.q_lin", 7, 97);
        Assert.That(read.Codes(), Is.EqualTo(weight.Codes()));
        Assert.That(read.Scales(), Is.EqualTo(weight.Scales()));
        Assert.That(() => Int8Tensors.Read(files, "layer.0.q_lin", 7, 96),
            Throws.InstanceOf<InputException>().With.Message.Contains("should be I8 [7, 96]"));
        Assert.That(() => Int8Tensors.Read(files, "layer.1.q_lin", 7, 97),
            Throws.InstanceOf<InputException>().With.Message.Contains("layer.1.q_lin"));
    }

    [Test]
    public void Damaged_tensors_are_refused_in_words()
    {
        void Refused(byte code, float scale, DType dtype, string part)
        {
            using var folder = new TemporaryFolder();
            var path = folder.File(Checkpoint.FileName);
            SafeTensorsWriter.Write(path,
            [
                TensorToWrite.Bytes("q.weight.codes", dtype, [2, 3], new byte[] { 1, 2, 3, 4, code, 6 }),
                TensorToWrite.Floats("q.weight.scales", [2], new float[] { 1, scale }),
            ]);
            using var files = Checkpoint.Open(path);
            Assert.That(() => Int8Tensors.Read(files, "q", 2, 3),
                Throws.InstanceOf<InputException>().With.Message.Contains(part));
        }
        Refused(128, 1, DType.I8, "the code of input 1 and output 1 of 'q' is -128");
        Refused(5, 0, DType.I8, "output 1 of 'q' has the scale 0");
        Refused(5, float.NaN, DType.I8, "output 1 of 'q' has the scale NaN");
        Refused(5, 1, DType.U8, "should be I8 [2, 3]");
    }
}
