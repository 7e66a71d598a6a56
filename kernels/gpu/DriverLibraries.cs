using System.Reflection;
using System.Runtime.InteropServices;
using ILGPU;
using ILGPU.Runtime.Cuda;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// The libraries of the drivers. ILGPU imports "cuda" and "OpenCL", which the runtime looks for as
/// libcuda.so and libOpenCL.so: names that come with development packages. Drivers themselves
/// install libcuda.so.1 and libOpenCL.so.1, so those are tried first, and no symbolic link is
/// needed.
/// </summary>
internal static unsafe class DriverLibraries
{
    static DriverLibraries()
    {
        try
        {
            NativeLibrary.SetDllImportResolver(typeof(Context).Assembly, (name, assembly, path) => name switch
            {
                "cuda" => Load(GpuKind.Cuda, assembly),
                "OpenCL" => Load(GpuKind.OpenCL, assembly),
                _ => 0,                                                             // the runtime's own search
            });
        }
        catch (InvalidOperationException)
        {
            // An assembly takes one resolver, and ILGPU has set its own, which finds the libraries of the Windows
            // Subsystem for Linux.
        }
    }

    /// <summary>
    /// Why the driver of a kind does not work, as a sentence; null where it does.
    /// </summary>
    public static string? Problem(GpuKind kind)
    {
        var library = Load(kind, typeof(Context).Assembly);
        if (library == 0)
        {
            return $"The driver's library was not found ({string.Join(" or ", Names(kind))}).";
        }
        return kind == GpuKind.Cuda ? CudaProblem(library) : OpenCLProblem(library);
    }

    private static string? CudaProblem(nint library)
    {
        if (!NativeLibrary.TryGetExport(library, "cuInit", out var function))
        {
            return "The library has no function cuInit: it is no CUDA driver.";
        }
        var error = (CudaError)((delegate* unmanaged<uint, int>)function)(0);
        return error switch
        {
            CudaError.CUDA_SUCCESS => null,
            CudaError.CUDA_ERROR_NO_DEVICE => "The driver works, but reports no device.",
            _ => $"The driver does not start: {error}.",
        };
    }

    private static string? OpenCLProblem(nint library)
    {
        if (!NativeLibrary.TryGetExport(library, "clGetPlatformIDs", out var function))
        {
            return "The library has no function clGetPlatformIDs: it is no OpenCL loader.";
        }
        const int noPlatform = -1001;                                               // CL_PLATFORM_NOT_FOUND_KHR
        var platforms = 0u;
        var error = ((delegate* unmanaged<uint, nint*, uint*, int>)function)(0, null, &platforms);
        return error is 0 or noPlatform
            ? platforms > 0 ? null : "OpenCL's loader is installed, but no platform (the driver of a device)."
            : $"OpenCL does not start: error {error}.";
    }

    private static nint Load(GpuKind kind, Assembly assembly)
    {
        foreach (var name in Names(kind))
        {
            if (NativeLibrary.TryLoad(name, assembly, null, out var library))
            {
                return library;
            }
        }
        return 0;
    }

    private static string[] Names(GpuKind kind) => (kind, OperatingSystem.IsWindows(), OperatingSystem.IsMacOS()) switch
    {
        (GpuKind.Cuda, true, _) => ["nvcuda.dll"],
        (GpuKind.Cuda, _, _) => ["libcuda.so.1", "libcuda.so"],
        (_, true, _) => ["OpenCL.dll"],
        (_, _, true) => ["/System/Library/Frameworks/OpenCL.framework/OpenCL"],
        _ => ["libOpenCL.so.1", "libOpenCL.so"],
    };
}
