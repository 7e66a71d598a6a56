using System.Runtime.InteropServices;
using System.Security.Cryptography;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora;

/// <summary>A weight's values from before an update was merged into it.</summary>
internal sealed class OriginalWeight(Parameter weight)
{
    private Tensor? kept;

    /// <summary>Copies them, before the weight is changed.</summary>
    public void Keep()
    {
        kept = Tensor.Zeros(weight.Shape, weight.Backend);
        weight.Backend.Copy(kept.Data, weight.Data);
    }

    /// <summary>Puts them back, bit for bit.</summary>
    public void Restore() => weight.Backend.Copy(weight.Data, kept!.Data);

    /// <summary>Gives the copy up.</summary>
    public void Drop()
    {
        kept?.Dispose();
        kept = null;
    }

    /// <summary>Appends the original values, whether the weight has been changed or not.</summary>
    public void AppendTo(IncrementalHash hash) =>
        hash.AppendData(MemoryMarshal.AsBytes<float>((kept ?? weight).ToArray()));
}
