using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace LoraScratch.Kernels.Cpu;

/// <summary>The code paths of the CPU backend, the best last.</summary>
internal enum InstructionSet
{
    /// <summary>
    /// System.Numerics.Vector&lt;T&gt; at whatever width the machine has; single numbers where it
    /// has none.
    /// </summary>
    Portable,

    /// <summary>256-bit registers with AVX2 and FMA.</summary>
    Avx2,

    /// <summary>512-bit registers with AVX-512 F, BW and DQ.</summary>
    Avx512,
}

/// <summary>What this processor, as the runtime was allowed to see it, can run.</summary>
internal static class InstructionSets
{
    public static bool IsSupported(this InstructionSet set) => set switch
    {
        InstructionSet.Avx512 =>
            Avx512F.IsSupported && Avx512BW.IsSupported && Avx512DQ.IsSupported && Vector512.IsHardwareAccelerated
            && Avx2.IsSupported && Fma.IsSupported,
        InstructionSet.Avx2 => Avx2.IsSupported && Fma.IsSupported,
        _ => true,
    };

    public static InstructionSet Best => Supported.Last();

    /// <summary>Every path that runs here, the best last.</summary>
    public static IEnumerable<InstructionSet> Supported => Enum.GetValues<InstructionSet>().Where(IsSupported);

    /// <summary>The name for people.</summary>
    public static string Name(this InstructionSet set) => set switch
    {
        InstructionSet.Avx512 => "AVX-512",
        InstructionSet.Avx2 => "AVX2",
        _ => System.Numerics.Vector.IsHardwareAccelerated ? "portable SIMD" : "portable scalar",
    };
}
