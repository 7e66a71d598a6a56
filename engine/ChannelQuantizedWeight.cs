using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using LoraScratch.Kernels;

namespace LoraScratch.Engine;

/// <summary>
/// The weight of a linear layer in signed bytes with one scale for each output channel, on a
/// device:
/// <code>ŵ[j, i] = α[j] · c[j, i],   α[j] = maxᵢ |w[j, i]| / 127,   c[j, i] = round(w[j, i] / α[j])</code>
/// so that ŵ is w to within α/2, 0 stays 0, and a factor can be taken out of every sum over i:
/// products are sums of whole numbers (<see cref="Ops.DynamicInt8Linear"/>). With 8 bits there is
/// nothing to gain from clipping the largest weight, or from groups: the error of a layer is a few
/// tenths of a percent.
/// <para>
/// <b>Memory.</b> 8 bits a weight, and 64 an output: a quarter of float32. Brought into the panels
/// of <see cref="Int8Matrix"/> once, here.
/// </para>
/// <para>
/// <b>No gradient.</b> Neither for the weight nor, through it, for the layer's input:
/// <see cref="Ops.DynamicInt8Linear"/> says why.
/// </para>
/// </summary>
internal sealed class ChannelQuantizedWeight : IWeight
{
    private readonly DeviceBuffer<sbyte> panels;
    private readonly DeviceBuffer<float> scales;
    private readonly DeviceBuffer<int> sums;

    /// <summary>A weight of given codes.</summary>
    /// <param name="outFeatures">out</param>
    /// <param name="inFeatures">in, at most <see cref="Int8Matrix.MaxInputs"/></param>
    /// <param name="codes">c [out, in], −127 to 127</param>
    /// <param name="scales">α [out], positive</param>
    /// <param name="backend">Where to put it; default <see cref="Device.Default"/>.</param>
    /// <exception cref="InputException">
    /// A code or scale is out of range, or there are more inputs than an integer sum has room for.
    /// </exception>
    /// <exception cref="ShapeMismatchException">
    /// There are too many or too few codes or scales.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException">There are no outputs or no inputs.</exception>
    public ChannelQuantizedWeight(int outFeatures, int inFeatures, ReadOnlySpan<sbyte> codes,
        ReadOnlySpan<float> scales, IBackend? backend = null)
    {
        CheckInput($"a weight [{outFeatures}, {inFeatures}]", inFeatures);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(outFeatures);
        Shape = new Shape(outFeatures, inFeatures);
        Check(codes, scales);
        Backend = backend ?? Device.Default;
        var packed = new sbyte[Int8Matrix.CodesLength(outFeatures, inFeatures)];
        Int8Matrix.Pack(packed, codes, inFeatures);
        panels = On<sbyte>(packed);
        this.scales = On(scales);
        sums = On<int>(SumsOf(codes));
    }

    /// <summary>[out, in]</summary>
    public Shape Shape { get; }

    /// <summary>Width of the input.</summary>
    public int InFeatures => Shape[1];

    /// <summary>Width of the output.</summary>
    public int OutFeatures => Shape[0];

    /// <summary>The device that holds it.</summary>
    public IBackend Backend { get; }

    /// <summary>The weight for products, [out, in].</summary>
    public Int8Matrix Matrix => new(panels, scales, sums, OutFeatures, InFeatures);

    /// <summary>Memory on the device: codes, scales, and the sum of each output's codes.</summary>
    public long Bytes => panels.Length + (long)OutFeatures * (sizeof(float) + sizeof(int));

    /// <summary>Rounds a weight.</summary>
    /// <param name="weight">W, row-major [out, in]</param>
    /// <param name="outFeatures">out</param>
    /// <param name="inFeatures">in</param>
    /// <param name="backend">Where to put it; default <see cref="Device.Default"/>.</param>
    /// <param name="layer">The layer's name, for messages.</param>
    /// <exception cref="InputException">
    /// A weight is not finite, or there are too many inputs.
    /// </exception>
    /// <exception cref="ShapeMismatchException">There are too many or too few numbers.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There are no outputs or no inputs.</exception>
    public static ChannelQuantizedWeight Quantize(ReadOnlySpan<float> weight, int outFeatures, int inFeatures,
        IBackend? backend = null, string layer = "the layer")
    {
        CheckInput(layer, inFeatures);
        if (weight.Length != (long)outFeatures * inFeatures)
        {
            throw new ShapeMismatchException($"Quantisation of {layer}: a weight [{outFeatures}, {inFeatures}] has "
                + $"{(long)outFeatures * inFeatures} elements, got {weight.Length}.");
        }
        var codes = new sbyte[weight.Length];
        var scales = new float[outFeatures];
        for (var j = 0; j < outFeatures; j++)
        {
            var row = weight.Slice(j * inFeatures, inFeatures);
            scales[j] = ScaleOf(row, j, layer);
            for (var i = 0; i < inFeatures; i++)
            {
                codes[j * inFeatures + i] =
                    (sbyte)Math.Clamp(Math.Round((double)row[i] / scales[j]), -Int8Matrix.LargestCode,
                        Int8Matrix.LargestCode);
            }
        }
        return new ChannelQuantizedWeight(outFeatures, inFeatures, codes, scales, backend);
    }

