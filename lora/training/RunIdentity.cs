using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
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
/// <param name="Weights">
/// SHA-256 of every parameter and quantised weight, frozen ones too, before the first step.
/// </param>
/// <param name="Texts">
/// Number and SHA-256 of the encoded examples, by what they are for ("to train on").
/// </param>
internal sealed record RunIdentity(IReadOnlyDictionary<string, string> Options, string Arithmetic, string Weights,
    IReadOnlyDictionary<string, ExamplesIdentity> Texts)
{
    /// <summary>
    /// How the model computes, as far as the bits depend on it beside the backend. Another word
    /// where that changes: a run that an older program saved would end with other bits.
    /// </summary>
    private const string Computation = "last block for the rows that are read";

    /// <summary>What examples are for; checkpoints of older versions have the same keys.</summary>
    public const string Train = "to train on", Validation = "laid aside for validation";

    /// <summary>The identity of anything that starts from a model as it is now.</summary>
    /// <param name="model">The model.</param>
    /// <param name="backend">Where it computes.</param>
    /// <param name="options">By their names on the command line.</param>
    /// <param name="texts">Encoded texts and what they are for.</param>
    public static RunIdentity Of(Module model, IBackend backend, IReadOnlyDictionary<string, object?> options,
        params (string Use, IReadOnlyList<EncodedExample> Texts)[] texts) => new(
        options.Where(option => !TrainingOptionList.WithoutResult.Contains(option.Key))
            .ToDictionary(option => option.Key, option => ResolvedOptions.Text(option.Value)),
        $"{backend.Arithmetic}, {Computation}", HashWeights(model),
            texts.ToDictionary(part => part.Use, part => ExamplesIdentity.Of(part.Texts)));

    /// <summary>Refuses to resume a run that was another.</summary>
    /// <param name="saved">The identity of the saved run.</param>
    /// <param name="path">Where it is saved.</param>
    /// <exception cref="InputException">
    /// The message names what differs, what it was and what it is.
    /// </exception>
    public void RequireSame(RunIdentity saved, string path)
    {
        foreach (var name in saved.Options.Keys.Union(Options.Keys))
        {
            var (was, now) = (saved.Options.GetValueOrDefault(name, TrainingOptionList.Formerly(name) ?? "not used"),
                Options.GetValueOrDefault(name, "not used"));
            if (was != now)
            {
                throw Differs(path, $"option '{name}' was {was} and is {now} now", $"Give option '{name}' as it was");
            }
        }
        if (saved.Arithmetic != Arithmetic)
        {
            throw Differs(path,
                $"it was computed by '{saved.Arithmetic}', and here computes '{Arithmetic}', which rounds in "
                    + "another order", "Resume with the program and on the instruction set that it began with");
        }
        if (saved.Weights != Weights)
        {
            throw Differs(path,
                $"the weights that it began with had the SHA-256 {saved.Weights[..16]}…, those of this model and "
                    + $"adapter have {Weights[..16]}…",
                    "Name the model (and option 'init-adapter') that it began with");
        }
        foreach (var (use, texts) in Texts)
        {
            texts.RequireSame(saved.Texts.GetValueOrDefault(use, ExamplesIdentity.Of([])), path,
                use == Validation ? "held out for validation" : use);
        }
    }

    internal static InputException Differs(string path, string what, string remedy) =>
        new($"{path}: cannot resume what is saved here, for the result would not be the one that it was on the "
            + $"way to: {what}. {remedy}, or leave option 'resume' out and begin anew.");

    private static string HashWeights(Module model)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var (path, parameter) in model.NamedParameters())
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{path} {parameter.Shape} {parameter.IsTrainable}\n"));
            hash.AppendData(MemoryMarshal.AsBytes<float>(parameter.ToArray()));
        }
        foreach (var (path, layer) in model.NamedModules<WeightLayer>().Where(entry => entry.Module.Weight.IsQuantized))
        {
            hash.AppendData(Encoding.UTF8.GetBytes($"{path} {layer.Weight}\n"));
            layer.Weight.AppendTo(hash);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}

/// <summary>Which encoded examples, in which order.</summary>
/// <param name="Count">How many.</param>
/// <param name="Hash">SHA-256 of their ids and labels.</param>
internal sealed record ExamplesIdentity(int Count, string Hash)
{
    /// <summary>Of some texts, perhaps of none.</summary>
    public static ExamplesIdentity Of(IReadOnlyList<EncodedExample> texts)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var text in texts)
        {
            // the length first: no two lists of texts have the same bytes
            int[] head = [text.TokenIds.Length, text.Label, text.PositionOffset];
            if (text.SecondSegment != text.TokenIds.Length)
            {
                head = [.. head, text.SecondSegment];           // runs that were saved without pairs keep their hash
            }
            if (text.Classes is { } classes)
            {
                head = [.. head, classes.Length, .. classes];
            }
            hash.AppendData(MemoryMarshal.AsBytes<int>(head));
            hash.AppendData(MemoryMarshal.AsBytes<int>(text.TokenIds));
        }
        return new ExamplesIdentity(texts.Count, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    /// <summary>Refuses other texts.</summary>
    public void RequireSame(ExamplesIdentity saved, string path, string use)
    {
        if (saved != this)
        {
            throw RunIdentity.Differs(path,
                $"option 'data' gave {saved.Count} examples {use} (SHA-256 {saved.Hash[..16]}…) and gives {Count} now "
                    + $"(SHA-256 {Hash[..16]}…)", "Give the same data and vocabulary");
        }
    }
}
