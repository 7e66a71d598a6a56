namespace LoraScratch.Lora.Hub;

/// <summary>How far a download is.</summary>
/// <param name="File">The file that is being downloaded.</param>
/// <param name="Bytes">Of all files of the model, the bytes that are there.</param>
/// <param name="TotalBytes">The bytes that all of them will have.</param>
/// <param name="IsWaiting">Whether another process downloads the file at this moment.</param>
public readonly record struct HubProgress(string File, long Bytes, long TotalBytes, bool IsWaiting = false);
