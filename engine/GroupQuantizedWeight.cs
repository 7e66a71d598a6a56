using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using LoraScratch.Kernels;

namespace LoraScratch.Engine;

/// <summary>
/// The weight of a linear layer in whole numbers of a few bits, packed, on a device. Input i of
/// output j belongs to group l = ⌊i/g⌋ and its code q stands for
/// <code>ŵ[j, i] = α[j, l] · (q[j, i] − ζ[j, l])</code>
/// with a float scale α and a float zero ζ for each group of g inputs of each output. Nothing here
/// rounds: <c>RoundToNearest</c> and <c>Gptq</c> choose codes, scales and zeros.
/// <para>
/// <b>Memory.</b> bits + 64/g bits a weight: at 4 bits 0.1875 of float32 with groups of 32, 0.15625
/// with groups of 64. How the codes lie says <see cref="PackedCodes"/>.
/// </para>
/// <para>
/// <b>No gradient.</b> A code moves by whole steps or not at all: the weight is a constant, and
/// what is trained stands beside it. Products go through it in both directions, x·Ŵᵀ and dY·Ŵ.
/// </para>
/// </summary>
internal sealed class GroupQuantizedWeight : IWeight
{
    private readonly DeviceBuffer<byte> packed;
    private readonly DeviceBuffer<GroupGrid> grids;

    private GroupQuantizedWeight(QuantizationFormat format, int outFeatures, int inFeatures, IBackend? backend)
    {
        format.CheckInput($"a weight [{outFeatures}, {inFeatures}]", inFeatures);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(outFeatures);
        (Format, Shape) = (format, new Shape(outFeatures, inFeatures));
        Backend = backend ?? Device.Default;
        packed = Backend.Allocate<byte>((int)PackedCodes.Bytes(Shape.Count, format.Bits));
        grids = Backend.Allocate<GroupGrid>(Shape.Count / format.GroupSize);
    }

    /// <summary>A weight of given codes.</summary>
    /// <param name="outFeatures">out</param>
    /// <param name="inFeatures">in, a multiple of the group size</param>
    /// <param name="codes">[out, in], a code in each byte</param>
    /// <param name="grids">[out, in / g]</param>
    /// <param name="backend">Where to put it; default <see cref="Device.Default"/>.</param>
    /// <exception cref="InputException">
    /// The format is not possible, the groups do not divide the input, or a code, scale or zero is
    /// out of range.
    /// </exception>
    /// <exception cref="ShapeMismatchException">
    /// There are too many or too few codes or grids.
    /// </exception>
    public GroupQuantizedWeight(QuantizationFormat format, int outFeatures, int inFeatures, ReadOnlySpan<byte> codes,
        ReadOnlySpan<GroupGrid> grids, IBackend? backend = null)
        : this(format, outFeatures, inFeatures, backend)
    {
        RequireCount("codes", codes.Length, Shape.Count);
        var largest = codes.IndexOfAnyExceptInRange((byte)0, (byte)format.LargestCode);
        if (largest >= 0)
        {
            throw new InputException($"Quantised weight {Shape}: code {codes[largest]} at {At(largest, inFeatures)} "
                + $"is more than the {format.LargestCode} of {format.Bits} bits.");
        }
        var bytes = new byte[packed.Length];
        PackedCodes.Pack(bytes, codes, format.Bits);
        Backend.Upload<byte>(packed, bytes);
        SetGrids(grids);
    }

    /// <summary>Bits and group size.</summary>
    public QuantizationFormat Format { get; }

    /// <summary>[out, in]</summary>
    public Shape Shape { get; }

    /// <summary>Width of the input.</summary>
    public int InFeatures => Shape[1];

    /// <summary>Width of the output.</summary>
    public int OutFeatures => Shape[0];

    /// <summary>L = in / g: groups of one output.</summary>
    public int Groups => InFeatures / Format.GroupSize;

    /// <summary>The device that holds it.</summary>
    public IBackend Backend { get; }

    /// <summary>The weight for products, [out, in].</summary>
    public QuantizedMatrix Matrix => new(packed, grids, OutFeatures, InFeatures, Format.Bits, Format.GroupSize);

    /// <summary>Memory on the device: codes, scales and zeros.</summary>
    public long Bytes => packed.Length + (long)grids.Length * 2 * sizeof(float);

