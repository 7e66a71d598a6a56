using System.Text.Json;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;
using LoraScratch.Engine.Optim;

namespace LoraScratch.Lora.Training;

/// <summary>
/// What a checkpoint holds beside tensors; the place in the data follows from the number of steps,
/// as each epoch's order is a function of the seed.
/// </summary>
/// <param name="Identity">Of the run.</param>
/// <param name="Random">State of every random stream that training draws from.</param>
/// <param name="OptimizerSteps">Steps that the optimizer took with each parameter.</param>
/// <param name="Steps">Every step so far.</param>
/// <param name="Validations">Every validation.</param>
internal sealed record RunProgress(
    RunIdentity Identity, IReadOnlyList<StreamState> Random, IReadOnlyList<int> OptimizerSteps,
    IReadOnlyList<StepMetrics> Steps, IReadOnlyList<ValidationMetrics> Validations);

/// <summary>State of a random stream.</summary>
internal sealed record StreamState(ulong Seed, ulong Position);

/// <summary>
/// The file from which a run is resumed, in safetensors format: what is trained under trained/PATH,
/// the optimizer's tensors under optimizer/NAME/PATH, the best validated state, if it is not the
/// present one, under best/PATH, and all else as JSON in the tensor <see cref="ProgressName"/>. The
/// same state gives the same bytes but for the durations of the steps.
/// </summary>
internal sealed class TrainingCheckpoint : IDisposable
{
    private const string ProgressName = "progress", FormatKey = "lorascratch", Format = "training checkpoint 3";

    // What is computed from other properties is not stored; what is missing is an error.
    private static readonly JsonSerializerOptions Json =
        new()
        {
            IgnoreReadOnlyProperties = true,
            RespectNullableAnnotations = true,
            RespectRequiredConstructorParameters = true
        };
    private readonly SafeTensorsFile file;

    private TrainingCheckpoint(SafeTensorsFile file, RunProgress progress) => (this.file, Progress) = (file, progress);

    /// <summary>All but the tensors.</summary>
    public RunProgress Progress { get; }

    /// <summary>Whether the best state is another than the present one.</summary>
    public bool HasBest => file.Tensors.Keys.Any(name => name.StartsWith("best/", StringComparison.Ordinal));

    /// <summary>Writes the file in one step.</summary>
    /// <param name="path">The file.</param>
    /// <param name="trained">What is trained, with paths, in the optimizer's order.</param>
    /// <param name="optimizer">Its state.</param>
    /// <param name="best">
    /// The best state by parameter; null where it is the present one, or there is none.
    /// </param>
    /// <param name="progress">All else.</param>
    /// <exception cref="InputException">
    /// It cannot be written; the file of before is unchanged.
    /// </exception>
    public static void Write(string path, IReadOnlyList<(string Path, Parameter Parameter)> trained,
        Optimizer optimizer, float[][]? best, RunProgress progress)
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(progress, Json);
        SafeTensorsWriter.Write(path,
        [
            .. trained.Select(entry => TensorToWrite.Of($"trained/{entry.Path}", entry.Parameter)),
            .. optimizer.StateTensors()
                .Select(state => TensorToWrite.Of($"optimizer/{state.Name}/{trained[state.Parameter].Path}",
                    state.Value)),
            .. (best ?? []).Select((values, i) =>
                TensorToWrite.Floats($"best/{trained[i].Path}", Sizes(trained[i].Parameter), values)),
            TensorToWrite.Bytes(ProgressName, DType.U8, [json.Length], json),
        ], new Dictionary<string, string> { [FormatKey] = Format });
    }

    /// <summary>Opens a file and reads everything but the tensors.</summary>
    /// <exception cref="InputException">There is no such file, or it is no checkpoint.</exception>
    public static TrainingCheckpoint Open(string path)
    {
        var file = SafeTensorsFile.Open(path);
        try
        {
            if (file.Metadata.GetValueOrDefault(FormatKey) != Format || !file.Tensors.ContainsKey(ProgressName))
            {
                throw new InputException($"{path}: this is no saved run of this version (expected {FormatKey} = "
                    + $"'{Format}' in its metadata, found '{file.Metadata.GetValueOrDefault(FormatKey, "nothing")}').");
            }
            return new TrainingCheckpoint(file,
                JsonSerializer.Deserialize<RunProgress>(file.Bytes(ProgressName), Json)
                    ?? throw new JsonException("It is null."));
        }
        catch (JsonException e)
        {
            file.Dispose();
            throw new InputException(
                $"{path}: the saved run is damaged: {e.Message} Delete the file and begin anew.");
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Puts the tensors where they came from.</summary>
    /// <param name="trained">As in <see cref="Write"/>.</param>
    /// <param name="optimizer">A new one.</param>
    /// <returns>
    /// The best state by parameter; null where it is the present one, or there is none.
    /// </returns>
    public float[][]? Restore(IReadOnlyList<(string Path, Parameter Parameter)> trained, Optimizer optimizer)
    {
        foreach (var (path, parameter) in trained)
        {
            parameter.Set(Read($"trained/{path}", parameter));
        }
        optimizer.Restore(Progress.Steps.Count, Progress.OptimizerSteps,
            (i, name) => Read($"optimizer/{name}/{trained[i].Path}", trained[i].Parameter));
        return HasBest ? [.. trained.Select(entry => Read($"best/{entry.Path}", entry.Parameter))] : null;
    }

    public void Dispose() => file.Dispose();

    private float[] Read(string name, Parameter like)
    {
        var values = new float[like.Shape.Count];
        file.Read(name, values);
        return values;
    }

    private static long[] Sizes(Tensor tensor) => [.. tensor.Shape.Sizes.ToArray().Select(size => (long)size)];
}
