using System.Globalization;
using System.Text;
using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Charts;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Training;

/// <summary>How a training went, read from the folder that it left.</summary>
/// <param name="Curve">Its losses and validations.</param>
/// <param name="Task">
/// What it was trained for, in words; null where no training.json says it.
/// </param>
internal sealed record RunHistory(LossCurve Curve, string? Task)
{
    /// <summary>Reads metrics.jsonl, and of training.json the validations and the task.</summary>
    /// <param name="folder">An adapter or model folder.</param>
    /// <param name="name">For the legend.</param>
    /// <exception cref="InputException">
    /// metrics.jsonl is missing or damaged, or training.json is.
    /// </exception>
    public static RunHistory Read(string folder, string name)
    {
        var losses = Losses(Path.Combine(folder, RunFiles.MetricsName));
        var options = Path.Combine(folder, RunFiles.OptionsName);
        if (!File.Exists(options))
        {
            return new(new(name, losses), null);
        }
        var (validations, task) = JsonFile.Read(options, root => (Validations(options, root), TaskOf(root)));
        if (validations.FirstOrDefault(point => point.Step > losses.Count) is { } late)
        {
            throw new InputException($"{options}: a validation after step {late.Step}, but {RunFiles.MetricsName} ends "
                + $"with step {losses.Count}: lines are missing there.");
        }
        return new(new(name, losses) { Validations = validations }, task);
    }

    private static List<float> Losses(string path)
    {
        if (!File.Exists(path))
        {
            throw new InputException($"{path}: there is no such file, and so no losses to draw. Name a folder that a "
                + "training run left.");
        }
        var losses = new List<float>();
        try
        {
            foreach (var line in File.ReadLines(path))
            {
                losses.Add(JsonFile.Parse($"{path}, line {losses.Count + 1}", Encoding.UTF8.GetBytes(line), root =>
                    Loss($"{path}, line {losses.Count + 1}", root, losses.Count + 1)));
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: cannot be read: {e.Message}");
        }
        return losses.Count > 0 ? losses
            : throw new InputException($"{path}: the file is empty; a line for every step of the run is expected.");
    }

    private static float Loss(string place, JsonElement root, int expected)
    {
        if (Number(root, "step") is not { } step || Number(root, "loss") is not { } loss ||
            !float.IsFinite((float)loss))
        {
            throw new InputException($"{place}: {{\"step\": …, \"loss\": …}} with two numbers is expected.");
        }
        return step == expected ? (float)loss : throw new InputException(string.Create(CultureInfo.InvariantCulture,
            $"{place}: this is step {step}, where step {expected} is expected: lines are missing or out of order."));
    }

    private static List<ValidationPoint> Validations(string path, JsonElement root)
    {
        var points = new List<ValidationPoint>();
        foreach (var look in root.ValueKind == JsonValueKind.Object && root.TryGetProperty("validations", out var list)
            && list.ValueKind == JsonValueKind.Array ? list.EnumerateArray() : throw new InputException(
                $"{path}: a list under \"validations\" is expected, as a training run writes it."))
        {
            if (Number(look, "step") is not (>= 1 and <= int.MaxValue and var step) || step != Math.Floor(step))
            {
                throw new InputException($"{path}: a validation without a whole number from 1 on under \"step\".");
            }
            // both are null where nothing was held out
            if (Number(look, "validation_loss") is { } loss && Number(look, "validation_accuracy") is { } accuracy)
            {
                points.Add(double.IsFinite(loss) && double.IsFinite(accuracy) ? new((int)step, loss, accuracy)
                    : throw new InputException($"{path}: the validation after step {step} is no finite number."));
            }
        }
        return points;
    }

    private static double? Number(JsonElement root, string key) => root.ValueKind == JsonValueKind.Object
        && root.TryGetProperty(key, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetDouble() :
            null;

    private static string? TaskOf(JsonElement root)
    {
        if (root.TryGetProperty("task", out var task) && task.ValueKind == JsonValueKind.String)
        {
            return $"as a {task.GetString()}";
        }
        if (!root.TryGetProperty(RunTask.LabelsKey, out var labels) || labels.ValueKind != JsonValueKind.Array)
        {
            return null;
        }
        var several = root.TryGetProperty(RunTask.MultiLabelKey, out var multi) && multi.ValueKind ==
            JsonValueKind.True;
        return $"for the {(several ? "labels" : "classes")} {string.Join(", ", labels.EnumerateArray())}";
    }
}
