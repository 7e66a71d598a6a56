using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Training;

/// <summary>
/// What training.json says about a run, for a reader. What an older version did not write is null.
/// </summary>
/// <param name="Options">By name, in the order of the file.</param>
/// <param name="BaseModel">Folder or name; null from scratch.</param>
/// <param name="Labels">The classes; null of a pretraining.</param>
/// <param name="TrainableParameters">Elements that were trained.</param>
/// <param name="Steps">Steps taken.</param>
/// <param name="KeptStep">The step after which the state that was kept was.</param>
/// <param name="Seconds">The whole run.</param>
internal sealed record RunSummary(IReadOnlyDictionary<string, string> Options, string? BaseModel,
    IReadOnlyList<string>? Labels, long TrainableParameters, int Steps, int KeptStep, double Seconds)
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        RespectNullableAnnotations = true,
    };

    /// <summary>Whether it was stopped before its end.</summary>
    public bool WasCancelled { get; private init; }

    /// <summary>Whether validations without a better state ended it.</summary>
    public bool StoppedEarly { get; private init; }

    /// <summary>Seconds of the steps and memory, as predicted before the run.</summary>
    public PredictedCost? Predicted { get; private init; }

    /// <summary>The same as it was.</summary>
    public MeasuredCost? Measured { get; private init; }

    /// <summary>What it was made of, and where.</summary>
    public RunProvenance? Provenance { get; private init; }

    /// <summary>"lora", "full", …; null of a pretraining.</summary>
    public string? Method => Options.GetValueOrDefault("method");

    /// <summary>Reads the training.json of a folder.</summary>
    /// <exception cref="InputException">
    /// It is missing, damaged, or not of a training run.
    /// </exception>
    public static RunSummary Read(string folder)
    {
        var path = Path.Combine(folder, RunFiles.OptionsName);
        return JsonFile.Read(path, root =>
        {
            try
            {
                var stored = root.ValueKind == JsonValueKind.Object ? root.Deserialize<Stored>(Json) : null;
                return stored is
                {
                    Options: { } options, Steps: { } steps, KeptStep: { } kept, Seconds: { } seconds,
                    TrainableParameters: { } trainable
                }
                    ? new RunSummary(options.ToDictionary(option => option.Key, option => Text(option.Value)),
                        stored.BaseModel, stored.Labels, trainable, steps, kept, seconds)
                    {
                        WasCancelled = stored.Cancelled,
                        StoppedEarly = stored.StoppedEarly,
                        Predicted = stored.Predicted,
                        Measured = stored.Measured,
                        Provenance = root.TryGetProperty(RunProvenance.Key, out _)
                            ? RunProvenance.Read(path, root) : null,
                    }
                    : throw new InputException($"{path}: is no account of a training run: options, steps and seconds "
                        + "are expected.");
            }
            catch (JsonException e)
            {
                throw new InputException($"{path}: is damaged: {JsonFile.Cut(JsonFile.Reason(e), 200)}");
            }
        }, "A folder that a training run left is expected.");
    }

    private static string Text(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        JsonValueKind.Null => "not given",
        JsonValueKind.Array => string.Join(", ", value.EnumerateArray().Select(Text)),
        _ => value.GetRawText(),
    };

    private sealed record Stored(Dictionary<string, JsonElement>? Options = null, string? BaseModel = null,
        List<string>? Labels = null, long? TrainableParameters = null, int? Steps = null, int? KeptStep = null,
        double? Seconds = null, bool Cancelled = false, bool StoppedEarly = false, PredictedCost? Predicted = null,
        MeasuredCost? Measured = null);
}

/// <summary>What a run was predicted to cost.</summary>
/// <param name="StepSeconds">Of all steps.</param>
/// <param name="DeviceMemory">Bytes by part: weights, gradients, …</param>
internal sealed record PredictedCost(double StepSeconds, IReadOnlyDictionary<string, long>? DeviceMemory);

/// <summary>What a run cost.</summary>
/// <param name="StepSeconds">Of all steps.</param>
/// <param name="DeviceMemory">Bytes at the peak.</param>
internal sealed record MeasuredCost(double StepSeconds, long DeviceMemory);
