using System.Security.Cryptography;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;

namespace LoraScratch.Engine;

/// <summary>
/// The weight of a layer, however it is stored: in float32 a <see cref="Parameter"/>, in whole
/// numbers a <see cref="GroupQuantizedWeight"/> or a <see cref="ChannelQuantizedWeight"/>. By it a
/// model counts its weights, measures, hashes and frees them.
/// </summary>
public interface IWeight : IDisposable
{
    /// <summary>[out, in]; of an <see cref="Embedding"/> [count, width].</summary>
    Shape Shape { get; }

    /// <summary>The device that holds it.</summary>
    IBackend Backend { get; }

    /// <summary>Memory on the device, in bytes.</summary>
    long Bytes { get; }

    /// <summary>
    /// Whether it is a constant of whole numbers: no <see cref="Parameter"/>, and never trained.
    /// </summary>
    bool IsQuantized { get; }

    /// <summary>
    /// Bits and group size, where a scale and a zero belong to each group of inputs: an update of
    /// inputs that are pooled over the groups can be merged into the zeros. Otherwise null.
    /// </summary>
    internal QuantizationFormat? Format => null;

    /// <summary>How its values are stored, in words: "INT4, groups of 32".</summary>
    internal string Form { get; }

    /// <summary>
    /// Appends its bytes as they are stored, numbers little-endian: the float32 values, or codes
    /// and then what gives them their values.
    /// </summary>
    internal void AppendTo(IncrementalHash hash);
}
