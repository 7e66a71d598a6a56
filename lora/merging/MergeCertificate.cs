using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Merging;

/// <summary>
/// What a merge keeps of an adapter: how much of each update the output's type takes in, and how
/// far the merged model's answers are from the adapter's.
/// </summary>
/// <param name="Format">Of this record; see <see cref="CurrentFormat"/>.</param>
/// <param name="Type">Of the merged weights, as safetensors calls it: "BF16".</param>
/// <param name="Layers">Every update.</param>
/// <param name="Probes">What the answers are compared on, in words.</param>
/// <param name="LogitChange">The largest change of a logit on them.</param>
internal sealed record MergeCertificate(int Format, string Type, IReadOnlyList<LayerCertificate> Layers,
    string Probes, double LogitChange)
{
    /// <summary>The only format that there is.</summary>
    public const int CurrentFormat = 1;

    /// <summary>Beyond these a merge is refused.</summary>
    public const double MaxLogitChange = 0.05, MaxErased = 0.1;

    private static readonly JsonSerializerOptions Json = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
        IgnoreReadOnlyProperties = true,
        WriteIndented = true,
    };

    /// <summary>The layer of whose update most is erased.</summary>
    public LayerCertificate Worst => Layers.MaxBy(layer => layer.ErasedShare)!;

    /// <summary>
    /// Why the merged model should not be trusted, without a full stop; null where nothing is
    /// beyond the bounds.
    /// </summary>
    public string? Objection
    {
        get
        {
            var reasons = new List<string>();
            // a logit that is not finite is beyond every bound
            if (!(LogitChange <= MaxLogitChange))
            {
                reasons.Add(string.Create(CultureInfo.InvariantCulture,
                    $"a logit changes by {LogitChange:G3} on {Probes}, {MaxLogitChange} at most"));
            }
            if (Worst.ErasedShare > MaxErased)
            {
                reasons.Add(string.Create(CultureInfo.InvariantCulture, $"{Type} erases {100 * Worst.ErasedShare:F1} % "
                    + $"of the update of {Worst.Path}, {100 * MaxErased:F0} % at most"));
            }
            return reasons.Count == 0 ? null : string.Join("; ", reasons);
        }
    }

    /// <summary>The file's contents.</summary>
    public string ToJson() => JsonSerializer.Serialize(this, Json) + "\n";

    /// <summary>Reads it from a folder that a merge left.</summary>
    /// <exception cref="InputException">
    /// There is none, it is damaged, or of another version.
    /// </exception>
    public static MergeCertificate Read(string folder)
    {
        var path = Path.Combine(folder, RunFiles.CertificateName);
        return JsonFile.Read(path, root =>
        {
            if (root.ValueKind == JsonValueKind.Object && root.TryGetProperty("format", out var format)
                && format.ValueKind == JsonValueKind.Number && format.GetDouble() != CurrentFormat)
            {
                throw new InputException($"{path}: has format {format}, and this version knows {CurrentFormat}. Take "
                    + "the version of the program that wrote it.");
            }
            try
            {
                return root.Deserialize<MergeCertificate>(Json) is { Layers.Count: > 0 } read ? read
                    : throw new JsonException("It has no layers.");
            }
            catch (JsonException e)
            {
                throw new InputException($"{path}: is damaged: {JsonFile.Cut(JsonFile.Reason(e), 200)}");
            }
        }, "A folder that a merge with a certificate left is expected.");
    }
}
