using System.Runtime.CompilerServices;
using ILGPU;
using ILGPU.Backends.EntryPoints;
using ILGPU.Backends.OpenCL;

namespace LoraScratch.Kernels.Gpu;

/// <summary>What the OpenCL C that ILGPU 1.5.3 generates lacks.</summary>
internal static class OpenCLText
{
    private const string GlobalFence = "CLK_GLOBAL_MEM_FENCE", LocalFence = "CLK_LOCAL_MEM_FENCE";

    /// <summary>
    /// A barrier makes visible what its flags name, and ILGPU's name global memory alone, while the
    /// kernels here exchange what lies in local memory. Many drivers do both whatever is asked; the
    /// standard does not promise it.
    /// </summary>
    /// <param name="source">A kernel's text.</param>
    public static string WithLocalFences(string source) =>
        source.Replace(GlobalFence, $"{LocalFence} | {GlobalFence}", StringComparison.Ordinal);

    /// <summary>The kernel with that text.</summary>
    public static CLCompiledKernel WithLocalFences(Context context, CLCompiledKernel kernel) =>
        new(context, EntryPoint(kernel), kernel.Info, WithLocalFences(kernel.Source), kernel.CVersion);

    /// <summary>
    /// A kernel is made of it, and ILGPU, whose constructor is public, keeps it to itself.
    /// </summary>
    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "get_EntryPoint")]
    private static extern SeparateViewEntryPoint EntryPoint(CLCompiledKernel kernel);
}
