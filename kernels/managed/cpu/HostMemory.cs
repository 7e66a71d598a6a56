using System.Runtime.CompilerServices;
using LoraScratch.Kernels.Common;

namespace LoraScratch.Kernels.Cpu;

/// <summary>Floats in the host's memory.</summary>
/// <param name="first">The first one.</param>
internal readonly unsafe struct HostFloats(float* first) : IFloats<HostFloats>
{
    /// <inheritdoc/>
    public static bool IsAtHand => true;

    /// <inheritdoc/>
    public ref float this[int i]
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => ref first[i];
    }

    /// <inheritdoc/>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public HostFloats From(int start) => new(first + start);
}

/// <summary>Whole numbers in the host's memory.</summary>
/// <param name="first">The first one.</param>
internal readonly unsafe struct HostInts(int* first) : IMemory<int>
{
    /// <inheritdoc/>
    public ref int this[int i] => ref first[i];
}
