using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text.Encodings.Web;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Kernels;
using LoraScratch.Lora.Adapters;

namespace LoraScratch.Lora.Training;

/// <summary>
/// What training.json says about where a result is from, so that it can be made again: the hashes
/// of data and base, versions, device, the command, and the hash of the weights that came of it.
/// </summary>
/// <param name="Format">Of this record; see <see cref="CurrentFormat"/>.</param>
/// <param name="Version">Of the program.</param>
/// <param name="Runtime">Of .NET, whose mathematics the program uses.</param>
/// <param name="Device">In words, with the number of threads, on which nothing depends.</param>
/// <param name="Arithmetic"><see cref="RunIdentity.Arithmetic"/></param>
/// <param name="Base"><see cref="RunInputs.Weights"/></param>
/// <param name="Data"><see cref="RunInputs.Texts"/></param>
/// <param name="Command">
/// The words of the command line that decide the result; null where a program of its own trained.
/// </param>
/// <param name="Result">SHA-256 of the file of weights, by its name.</param>
internal sealed record RunProvenance(int Format, string Version, string Runtime, string Device, string Arithmetic,
    string Base, IReadOnlyDictionary<string, ExamplesIdentity> Data, IReadOnlyList<string>? Command,
    IReadOnlyDictionary<string, string> Result)
{
    /// <summary>The key of training.json that it stands under.</summary>
    public const string Key = "provenance";

    /// <summary>The only format that there is.</summary>
    public const int CurrentFormat = 1;

    private static readonly JsonSerializerOptions Json = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>The version of this program.</summary>
    public static string CurrentVersion { get; } =
        typeof(RunProvenance).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!
            .InformationalVersion.Split('+')[0];

    /// <summary>Of a run that has ended here, with its weights in a folder.</summary>
    /// <param name="identity">Of the run.</param>
    /// <param name="backend">That computed it.</param>
    /// <param name="command">As <see cref="Command"/>.</param>
    /// <param name="folder">Adapter or model.</param>
    public static RunProvenance Of(RunIdentity identity, IBackend backend, IReadOnlyList<string>? command,
        string folder) => new(CurrentFormat, CurrentVersion, RuntimeInformation.FrameworkDescription,
            backend.Description, identity.Arithmetic, identity.Weights, identity.Texts, command, HashesIn(folder));

    /// <summary>As training.json has it.</summary>
    public JsonElement ToJson() => JsonSerializer.SerializeToElement(this, Json);

    /// <summary>
    /// SHA-256 of the file of weights in a folder, by its name; none where the file is missing.
    /// </summary>
    public static IReadOnlyDictionary<string, string> HashesIn(string folder)
    {
        var hashes = new Dictionary<string, string>();
        foreach (var name in (string[])[PeftAdapter.WeightsName, Checkpoint.FileName])
        {
            var path = Path.Combine(folder, name);
            if (File.Exists(path))
            {
                using var file = File.OpenRead(path);
                hashes[name] = Convert.ToHexStringLower(SHA256.HashData(file));
            }
        }
        return hashes;
    }

    /// <summary>What is not as it was recorded, the options left aside.</summary>
    /// <param name="now">What would be computed now.</param>
    public IEnumerable<RunDifference> DifferencesFrom(RunIdentity now)
    {
        foreach (var difference in now.Inputs.DifferencesFrom(new RunInputs(Base, Data)))
        {
            yield return difference;
        }
        var (was, here) = ($"{Version} on {Runtime}", $"{CurrentVersion} on {RuntimeInformation.FrameworkDescription}");
        if (was != here)
        {
            yield return new(RunPart.Version, $"it was trained by {was}, and this is {here}",
                "Take the version that it was trained by");
        }
        if (RunIdentity.OfArithmetic(Arithmetic, now.Arithmetic) is { } rounding)
        {
            yield return rounding;
        }
    }

    /// <summary>Reads it from the training.json of a folder.</summary>
    /// <param name="path">Of the file, for messages.</param>
    /// <param name="root">What is in it.</param>
    /// <exception cref="InputException">
    /// There is none, it is damaged, or of another version.
    /// </exception>
    public static RunProvenance Read(string path, JsonElement root)
    {
        if (root.ValueKind != JsonValueKind.Object || !root.TryGetProperty(Key, out var found))
        {
            throw new InputException($"{path}: has no \"{Key}\": an older version, or another program, wrote it, and "
                + "it does not say from which data and weights the run began. Train again to have it said.");
        }
        if (found.ValueKind == JsonValueKind.Object && found.TryGetProperty("format", out var format)
            && format.ValueKind == JsonValueKind.Number && format.GetDouble() != CurrentFormat)
        {
            throw new InputException($"{path}: \"{Key}\" has format {format}, and this version knows "
                + $"{CurrentFormat}. Take the version of the program that wrote it.");
        }
        try
        {
            return found.Deserialize<RunProvenance>(Json) ?? throw new JsonException("It is null.");
        }
        catch (JsonException e)
        {
            throw new InputException($"{path}: \"{Key}\" is damaged: {JsonFile.Cut(JsonFile.Reason(e), 200)}");
        }
    }
}
