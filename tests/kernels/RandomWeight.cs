using LoraScratch.Kernels;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// A packed weight of random codes, scales and zeros, and what it stands for in double.
/// </summary>
internal sealed class RandomWeight
{
    public RandomWeight(int outFeatures, int inFeatures, int bits, int groupSize, int seed = 1)
    {
        var random = new Random(HashCode.Combine(outFeatures, inFeatures, bits, groupSize, seed));
        (OutFeatures, InFeatures, Bits, GroupSize) = (outFeatures, inFeatures, bits, groupSize);
        Codes = new byte[outFeatures * inFeatures];
        for (var i = 0; i < Codes.Length; i++)
        {
            Codes[i] = (byte)random.Next(1 << bits);
        }
        Grids = new GroupGrid[Codes.Length / groupSize];
        for (var i = 0; i < Grids.Length; i++)
        {
            Grids[i] = new GroupGrid((0.2f + random.NextSingle()) / (1 << bits),
                (1 << bits) * (1.5f * random.NextSingle() - 0.25f));
        }
        Values =
            [.. Codes.Select((code, i) => Grids[i / groupSize].Scale * (code - (double)Grids[i / groupSize].Zero))];
    }

    public int OutFeatures { get; }

    public int InFeatures { get; }

    public int Bits { get; }

    public int GroupSize { get; }

    /// <summary>[out, in]</summary>
    public byte[] Codes { get; }

    /// <summary>[out, in / g]</summary>
    public GroupGrid[] Grids { get; }

    /// <summary>ŵ [out, in]</summary>
    public double[] Values { get; }

    /// <summary>On a device, [out, in].</summary>
    public QuantizedMatrix On(IBackend backend)
    {
        var bytes = new byte[PackedCodes.Bytes(Codes.Length, Bits)];
        PackedCodes.Pack(bytes, Codes, Bits);
        var codes = backend.Allocate<byte>(bytes.Length);
        backend.Upload<byte>(codes, bytes);
        var grids = backend.Allocate<GroupGrid>(Grids.Length);
        backend.Upload<GroupGrid>(grids, Grids);
        return new QuantizedMatrix(codes, grids, OutFeatures, InFeatures, Bits, GroupSize);
    }
}
