using LoraScratch.Engine;
using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Training;

namespace LoraScratch.Lora.Experiments;

/// <summary>
/// Reads how trainings went: of one run from the folder that it left, of an experiment from the
/// records in its folder.
/// </summary>
internal static class RunHistories
{
    /// <summary>
    /// A run; of an experiment its best runs by validation, as many as a picture can have.
    /// </summary>
    /// <param name="path">A folder, or the record of one run of an experiment.</param>
    /// <param name="given">All that are read, so that each gets a name of its own.</param>
    /// <param name="note">Is told what is left out.</param>
    /// <exception cref="InputException">
    /// There is nothing, it is damaged, or no run has ended yet.
    /// </exception>
    public static IReadOnlyList<(string Path, RunHistory Run)> Read(string path, IReadOnlyList<string> given,
        Action<string> note)
    {
        if (File.Exists(path))
        {
            var (folder, file) = (Path.GetDirectoryName(path) ?? "", Path.GetFileName(path));
            return [(path, new(CurveOf(folder, file, RecordOf(folder, file)), null))];
        }
        if (!Directory.Exists(path))
        {
            throw new InputException($"{path}: there is no folder of that name. Name one that a run left.");
        }
        var name = NameOf(path);
        name = given.Count(other => NameOf(other) == name) > 1 ? path : name;
        return IsExperiment(path) ? Best(path, given.Count == 1 ? "" : $"{name}/", note)
            : [(path, RunHistory.Read(path, name))];
    }

    /// <summary>Whether a folder is that of an experiment.</summary>
    public static bool IsExperiment(string path) => File.Exists(Path.Combine(path, ExperimentFolder.IdentityName));

    /// <summary>Every run of an experiment that has ended.</summary>
    /// <exception cref="InputException">None has, or a record is damaged.</exception>
    public static IReadOnlyList<RunRecord> Records(string path)
    {
        var folder = Path.Combine(path, ExperimentFolder.RunsName);
        RunRecord[] all = Directory.Exists(folder) ? [.. Directory.EnumerateFiles(folder, "*.json")
            .Order(StringComparer.Ordinal).Select(file => RecordOf(folder, Path.GetFileName(file)))] : [];
        return all.Length > 0 ? all : throw new InputException($"{path}: no run of this experiment has ended yet.");
    }

    /// <summary>The last part of a path.</summary>
    public static string NameOf(string path) =>
        Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));

    private static IReadOnlyList<(string Path, RunHistory Run)> Best(string path, string prefix, Action<string> note)
    {
        var all = Records(path);
        var folder = Path.Combine(path, ExperimentFolder.RunsName);
        if (all.Count > LossPicture.MaxRuns)
        {
            note($"{path} has {all.Count} runs; the {LossPicture.MaxRuns} with the best validation are drawn. For "
                + $"others, name their files in {folder}.");
        }
        return [.. all.Select(record => CurveOf(folder, $"{record.Name}.json", record))
            .OrderByDescending(run => run.Validations.Select(point => point.Accuracy).DefaultIfEmpty().Max())
            .Take(LossPicture.MaxRuns)
            .Select(curve => (path, new RunHistory(curve with { Name = prefix + curve.Name }, null)))];
    }

    private static RunRecord RecordOf(string folder, string file)
    {
        try
        {
            return ExperimentFolder.ReadFrom<RunRecord>(folder, file);
        }
        catch (InputException)
        {
            throw new InputException($"{Path.Combine(folder, file)}: is no whole record of a run, as 'lora compare' "
                + "and 'lora sweep' write them to runs/. Of a training, name the folder that it left.");
        }
    }

    private static LossCurve CurveOf(string folder, string file, RunRecord record) => record.Curve.Losses.Count > 0
        ? record.Curve : throw new InputException($"{Path.Combine(folder, file)}: the losses of this run are not "
            + "stored: an older program ran it.");
}
