using System.Text.Json;
using LoraScratch.Engine;

namespace LoraScratch.Lora.Hub;

/// <summary>
/// What the hub says about a revision. Its file names are looked up and never followed: what is
/// downloaded are names that this program knows.
/// </summary>
/// <param name="Commit">40 hexadecimal digits.</param>
/// <param name="Files">The names of all files.</param>
internal sealed record HubListing(string Commit, IReadOnlySet<string> Files)
{
    /// <summary>Reads {"sha": …, "siblings": [{"rfilename": …}, …]}.</summary>
    /// <exception cref="InputException">It is something else.</exception>
    public static HubListing Parse(HubSettings settings, byte[] json)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            if (document.RootElement is { ValueKind: JsonValueKind.Object } root
                && Text(root, "sha") is { } commit && HubName.IsCommit(commit)
                && root.TryGetProperty("siblings", out var files) && files.ValueKind == JsonValueKind.Array)
            {
                return new HubListing(commit, files.EnumerateArray().Select(file => Text(file, "rfilename"))
                    .OfType<string>().ToHashSet(StringComparer.Ordinal));
            }
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // no JSON, or half a surrogate pair in a string: told below
        }
        throw HubErrors.NoHub(settings, "its answer about a model has no commit and no list of files");
    }

    private static string? Text(JsonElement element, string name) => element.ValueKind == JsonValueKind.Object
        && element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String
        ? value.GetString() : null;
}
