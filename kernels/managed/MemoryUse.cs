namespace LoraScratch.Kernels;

/// <summary>What a backend's pool holds, in bytes.</summary>
/// <param name="Reserved">Taken from the system.</param>
/// <param name="InUse">Lent to buffers now.</param>
/// <param name="PeakInUse">
/// The most that was lent at once, since the pool began or it was forgotten.
/// </param>
internal readonly record struct MemoryUse(long Reserved, long InUse, long PeakInUse);
