using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Lora.Adapters;
using LoraScratch.Lora.Data;
using LoraScratch.Lora.Encoders;

namespace LoraScratch.Lora.Classification;

/// <summary>
/// What an adapter's folder says about its task before it is put on a model: whether it brings a
/// head along, and how the classes are called.
/// </summary>
/// <param name="Folder">The folder that has the adapter.</param>
/// <param name="Classes">Classes of its head; null where it has none.</param>
/// <param name="Names">
/// Their names: from training.json, or from a config.json beside the adapter, where Python's
/// AutoConfig finds them too; null where neither says them.
/// </param>
/// <param name="IsMultiLabel">Whether any number of the classes may hold for a text.</param>
/// <param name="ReadsPairs">Whether it was trained on pairs of texts.</param>
internal sealed record AdapterTask(string Folder, int? Classes, IReadOnlyList<string>? Names, bool IsMultiLabel,
    bool ReadsPairs)
{
    /// <summary>Whether the adapter brings a head along.</summary>
    public bool HasHead => Classes is not null;

    /// <summary>Reads it.</summary>
    /// <param name="folder">The adapter folder, or one with the adapter in a sub-folder.</param>
    /// <exception cref="InputException">
    /// There is no adapter, a file is malformed, or its head is for regression.
    /// </exception>
    public static AdapterTask Read(string folder)
    {
        var place = PeftAdapter.Find(folder);
        var classes = PeftAdapter.ReadClassCount(place);
        var (run, config) = (RunFiles.ReadTask(place), ConfigIn(place, classes));
        return classes != 1
            ? new AdapterTask(place, classes, run?.Labels ?? NamesOf(config),
                run?.IsMultiLabel ?? config is { IsMultiLabel: true }, run is { ReadsPairs: true })
            : throw new InputException($"{place}: the head of the adapter has one output: it is for regression and "
                + "gives a number, no class, which is not supported.");
    }

    /// <summary>The names of the classes of the adapter on a model.</summary>
    /// <param name="given">As somebody says them; null: as the files do.</param>
    /// <param name="config">The model's.</param>
    /// <returns>
    /// Null where the adapter brings no head, so that the model's own names hold.
    /// </returns>
    /// <exception cref="InputException">They are not as many as the head's classes.</exception>
    public IReadOnlyList<string>? Labels(IReadOnlyList<string>? given, EncoderConfig config)
    {
        if (Classes is not { } count)
        {
            return given;
        }
        if ((given ?? Names) is { } names)
        {
            return names.Count == count ? names : throw new InputException(
                $"{Folder}: the head of the adapter has {count} classes, but {(given is null
                    ? RunFiles.OptionsName + " names" : "option 'labels' has")} {names.Count}: "
                + $"{LabelSet.Listed(names)}.");
        }
        return config.Labels.Count == count ? config.Labels
            : [.. Enumerable.Range(0, count).Select(id => string.Create(CultureInfo.InvariantCulture, $"LABEL_{id}"))];
    }

    /// <summary>
    /// A config.json beside the adapter with as many classes as it has; the file may as well be
    /// about something else.
    /// </summary>
    private static EncoderConfig? ConfigIn(string folder, int? classes)
    {
        try
        {
            return File.Exists(Path.Combine(folder, RunFiles.ConfigName))
                && EncoderConfig.Load(folder) is { HasClasses: true } config && config.Classes == classes
                ? config : null;
        }
        catch (InputException)
        {
            return null;
        }
    }

    /// <summary>The names of the classes where they are names.</summary>
    private static IReadOnlyList<string>? NamesOf(EncoderConfig? config) =>
        config is not null && config.Labels.Where((name, id) => name != $"LABEL_{id}").Any() ? config.Labels : null;
}
