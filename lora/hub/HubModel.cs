using LoraScratch.Engine;

namespace LoraScratch.Lora.Hub;

/// <summary>
/// Models and adapters by their names on the Hugging Face hub, in the cache that Python's
/// huggingface_hub uses too: what the one has downloaded the other finds.
/// <code>
/// var folder = await HubModel.Get("org/name");
/// using var classifier = TextClassifier.Load(folder);
/// </code>
/// </summary>
/// <remarks>
/// As with Python, HF_HUB_CACHE and HF_HOME say where the cache is, HF_ENDPOINT where the hub is,
/// HF_TOKEN (or the token file) who asks, and HF_HUB_OFFLINE=1 that nothing is downloaded.
/// </remarks>
public static class HubModel
{
    /// <summary>
    /// The folder with the files of a model or an adapter. Where the cache has it nothing is asked
    /// of the hub; else the files that are read here are downloaded: configuration, tokenizer,
    /// safetensors. A download that was cut goes on where it ended, also in another process.
    /// </summary>
    /// <param name="name">ORG/NAME, or ORG/NAME@REVISION.</param>
    /// <param name="revision">A branch, tag or commit; null: that of the name, else main.</param>
    /// <param name="progress">Is told how far the download is; may be null.</param>
    /// <param name="cancellation">Ends the download; what is there is kept.</param>
    /// <returns>The folder; it belongs to the cache, and is not to be written to.</returns>
    /// <exception cref="InputException">
    /// There is no such model or revision, it may not be read with this token, it has no files that
    /// are read here, the hub cannot be reached, or the disk is full; the message says which.
    /// </exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public static async Task<string> Get(string name, string? revision = null,
        IProgress<HubProgress>? progress = null, CancellationToken cancellation = default)
    {
        var parsed = (revision is null ? HubName.Parse(name) : HubName.Of(name, revision))
            ?? throw new InputException($"'{name}'{(revision is null ? "" : $" with revision '{revision}'")} is no "
                + "name on the hub: ORG/NAME or ORG/NAME@REVISION is expected.");
        var snapshot = await new HubPull(HubSettings.FromEnvironment(), progress)
            .Get(parsed, refresh: false, cancellation).ConfigureAwait(false);
        return snapshot.Folder;
    }
}
