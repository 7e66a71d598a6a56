namespace LoraScratch.Lora.Hub;

/// <summary>The files of a model or an adapter in the cache.</summary>
/// <param name="Name">What was asked for.</param>
/// <param name="Commit">What its revision is.</param>
/// <param name="Folder">Where the files are.</param>
internal sealed record HubSnapshot(HubName Name, string Commit, string Folder)
{
    /// <summary>What was downloaded for it now; null: everything was there.</summary>
    public long? DownloadedBytes { get; init; }

    /// <summary>Bytes of its files.</summary>
    public long Bytes => new DirectoryInfo(Folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(SizeOf);

    /// <summary>The commit as people write it.</summary>
    public string ShortCommit => Commit[..12];

    /// <summary>Bytes of a file, or of what a link leads to.</summary>
    internal static long SizeOf(FileInfo file) =>
        file.LinkTarget is null ? file.Length
            : file.ResolveLinkTarget(returnFinalTarget: true) is FileInfo { Exists: true } target ? target.Length : 0;
}
