using System.Runtime.InteropServices;
using System.Security.Cryptography;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;

namespace LoraScratch.Tests.Engine;

/// <summary>
/// What every kind of layer says about its weight, so that nobody has to ask which kind it is.
/// </summary>
public class WeightLayerTests
{
    private const int In = 32, Out = 6;

    private static readonly float[] Values = new RandomStream(1).Normal(Out * In, 1);

    private static IBackend Backend => Backends.Any;

    private static Linear Float() => new(In, Out, Values, new float[Out], Backend);

    private static Embedding Table() => new(new Parameter("weight", Values, new Shape(In, Out), Backend));

    private static DynamicInt8Linear Int8() => new(ChannelQuantizedWeight.Quantize(Values, Out, In, Backend));

    private static QuantizedLinear Groups()
    {
        var codes = Array.ConvertAll(Values, value => (byte)Math.Clamp(8 + 3 * value, 0, 15));
        var grids = Enumerable.Range(1, Out * In / 16).Select(i => new GroupGrid(i, 8)).ToArray();
        return new(new GroupQuantizedWeight(new QuantizationFormat(4, 16), Out, In, codes, grids, Backend));
    }

    private static readonly TestCaseData[] Kinds =
    [
        Kind(Float(), sizeof(float) * In * Out, "float32"),
        Kind(Table(), sizeof(float) * In * Out, "float32"),
        Kind(Groups(), In * Out / 2 + In * Out / 16 * 8, "INT4, groups of 16"),
        Kind(Int8(), Int8Matrix.CodesLength(Out, In) + Out * 8, "dynamic INT8"),
    ];

    [TestCaseSource(nameof(Kinds))]
    public void A_layer_says_how_wide_it_is_and_how_its_weight_is_stored(WeightLayer layer, long bytes, string form)
    {
        Assert.That((layer.InFeatures, layer.OutFeatures), Is.EqualTo((In, Out)));
        Assert.That(layer.Weight.Shape.Count, Is.EqualTo(In * Out));
        Assert.That(layer.Weight.Bytes, Is.EqualTo(bytes));
        Assert.That(layer.Weight.Form, Is.EqualTo(form));
        Assert.That(layer.Weight.Format, Is.EqualTo(layer is QuantizedLinear ? new QuantizationFormat(4, 16) : null));
        Assert.That(layer.Weight.IsQuantized,
            Is.EqualTo(layer.OwnParameters.All(parameter => parameter != layer.Weight)));
        Assert.That(layer.IsEmbedding, Is.EqualTo(layer is Embedding));
        Assert.That(layer.PassesGradient, Is.EqualTo(layer is not DynamicInt8Linear));
    }

    [Test]
    public void The_hashed_bytes_are_the_values_or_the_codes_and_what_gives_them_values()
    {
        var (groups, int8) = (Groups(), Int8());
        Assert.That(Hash(Float()), Is.EqualTo(SHA256.HashData(MemoryMarshal.AsBytes<float>(Values))));
        Assert.That(Hash(Table()), Is.EqualTo(Hash(Float())), "as they are stored");
        Assert.That(Hash(groups),
            Is.EqualTo(SHA256.HashData(
                [.. groups.Weight.Packed(), .. MemoryMarshal.AsBytes<GroupGrid>(groups.Weight.Grids())])));
        Assert.That(Hash(int8), Is.EqualTo(SHA256.HashData(
            [.. MemoryMarshal.AsBytes<sbyte>(int8.Weight.Codes()),
                .. MemoryMarshal.AsBytes<float>(int8.Weight.Scales())])));
    }

    [Test]
    public void A_model_counts_every_weight_once_whatever_it_is_stored_as()
    {
        var (linear, quantized) = (Float(), Groups());
        var model = new Sequential(linear, quantized, linear, quantized, new Relu());
        Assert.That(model.Weights(), Is.EqualTo(new IWeight[] { linear.Weight, linear.Bias!, quantized.Weight }));
        Assert.That(model.CountWeights(), Is.EqualTo(2 * In * Out + Out));
        Assert.That(model.WeightBytes(), Is.EqualTo(sizeof(float) * (In * Out + Out) + quantized.Weight.Bytes));
    }

    [Test]
    public void Float_weights_are_required_by_a_message_that_names_the_first_other_layer()
    {
        Assert.That(() => new Sequential(Float(), Table()).RequireFloatWeights("Sorting"), Throws.Nothing);
        Assert.That(() => new Sequential(Float(), Int8()).RequireFloatWeights("Sorting"),
            Throws.InstanceOf<InputException>().With.Message
                .StartsWith("Sorting needs float weights, and 1 is quantised, DynamicInt8Linear("));
    }

    [Test]
    public void Float_linear_layers_can_be_replaced_one_by_one_where_their_place_takes_any_layer()
    {
        var model = new Fixed(Float(), new Sequential(Float(), Table(), Groups(), Float()));
        var met = new List<string>();
        foreach (var (path, submodule, linear) in model.ReplaceableLinears())
        {
            met.Add(path);
            submodule.Replace(new Sequential(linear));
        }
        Assert.That(met, Is.EqualTo(new[] { "any.0", "any.3" }), "'fixed' takes nothing but a Linear");
        Assert.That(model.NamedModules<Linear>().Select(entry => entry.Path),
            Is.EqualTo(new[] { "fixed", "any.0.0", "any.3.0" }));
    }

    private static TestCaseData Kind(WeightLayer layer, long bytes, string form) =>
        new TestCaseData(layer, bytes, form).SetArgDisplayNames(layer.GetType().Name);

    private static byte[] Hash(WeightLayer layer)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        layer.Weight.AppendTo(hash);
        return hash.GetHashAndReset();
    }

    private sealed class Fixed : Module
    {
        public Fixed(Linear linear, Layer any)
        {
            Add("fixed", linear);
            Add("any", any);
        }
    }
}
