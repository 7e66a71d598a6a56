using System.Text.Json.Serialization;
using LoraScratch.Engine;
using LoraScratch.Engine.NN;
using LoraScratch.Kernels;
using LoraScratch.Lora.Data;

namespace LoraScratch.Lora.Training;

/// <summary>
/// What the result of a run is a function of. Two runs that agree in all of it end with the same
/// weights, bit for bit.
/// </summary>
/// <param name="Options">By their names on the command line.</param>
/// <param name="Arithmetic">
/// <see cref="IBackend.Arithmetic"/>, and what the model computes.
/// </param>
/// <param name="Weights"><see cref="RunInputs.Weights"/></param>
/// <param name="Texts"><see cref="RunInputs.Texts"/></param>
internal sealed record RunIdentity(IReadOnlyDictionary<string, string> Options, string Arithmetic, string Weights,
    IReadOnlyDictionary<string, ExamplesIdentity> Texts)
{
    /// <summary>
    /// How the model computes, as far as the bits depend on it beside the backend. Another word
    /// where that changes: a run that an older program saved would end with other bits.
    /// </summary>
    private const string Computation = "last block for the rows that are read";

    /// <summary>What it starts from.</summary>
    [JsonIgnore]
    public RunInputs Inputs => new(Weights, Texts);

    /// <summary>The identity of anything that starts from a model as it is now.</summary>
    /// <param name="model">The model.</param>
    /// <param name="backend">Where it computes.</param>
    /// <param name="options">By their names on the command line.</param>
    /// <param name="texts">Encoded texts and what they are for.</param>
    public static RunIdentity Of(Module model, IBackend backend, IReadOnlyDictionary<string, object?> options,
        params IReadOnlyList<(string Use, IReadOnlyList<EncodedExample> Texts)> texts)
    {
        var inputs = RunInputs.Of(model, texts);
        return new(options.Where(option => !TrainingOptionList.WithoutResult.Contains(option.Key))
            .ToDictionary(option => option.Key, option => ResolvedOptions.Text(option.Value)),
            $"{backend.Arithmetic}, {Computation}", inputs.Weights, inputs.Texts);
    }

    /// <summary>Refuses to resume a run that was another.</summary>
    /// <param name="saved">The identity of the saved run.</param>
    /// <param name="path">Where it is saved.</param>
    /// <exception cref="InputException">
    /// The message names what differs, what it was and what it is.
    /// </exception>
    public void RequireSame(RunIdentity saved, string path)
    {
        if (DifferencesFrom(saved).FirstOrDefault() is { } first)
        {
            throw new InputException($"{path}: cannot resume what is saved here, for the result would not be the one "
                + $"that it was on the way to: {first.Sentence}. {first.Remedy}, or leave option 'resume' out and "
                + "begin anew.");
        }
    }

    /// <summary>What is not as it was, in words; nothing where the result is the same.</summary>
    /// <param name="saved">As it was.</param>
    public IEnumerable<RunDifference> DifferencesFrom(RunIdentity saved)
    {
        foreach (var name in saved.Options.Keys.Union(Options.Keys))
        {
            var (was, now) = (saved.Options.GetValueOrDefault(name, TrainingOptionList.Formerly(name) ?? "not used"),
                Options.GetValueOrDefault(name, "not used"));
            if (was != now)
            {
                yield return new(RunPart.Options, $"option '{name}' was {was} and is {now} now",
                    $"Give option '{name}' as it was");
            }
        }
        if (OfArithmetic(saved.Arithmetic, Arithmetic) is { } rounding)
        {
            yield return rounding;
        }
        foreach (var difference in Inputs.DifferencesFrom(saved.Inputs))
        {
            yield return difference;
        }
    }

    /// <summary>Null where both round alike.</summary>
    internal static RunDifference? OfArithmetic(string was, string now) => was == now ? null
        : new(RunPart.Arithmetic, $"it was computed by '{was}', and here computes '{now}', which rounds in another "
            + "order", "Resume with the program and on the instruction set that it began with");
}
