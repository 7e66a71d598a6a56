namespace LoraScratch.Kernels;

/// <summary>
/// A device or its driver failed in the midst of the work, or refused it: it was lost, or had no
/// memory for a kernel.
/// </summary>
/// <param name="device">As <see cref="IBackend.Description"/> says it.</param>
/// <param name="work">What failed: "the kernel SoftmaxKernel".</param>
/// <param name="code">The driver's code, or what it says.</param>
/// <param name="innerException">What the driver's library threw.</param>
public sealed class DeviceException(string device, string work, string code, Exception? innerException = null)
    : Exception($"{device}: {work} failed with {code}. {Advice(code)}", innerException)
{
    /// <summary>Driver interface and device.</summary>
    public string Device { get; } = device;

    /// <summary>
    /// The kernel, or the copy, that failed. A driver may tell of a kernel's failure only when it
    /// is waited for.
    /// </summary>
    public string Work { get; } = work;

    /// <summary>The driver's code with its number, or what it says.</summary>
    public string Code { get; } = code;

    private static string Advice(string code) =>
        code.Contains("MEM", StringComparison.Ordinal) || code.Contains("OUT_OF_RESOURCES", StringComparison.Ordinal)
            ? "The device may have no memory left: a smaller batch or maximum length needs less; other programs may "
                + "hold some of it."
            : "Try again; where it fails again, compute on the CPU, or update the device's driver.";
}
