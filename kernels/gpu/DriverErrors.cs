using ILGPU;
using ILGPU.Runtime;
using ILGPU.Runtime.Cuda;
using ILGPU.Runtime.OpenCL;

namespace LoraScratch.Kernels.Gpu;

/// <summary>
/// What ILGPU throws where a driver fails, or where a kernel asks for more than a device has.
/// </summary>
internal static class DriverErrors
{
    /// <summary>
    /// Whether an exception tells of the driver or the device, and not of a mistake in this
    /// program.
    /// </summary>
    public static bool IsDriverError(this Exception e) =>
        e is AcceleratorException or CapabilityNotSupportedException or NotSupportedException
        or InternalCompilerException;

    /// <summary>
    /// The driver's code with its number: "CL_OUT_OF_RESOURCES (-5)"; what ILGPU says where there
    /// is none.
    /// </summary>
    public static string Code(this Exception e) => e switch
    {
        CLException openCL => $"{openCL.Error} ({(int)openCL.Error})",
        CudaException cuda => cuda.Error,
        _ => $"'{e.Message.TrimEnd('.')}'",
    };

    /// <summary>Whether the device has no memory left.</summary>
    public static bool IsOutOfMemory(this Exception e) => e switch
    {
        CudaException cuda => cuda.Error == nameof(CudaError.CUDA_ERROR_OUT_OF_MEMORY),
        CLException openCL => openCL.Error is CLError.CL_MEM_OBJECT_ALLOCATION_FAILURE or CLError.CL_OUT_OF_RESOURCES
            or CLError.CL_OUT_OF_HOST_MEMORY or CLError.CL_INVALID_BUFFER_SIZE,
        _ => false,
    };
}
