using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Experiments;
using LoraScratch.Lora.Merging;
using LoraScratch.Lora.Training;

namespace LoraScratch.Lora.Reporting;

/// <summary>
/// Reads what a report shows from the folders that runs, experiments and merges left.
/// </summary>
internal static class ReportReader
{
    private const string ResultsName = "results.json";

    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>Reads the folders.</summary>
    /// <param name="folders">At least one.</param>
    /// <param name="note">Is told what is left out.</param>
    /// <exception cref="InputException">
    /// One is missing, damaged, of another version, or nothing of the kind.
    /// </exception>
    public static ReportData Read(IReadOnlyList<string> folders, Action<string> note)
    {
        var data = new ReportData([], [], [], []);
        foreach (var folder in folders)
        {
            if (File.Exists(Path.Combine(folder, RunFiles.CertificateName)))
            {
                data = data with
                {
                    Certificates = [.. data.Certificates, (RunHistories.NameOf(folder), MergeCertificate.Read(folder))],
                };
                continue;
            }
            RequireRun(folder);
            var histories = RunHistories.Read(folder, folders, note);
            data = data with { Curves = [.. data.Curves, .. histories.Select(history => history.Run.Curve)] };
            data = RunHistories.IsExperiment(folder)
                ? data with { Experiments = [.. data.Experiments, Experiment(folder)] }
                : data with
                {
                    Runs = [.. data.Runs, new ReportedRun(histories[0].Run.Curve.Name, RunSummary.Read(folder),
                        histories[0].Run.Curve)],
                };
        }
        return data;
    }

    /// <summary>Whether a folder is that of one training.</summary>
    public static bool IsRun(string folder) => !RunHistories.IsExperiment(folder)
        && !File.Exists(Path.Combine(folder, RunFiles.CertificateName));

    private static void RequireRun(string folder)
    {
        if (Directory.Exists(folder) && !RunHistories.IsExperiment(folder)
            && !File.Exists(Path.Combine(folder, RunFiles.OptionsName)))
        {
            throw new InputException($"{folder}: holds no {RunFiles.OptionsName}, as a training run leaves it, no "
                + $"{ExperimentFolder.IdentityName}, as a comparison or a sweep does, and no "
                + $"{RunFiles.CertificateName}, as a merge does. Name a folder that one of these left.");
        }
    }

    private static ReportedExperiment Experiment(string folder)
    {
        var path = Path.Combine(folder, ResultsName);
        return new(RunHistories.NameOf(folder),
            File.Exists(path) ? JsonFile.Read(path, root => Methods(path, root)) : [], RunHistories.Records(folder));
    }

    private static IReadOnlyList<ReportedMethod> Methods(string path, JsonElement root)
    {
        try
        {
            return root.ValueKind == JsonValueKind.Object && root.TryGetProperty("methods", out var methods)
                ? methods.Deserialize<List<ReportedMethod>>(Json)! : throw new JsonException("It has no methods.");
        }
        catch (JsonException e)
        {
            throw new InputException($"{path}: is damaged: {JsonFile.Cut(JsonFile.Reason(e), 200)}");
        }
    }
}
