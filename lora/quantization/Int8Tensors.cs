using System.Globalization;
using System.Runtime.InteropServices;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Kernels;

namespace LoraScratch.Lora.Quantization;

/// <summary>
/// A weight of signed bytes in a safetensors file, two tensors in place of the one under the
/// layer's path:
/// <code>
/// path.weight.codes    I8   [out, in]   row-major, −127 to 127
/// path.weight.scales   F32  [out]       α
/// </code>
/// The file has the codes as a reader expects them; into panels they come when they are read.
/// </summary>
internal static class Int8Tensors
{
    private const string Codes = ".weight.codes", Scales = ".weight.scales";

    /// <summary>The two tensors of a weight.</summary>
    /// <param name="weight">Ŵ [out, in]; its values are copied now.</param>
    public static IEnumerable<TensorToWrite> Of(string path, ChannelQuantizedWeight weight) =>
    [
        TensorToWrite.Bytes(path + Codes, DType.I8, [weight.OutFeatures, weight.InFeatures],
            MemoryMarshal.AsBytes(weight.Codes().AsSpan()).ToArray()),
        TensorToWrite.Floats(path + Scales, [weight.OutFeatures], weight.Scales()),
    ];

    /// <summary>Whether a tensor's name is one of the two of such a weight, and whose.</summary>
    public static bool TryParse(string name, out string path)
    {
        var end = new[] { Codes, Scales }.FirstOrDefault(end => name.EndsWith(end, StringComparison.Ordinal));
        path = end is null ? "" : name[..^end.Length];
        return end is not null;
    }

    /// <summary>Reads a weight.</summary>
    /// <param name="outFeatures">out</param>
    /// <param name="inFeatures">in</param>
    /// <exception cref="InputException">
    /// A tensor is missing, of another shape or type, or a code or scale is out of range.
    /// </exception>
    public static ChannelQuantizedWeight Read(Checkpoint files, string path, int outFeatures, int inFeatures,
        IBackend? backend = null)
    {
        ChannelQuantizedWeight.CheckInput(path, inFeatures);
        Require(files, path + Codes, DType.I8, outFeatures, inFeatures);
        Require(files, path + Scales, DType.F32, outFeatures);
        var codes = MemoryMarshal.Cast<byte, sbyte>(files.FileOf(path + Codes).Bytes(path + Codes));
        var scales = MemoryMarshal.Cast<byte, float>(files.FileOf(path + Scales).Bytes(path + Scales));
        if (codes.IndexOf(sbyte.MinValue) is var at and >= 0)
        {
            throw new InputException($"{files.Path}: the code of input {at % inFeatures} and output "
                + $"{at / inFeatures} of '{path}' is {sbyte.MinValue}; codes are from {-Int8Matrix.LargestCode} to "
                + $"{Int8Matrix.LargestCode}. Copy or write the file again.");
        }
        for (var j = 0; j < scales.Length; j++)
        {
            if (!float.IsFinite(scales[j]) || scales[j] <= 0)
            {
                throw new InputException(string.Create(CultureInfo.InvariantCulture, $"{files.Path}: output {j} of "
                    + $"'{path}' has the scale {scales[j]}; it needs a positive one. Copy or write the file again."));
            }
        }
        return new ChannelQuantizedWeight(outFeatures, inFeatures, codes, scales, backend);
    }

    private static void Require(Checkpoint files, string name, DType dtype, params long[] shape)
    {
        var info = files.FileOf(name).Tensors[name];
        if (info.DType != dtype || !info.Shape.SequenceEqual(shape))
        {
            throw new InputException($"{files.Path}: tensor {info} should be {dtype} [{string.Join(", ", shape)}] "
                + "for a dynamically quantised layer. Do config.json and weights belong together?");
        }
    }
}
