using System.Globalization;
using System.Runtime.InteropServices;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Kernels;

namespace LoraScratch.Lora.Quantization;

/// <summary>
/// A quantised weight in a safetensors file, three tensors in place of the one under the layer's
/// path:
/// <code>
/// path.weight.codes    U8   [out, in · bits / 8]   as they lie in memory, see PackedCodes
/// path.weight.scales   F32  [out, in / g]          α
/// path.weight.zeros    F32  [out, in / g]          ζ
/// </code>
/// Bits and group size are the model's and stand in its config.
/// </summary>
internal static class QuantizedTensors
{
    private const string Codes = ".weight.codes", Scales = ".weight.scales", Zeros = ".weight.zeros";

    /// <summary>The three tensors of a weight.</summary>
    /// <param name="weight">Ŵ [out, in]; its values are copied now.</param>
    public static IEnumerable<TensorToWrite> Of(string path, GroupQuantizedWeight weight)
    {
        var grids = weight.Grids();
        var packed = weight.Packed();
        long[] shape = [weight.OutFeatures, weight.Groups];
        return
        [
            TensorToWrite.Bytes(path + Codes, DType.U8, [weight.OutFeatures, packed.Length / weight.OutFeatures],
                packed),
            TensorToWrite.Floats(path + Scales, shape, Array.ConvertAll(grids, grid => grid.Scale)),
            TensorToWrite.Floats(path + Zeros, shape, Array.ConvertAll(grids, grid => grid.Zero)),
        ];
    }

    /// <summary>
    /// Whether a tensor's name is one of the three of a quantised weight, and whose.
    /// </summary>
    public static bool TryParse(string name, out string path)
    {
        var end = new[] { Codes, Scales, Zeros }.FirstOrDefault(end => name.EndsWith(end, StringComparison.Ordinal));
        path = end is null ? "" : name[..^end.Length];
        return end is not null;
    }

    /// <summary>Reads a weight.</summary>
    /// <param name="format">Bits and group size, from the model's config.</param>
    /// <param name="outFeatures">out</param>
    /// <param name="inFeatures">in</param>
    /// <exception cref="InputException">
    /// A tensor is missing, of another shape or type, or a scale or zero is not finite.
    /// </exception>
    public static GroupQuantizedWeight Read(Checkpoint files, string path, QuantizationFormat format, int outFeatures,
        int inFeatures, IBackend? backend = null)
    {
        format.CheckInput(path, inFeatures);
        var groups = inFeatures / format.GroupSize;
        Require(files, path + Codes, DType.U8, outFeatures, PackedCodes.Bytes(inFeatures, format.Bits), format);
        Require(files, path + Scales, DType.F32, outFeatures, groups, format);
        Require(files, path + Zeros, DType.F32, outFeatures, groups, format);
        var scales = MemoryMarshal.Cast<byte, float>(files.FileOf(path + Scales).Bytes(path + Scales));
        var zeros = MemoryMarshal.Cast<byte, float>(files.FileOf(path + Zeros).Bytes(path + Zeros));
        var grids = new GroupGrid[scales.Length];
        for (var i = 0; i < grids.Length; i++)
        {
            if (!float.IsFinite(scales[i]) || scales[i] == 0 || !float.IsFinite(zeros[i]))
            {
                throw new InputException(string.Create(CultureInfo.InvariantCulture,
                    $"{files.Path}: group {i % groups} of output {i / groups} of '{path}' has the scale {scales[i]} "
                        + $"and the zero {zeros[i]}; it needs a scale other than 0, and both finite. Copy or write "
                        + $"the file again."));
            }
            grids[i] = new GroupGrid(scales[i], zeros[i]);
        }
        return GroupQuantizedWeight.FromPacked(format, outFeatures, inFeatures,
            files.FileOf(path + Codes).Bytes(path + Codes), grids, backend);
    }

    private static void Require(Checkpoint files, string name, DType dtype, long rows, long columns,
        QuantizationFormat format)
    {
        var info = files.FileOf(name).Tensors[name];
        if (info.DType != dtype || !info.Shape.SequenceEqual([rows, columns]))
        {
            throw new InputException($"{files.Path}: tensor {info} should be {dtype} [{rows}, {columns}] for "
                + $"{format}. Do config.json and weights belong together?");
        }
    }
}
