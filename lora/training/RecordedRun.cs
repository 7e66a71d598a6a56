using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Training;

/// <summary>A fine-tuning as its folder tells of it: enough to make it again.</summary>
/// <param name="Folder">The folder.</param>
/// <param name="Provenance">What it was made of, where, and what came of it.</param>
/// <param name="Command">The words of the command line that decide the result.</param>
/// <param name="Options">Every option that has a meaning for the method, by name.</param>
internal sealed record RecordedRun(string Folder, RunProvenance Provenance, IReadOnlyList<string> Command,
    IReadOnlyDictionary<string, JsonElement> Options)
{
    /// <summary>Reads training.json.</summary>
    /// <exception cref="InputException">
    /// It is missing, damaged or of another version, or the run cannot be made again: it was
    /// stopped, pretrained a model, or no command line made it.
    /// </exception>
    public static RecordedRun Read(string folder)
    {
        var path = Path.Combine(folder, RunFiles.OptionsName);
        return JsonFile.Read(path, root => Read(folder, path, root), "A folder that 'lora train' left is expected.");
    }

    /// <summary>
    /// The file of weights and its hash, as the run left it; and the hash that it has now, null
    /// where it is missing.
    /// </summary>
    public (string Name, string Hash, string? Now) Weights
    {
        get
        {
            var (name, hash) = Provenance.Result.Single();
            return (name, hash, RunProvenance.HashesIn(Folder).GetValueOrDefault(name));
        }
    }

    /// <summary>Everything that is not as it was.</summary>
    /// <param name="tuning">The run that its command makes now, before it is run.</param>
    public IReadOnlyList<RunDifference> DifferencesFrom(FineTuning tuning) =>
        [.. DifferencesFrom(tuning.Options), .. Provenance.DifferencesFrom(tuning.Training.Identity())];

    private IEnumerable<RunDifference> DifferencesFrom(IReadOnlyDictionary<string, object?> options)
    {
        var now = JsonSerializer.SerializeToElement(options).EnumerateObject()
            .ToDictionary(option => option.Name, option => option.Value);
        foreach (var name in Options.Keys.Union(now.Keys).Except(TrainingOptionList.WithoutResult))
        {
            var (was, here) = (Options.GetValueOrDefault(name), now.GetValueOrDefault(name));
            if (!JsonElement.DeepEquals(was, here))
            {
                yield return new(RunPart.Options, $"option '{name}' was {Text(was)} and is {Text(here)} now",
                    $"Give option '{name}' as it was");
            }
        }
    }

    private static RecordedRun Read(string folder, string path, JsonElement root)
    {
        var provenance = RunProvenance.Read(path, root);
        if (root.TryGetProperty("cancelled", out var cancelled) && cancelled.ValueKind == JsonValueKind.True)
        {
            throw new InputException($"{path}: the run was stopped before its end, at a moment that nothing says. "
                + "Resume it first.");
        }
        if (root.TryGetProperty("task", out var task))
        {
            throw new InputException($"{path}: the run trained a {task}; only fine-tunings can be made again from what "
                + "their folder says.");
        }
        if (provenance.Command is not { } command)
        {
            throw new InputException($"{path}: a program of its own trained this, no command line, and so no file of "
                + "data is named. Train again with that program.");
        }
        if (!root.TryGetProperty("options", out var options) || options.ValueKind != JsonValueKind.Object
            || provenance.Result.Count != 1)
        {
            throw new InputException($"{path}: is damaged: \"options\" and the hash of one file of weights are "
                + "expected.");
        }
        return new RecordedRun(folder, provenance, command,
            options.EnumerateObject().ToDictionary(option => option.Name, option => option.Value.Clone()));
    }

    private static string Text(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Undefined => "not used",
        JsonValueKind.Null => "not given",
        JsonValueKind.String => value.GetString()!,
        _ => JsonFile.Cut(value.GetRawText()),
    };
}
