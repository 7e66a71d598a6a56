namespace LoraScratch.Kernels.Gpu;

/// <summary>A kernel as the driver of a device would be given it.</summary>
/// <param name="Kernel">Its type, such as "MapKernel&lt;Gelu&gt;".</param>
/// <param name="Text">PTX, or OpenCL C.</param>
internal sealed record KernelText(string Kernel, string Text);
