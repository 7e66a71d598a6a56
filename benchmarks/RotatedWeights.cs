using LoraScratch.Engine;
using LoraScratch.Kernels;

namespace LoraScratch.Benchmarks;

/// <summary>
/// Square weights in three forms, so many of each that no cache holds them: every call takes the
/// next one.
/// </summary>
internal sealed class RotatedWeights : IDisposable
{
    private readonly IBackend backend;
    private readonly List<Matrix> floats = [];
    private readonly List<QuantizedMatrix> packed = [];
    private readonly Lazy<List<ChannelQuantizedWeight>> bytes;
    private readonly DeviceBuffer<float> sum;
    private int nextFloat, nextPacked, nextBytes, nextRead;

    /// <param name="backend">Where to put them.</param>
    /// <param name="format">Of the packed ones.</param>
    /// <param name="width">Of each, in both directions.</param>
    /// <param name="leastBytes">What each form takes at least.</param>
    public RotatedWeights(IBackend backend, QuantizationFormat format, int width, long leastBytes)
    {
        this.backend = backend;
        sum = backend.Allocate<float>(1);
        var random = new Random(1);
        var count = width * width;
        var values = new float[count];
        for (var i = 0; i < count; i++)
        {
            values[i] = random.NextSingle() - 0.5f;
        }
        var codes = new byte[PackedCodes.Bytes(count, format.Bits)];
        random.NextBytes(codes);
        var grids = new GroupGrid[count / format.GroupSize];
        Array.Fill(grids, new GroupGrid(1f / format.LargestCode, 0.5f * format.LargestCode));
        for (var floatBytes = 0L; floatBytes < leastBytes; floatBytes += 4L * count)
        {
            var buffer = backend.Allocate<float>(count);
            backend.Upload<float>(buffer, values);
            floats.Add(new Matrix(buffer, width, width));
        }
        for (var packedBytes = 0L; packedBytes < leastBytes; packedBytes += (long)(format.BitsPerWeight * count / 8))
        {
            var (codeBuffer, gridBuffer) =
                (backend.Allocate<byte>(codes.Length), backend.Allocate<GroupGrid>(grids.Length));
            backend.Upload<byte>(codeBuffer, codes);
            backend.Upload<GroupGrid>(gridBuffer, grids);
            packed.Add(new QuantizedMatrix(codeBuffer, gridBuffer, width, width, format.Bits, format.GroupSize));
        }
        bytes = new(() =>
        {
            var channels = ChannelQuantizedWeight.Quantize(values, width, width, backend);
            var (signed, scales) = (channels.Codes(), channels.Scales());
            var copies = new List<ChannelQuantizedWeight> { channels };
            while (copies.Count * channels.Bytes < leastBytes)
            {
                copies.Add(new ChannelQuantizedWeight(width, width, signed, scales, backend));
            }
            return copies;
        });
    }

    /// <summary>The bytes of one in floats.</summary>
    public double FloatBytes => 4.0 * floats[0].Rows * floats[0].Columns;

    /// <summary>In floats.</summary>
    public Matrix NextFloat() => floats[nextFloat++ % floats.Count];

    /// <summary>In packed codes.</summary>
    public QuantizedMatrix NextPacked() => packed[nextPacked++ % packed.Count];

    /// <summary>In whole numbers of 8 bits, which are made when the first is asked for.</summary>
    public Int8Matrix NextBytes() => bytes.Value[nextBytes++ % bytes.Value.Count].Matrix;

    /// <summary>Reads one in floats and does nothing else.</summary>
    public void Read() => backend.Sum(sum, 1, floats[nextRead++ % floats.Count].Buffer);

    /// <summary>Gives the memory back.</summary>
    public void Dispose()
    {
        floats.ForEach(matrix => matrix.Buffer.Dispose());
        foreach (var matrix in packed)
        {
            matrix.Codes.Dispose();
            matrix.Grids.Dispose();
        }
        sum.Dispose();
    }
}
