using System.Runtime.Intrinsics.X86;
using LoraScratch.Kernels.Cpu;

namespace LoraScratch.Tests.Kernels;

/// <summary>
/// The code path is chosen when the runtime starts: every kernel test runs again in child processes
/// that may not use the better instruction sets.
/// </summary>
[Parallelizable]
public class InstructionSetTests
{
    /// <summary>0: the runtime does without AVX-VNNI.</summary>
    internal const string BytesSwitch = "DOTNET_EnableAVXVNNI";

    private const string ExpectedPath = "LORASCRATCH_EXPECTED_PATH";

    // The tests of kernels, all of which ask for the path by name or take the best one; a GPU has no part in it,
    // and its simulator is slow.
    private const string KernelTests = "(FullyQualifiedName~MatMulTests"
        + "|FullyQualifiedName~.QuantizedProductTests|FullyQualifiedName~KernelTests|FullyQualifiedName~FormulaTests"
        + "|FullyQualifiedName~SumOfProducts|FullyQualifiedName~TranspositionTests|FullyQualifiedName~GuardedProduct"
        + "|FullyQualifiedName~InstructionSetTests.The_backend_takes_the_best_path)&Category!=Simulator&Category!=Gpu";

    [Test]
    public void The_backend_takes_the_best_path()
    {
        var expected = Environment.GetEnvironmentVariable(ExpectedPath)
            ?? (Avx512BW.IsSupported ? "AVX-512" : Avx2.IsSupported ? "AVX2" : "portable SIMD");
        using var backend = new CpuBackend(threads: 2);
        Assert.That(backend.Description, Is.EqualTo($"CPU, {expected}, 2 threads"));
    }

    [TestCase("DOTNET_EnableAVX512", "AVX2")]
    [TestCase("DOTNET_EnableAVX2", "portable SIMD")]
    [TestCase("DOTNET_EnableHWIntrinsic", "portable scalar")]
    public void Kernels_are_right_without(string switchedOff, string expectedPath)
    {
        if (!Avx512BW.IsSupported && switchedOff == "DOTNET_EnableAVX512")
        {
            Assert.Ignore("this machine has no AVX-512 to switch off");
        }
        ChildProcess.RunTests(KernelTests, (switchedOff, "0"), (ExpectedPath, expectedPath));
    }

    /// <summary>
    /// As on a processor that has AVX-512 or AVX2, and no instruction for products of bytes.
    /// </summary>
    [Test]
    public void Integer_products_are_right_without_the_instruction_for_bytes()
    {
        if (!AvxVnni.IsSupported)
        {
            Assert.Ignore("this machine has no AVX-VNNI to switch off");
        }
        ChildProcess.RunTests("FullyQualifiedName~Int8KernelTests", (BytesSwitch, "0"));
    }
}