    /// <summary>
    /// Always false: what is quantised is not trained. It is here so that asking for it has an
    /// answer.
    /// </summary>
    /// <exception cref="InvalidOperationException">It is set to true.</exception>
    public bool IsTrainable
    {
        get => false;
        set
        {
            if (value)
            {
                throw new InvalidOperationException(
                    $"A weight of {Format.Bits} bits has no gradient: its codes are whole numbers. Train A and B of "
                        + "a QALoRALayer beside it, or a Linear made of Dequantize().");
            }
        }
    }

    /// <summary>A weight of codes that are packed already, as a file holds them.</summary>
    /// <param name="outFeatures">out</param>
    /// <param name="inFeatures">in</param>
    /// <param name="packed">As <see cref="Packed"/> gives them.</param>
    /// <param name="grids">[out, in / g]</param>
    /// <exception cref="InputException">
    /// The format is not possible, the groups do not divide the input, or a scale or zero is out of
    /// range.
    /// </exception>
    /// <exception cref="ShapeMismatchException">
    /// There are too many or too few bytes or grids.
    /// </exception>
    public static GroupQuantizedWeight FromPacked(
        QuantizationFormat format, int outFeatures, int inFeatures, ReadOnlySpan<byte> packed,
        ReadOnlySpan<GroupGrid> grids, IBackend? backend = null)
    {
        var weight = new GroupQuantizedWeight(format, outFeatures, inFeatures, backend);
        weight.RequireCount("bytes of packed codes", packed.Length, weight.packed.Length);
        weight.Backend.Upload(weight.packed, packed);
        weight.SetGrids(grids);
        return weight;
    }

    /// <summary>The codes as they lie in memory, [out, in · bits / 8].</summary>
    public byte[] Packed()
    {
        var bytes = new byte[packed.Length];
        Backend.Download(bytes.AsSpan(), packed);
        return bytes;
    }

    /// <summary>The codes, [out, in], one in each byte.</summary>
    public byte[] Codes()
    {
        var codes = new byte[Shape.Count];
        PackedCodes.Unpack(codes, Packed(), Format.Bits);
        return codes;
    }

    /// <summary>Scales and zeros, [out, in / g].</summary>
    public GroupGrid[] Grids()
    {
        var values = new GroupGrid[grids.Length];
        Backend.Download(values.AsSpan(), grids);
        return values;
    }

    /// <summary>Overwrites scales and zeros; the codes stay.</summary>
    /// <param name="values">[out, in / g]</param>
    /// <exception cref="InputException">
    /// A scale is 0 or no finite number, or a zero is not finite.
    /// </exception>
    /// <exception cref="ShapeMismatchException">There are too many or too few.</exception>
    public void SetGrids(ReadOnlySpan<GroupGrid> values)
    {
        RequireCount("grids", values.Length, grids.Length);
        for (var i = 0; i < values.Length; i++)
        {
            if (!float.IsFinite(values[i].Scale) || values[i].Scale == 0 || !float.IsFinite(values[i].Zero))
            {
                throw new InputException(string.Create(CultureInfo.InvariantCulture,
                    $"Quantised weight {Shape}: the group at {At(i, Groups)} has the scale {values[i].Scale} and the "
                        + $"zero {values[i].Zero}; it needs a scale other than 0, and both finite."));
            }
        }
        Backend.Upload(grids, values);
    }

    /// <summary>ŵ, row-major [out, in]: the very floats that products decode.</summary>
    public float[] Dequantize()
    {
        var (codes, values) = (Codes(), Grids());
        var weight = new float[codes.Length];
        for (var i = 0; i < weight.Length; i++)
        {
            weight[i] = values[i / Format.GroupSize].Value(codes[i]);
        }
        return weight;
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Format} {Shape}";

    bool IWeight.IsQuantized => true;

    string IWeight.Form => Format.ToString();

    void IWeight.AppendTo(IncrementalHash hash) => AppendTo(hash, Grids());

    /// <summary>Appends the packed codes, and then grids that may be others than its own.</summary>
    /// <param name="values">[out, in / g]</param>
    internal void AppendTo(IncrementalHash hash, ReadOnlySpan<GroupGrid> values)
    {
        hash.AppendData(Packed());
        hash.AppendData(MemoryMarshal.AsBytes(values));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        packed.Dispose();
        grids.Dispose();
    }

    private static string At(int index, int columns) => $"[{index / columns}, {index % columns}]";

    private void RequireCount(string what, int count, int needed)
    {
        if (count != needed)
        {
            throw new ShapeMismatchException(
                $"Quantised weight {Shape}, {Format}: needs {needed} {what}, got {count}.");
        }
    }
}
