namespace LoraScratch.Kernels.Cpu;

/// <summary>The unit in which memory is fetched.</summary>
internal static class CacheLine
{
    /// <summary>Floats in 64 bytes.</summary>
    public const int Floats = 16;
}