    /// <summary>Checks that a layer can be quantised so.</summary>
    /// <param name="layer">The layer's name, for the message.</param>
    /// <param name="inFeatures">Width of its input.</param>
    /// <exception cref="InputException">A sum of so many products might leave 32 bits.</exception>
    /// <exception cref="ArgumentOutOfRangeException">There are no inputs.</exception>
    public static void CheckInput(string layer, int inFeatures)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(inFeatures);
        if (inFeatures > Int8Matrix.MaxInputs)
        {
            throw new InputException($"Dynamic quantisation: {layer} has {inFeatures} inputs; sums of 32 bits have "
                + $"room for {Int8Matrix.MaxInputs}. Leave this layer as it is.");
        }
    }

    /// <summary>The codes, [out, in].</summary>
    public sbyte[] Codes()
    {
        var packed = new sbyte[panels.Length];
        Backend.Download(packed.AsSpan(), panels);
        var codes = new sbyte[Shape.Count];
        Int8Matrix.Unpack(codes, packed, InFeatures);
        return codes;
    }

    /// <summary>α [out]</summary>
    public float[] Scales()
    {
        var values = new float[OutFeatures];
        Backend.Download(values.AsSpan(), scales);
        return values;
    }

    /// <summary>ŵ, row-major [out, in].</summary>
    public float[] Dequantize()
    {
        var (codes, values) = (Codes(), Scales());
        var weight = new float[codes.Length];
        for (var i = 0; i < weight.Length; i++)
        {
            weight[i] = values[i / InFeatures] * codes[i];
        }
        return weight;
    }

    /// <inheritdoc/>
    public override string ToString() => $"INT8, a scale for each output {Shape}";

    bool IWeight.IsQuantized => true;

    string IWeight.Form => "dynamic INT8";

    void IWeight.AppendTo(IncrementalHash hash)
    {
        hash.AppendData(MemoryMarshal.AsBytes<sbyte>(Codes()));
        hash.AppendData(MemoryMarshal.AsBytes<float>(Scales()));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        panels.Dispose();
        scales.Dispose();
        sums.Dispose();
    }

    /// <summary>max |w| / 127, but at least <see cref="Int8Matrix.SmallestScale"/>.</summary>
    private static float ScaleOf(ReadOnlySpan<float> row, int j, string layer)
    {
        var largest = 0f;
        for (var i = 0; i < row.Length; i++)
        {
            if (!float.IsFinite(row[i]))
            {
                throw new InputException(string.Create(CultureInfo.InvariantCulture,
                    $"Quantisation of {layer}: the weight at [{j}, {i}] is {row[i]}. The checkpoint is damaged, or "
                        + $"its training has diverged; quantise an earlier one."));
            }
            largest = Math.Max(largest, Math.Abs(row[i]));
        }
        return Math.Max(largest / Int8Matrix.LargestCode, Int8Matrix.SmallestScale);
    }

    private void Check(ReadOnlySpan<sbyte> codes, ReadOnlySpan<float> scales)
    {
        if (codes.Length != Shape.Count || scales.Length != OutFeatures)
        {
            throw new ShapeMismatchException($"INT8 weight {Shape}: needs {Shape.Count} codes and {OutFeatures} "
                + $"scales, got {codes.Length} and {scales.Length}.");
        }
        if (codes.IndexOf(sbyte.MinValue) is var at and >= 0)
        {
            throw new InputException($"INT8 weight {Shape}: the code at [{at / InFeatures}, {at % InFeatures}] is "
                + $"{sbyte.MinValue}; codes are from {-Int8Matrix.LargestCode} to {Int8Matrix.LargestCode}.");
        }
        for (var j = 0; j < scales.Length; j++)
        {
            if (!float.IsFinite(scales[j]) || scales[j] <= 0)
            {
                throw new InputException(string.Create(CultureInfo.InvariantCulture, $"INT8 weight {Shape}: output "
                    + $"{j} has the scale {scales[j]}; it needs a positive one."));
            }
        }
    }

    private int[] SumsOf(ReadOnlySpan<sbyte> codes)
    {
        var values = new int[OutFeatures];
        for (var i = 0; i < codes.Length; i++)
        {
            values[i / InFeatures] += codes[i];
        }
        return values;
    }

    private DeviceBuffer<T> On<T>(ReadOnlySpan<T> values) where T : unmanaged
    {
        var buffer = Backend.Allocate<T>(values.Length);
        Backend.Upload(buffer, values);
        return buffer;
    }
}
