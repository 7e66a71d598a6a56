using LoraScratch.Engine;
using LoraScratch.Engine.IO;

namespace LoraScratch.Lora.Adapters;

/// <summary>
/// Opens an adapter folder in PEFT's format, and says what each of its tensors is.
/// </summary>
internal static class PeftFolder
{
    private const string NameOfBase = ".base_layer.", NameOfBiasOfB = ".lora_B.bias";

    // With bias "all", PEFT writes every parameter whose name has "bias" in it, also those of the wrappers around
    // saved modules.
    private static readonly string[] CopiesOfSavedModules = [".original_module.", ".modules_to_save."];

    /// <summary>Opens a folder to use it.</summary>
    /// <exception cref="InputException">
    /// One of the two files is missing or malformed, or the config says something that is not
    /// supported.
    /// </exception>
    public static AdapterFile Open(string folder)
    {
        var place = Find(folder);
        return Sort(PeftConfig.Read(ConfigPath(place)), OpenWeights(place), SayPlace(folder, place));
    }

    /// <summary>
    /// Where the adapter is: PEFT saves one with a name of its own in a sub-folder of that name,
    /// and programs that train with it in one for each checkpoint.
    /// </summary>
    /// <param name="folder">As it was given.</param>
    /// <returns>The folder, or the one sub-folder that has an adapter.</returns>
    /// <exception cref="InputException">Several have one.</exception>
    public static string Find(string folder)
    {
        if (!Directory.Exists(folder) || File.Exists(ConfigPath(folder)))
        {
            return folder;
        }
        string[] below = [.. Directory.EnumerateDirectories(folder).Where(place => File.Exists(ConfigPath(place)))
            .Order(StringComparer.Ordinal)];
        return below switch
        {
            [] => folder,
            [var only] => only,
            _ => throw new InputException($"{folder}: holds {below.Length} adapters, in the sub-folders "
                + $"{string.Join(", ", below.Take(12).Select(Path.GetFileName))}"
                + $"{(below.Length > 12 ? ", …" : "")}. Name one of them."),
        };
    }

    /// <summary>Opens a folder as far as it goes.</summary>
    /// <param name="folder">The adapter folder.</param>
    /// <param name="findings">
    /// Takes what is wrong with the config and with the file as such.
    /// </param>
    /// <returns>
    /// With defaults for what the config cannot say; null where there are no tensors.
    /// </returns>
    public static AdapterFile? Open(string folder, Findings findings)
    {
        if (findings.Try(() => Find(folder)) is not { } place)
        {
            return null;
        }
        var (config, faults) = findings.Try(() => PeftConfig.ReadWithFaults(ConfigPath(place)));
        foreach (var fault in faults ?? [])
        {
            findings.Error($"{PeftAdapter.ConfigName}: {fault}.");
        }
        foreach (var warning in config?.Warnings ?? [])
        {
            findings.Warning(warning);
        }
        foreach (var note in SayPlace(folder, place))
        {
            findings.Note(note);
        }
        return findings.Try(() => OpenWeights(place)) is { } file ? Sort(config, file, []) : null;
    }

    /// <summary>Opens adapter_model.safetensors alone.</summary>
    /// <exception cref="InputException">It is missing or malformed.</exception>
    public static SafeTensorsFile OpenWeights(string folder)
    {
        var path = Path.Combine(folder, PeftAdapter.WeightsName);
        if (!File.Exists(path) && File.Exists(Path.Combine(folder, "adapter_model.bin")))
        {
            throw new InputException($"{folder}: holds adapter_model.bin, a pickled file of PyTorch, and no "
                + $"{PeftAdapter.WeightsName}. "
                + OtherFile.Conversion("adapter_model.bin", PeftAdapter.WeightsName));
        }
        return SafeTensorsFile.Open(path);
    }

    /// <summary>The path of a folder's config.</summary>
    public static string ConfigPath(string folder) => Path.Combine(folder, PeftAdapter.ConfigName);

    /// <summary>
    /// Whether it is one of the copies that PEFT's wrapper around a saved module makes.
    /// </summary>
    public static bool IsCopyOfSavedModule(string name) => CopiesOfSavedModules.Any(name.Contains);

    private static string[] SayPlace(string folder, string place) =>
        place == folder ? [] : [$"{folder}: the adapter is in its sub-folder {Path.GetFileName(place)}."];

    /// <summary>
    /// Tells heads, biases and tables from names of no use; older versions of PEFT leave base_layer
    /// out.
    /// </summary>
    private static AdapterFile Sort(PeftConfig? config, SafeTensorsFile file, IReadOnlyList<string> warnings)
    {
        Dictionary<string, TensorInfo> whole = [], biasesOfB = [];
        Dictionary<string, string> useless = [];
        foreach (var tensor in file.Tensors.Values)
        {
            if (WhyUseless(tensor.Name) is { } reason)
            {
                useless[tensor.Name] = reason;
            }
            else if (tensor.Name.EndsWith(NameOfBiasOfB, StringComparison.Ordinal))
            {
                if (config is { HasBiasOfB: false })
                {
                    useless[tensor.Name] = "it is a bias beside B, and lora_bias in the config does not ask for one";
                }
                biasesOfB[tensor.Name[PeftAdapter.Prefix.Length..^NameOfBiasOfB.Length]] = tensor;
            }
            else if (AdapterConventions.Read(tensor.Name) is null && !IsCopyOfSavedModule(tensor.Name))
            {
                var path = tensor.Name[PeftAdapter.Prefix.Length..].Replace(NameOfBase, ".", StringComparison.Ordinal);
                if (!whole.TryAdd(path, tensor))
                {
                    useless[tensor.Name] = $"it is the same parameter as '{whole[path].Name}'; save the adapter again";
                }
            }
        }
        return new AdapterFile(file, AdapterConvention.Peft)
        {
            Config = config,
            AlphaOf = (config ?? new PeftConfig()).AlphaOf,
            Whole = whole,
            BiasesOfB = biasesOfB,
            Useless = useless,
            Warnings = [.. warnings, .. config?.Warnings ?? []],
        };
    }

    /// <summary>
    /// Why nothing would be loaded from a tensor, by its name alone; null where the name does not
    /// say.
    /// </summary>
    private static string? WhyUseless(string name)
    {
        if (AdapterConventions.Read(name) is { Convention: not AdapterConvention.Peft and var convention })
        {
            return $"the name is of {convention.Name()}'s convention, and PEFT would load nothing from it; rewrite the "
                + "file in PEFT's with 'lora adapter convert'";
        }
        if (name.Contains(".lora_magnitude_vector"))
        {
            return "it belongs to DoRA, which is not supported";
        }
        if (name.Split('.') is [.., "lora_A" or "lora_B", not "weight", "weight"])
        {
            return "an adapter's own name stands in it; saved files leave it out (….lora_A.weight)";
        }
        return name.StartsWith(PeftAdapter.Prefix, StringComparison.Ordinal) ? null
            : $"the names in an adapter begin with '{PeftAdapter.Prefix}', and PEFT would load nothing from this one, "
                + "without a word; rename it, or save the adapter with PEFT's save_pretrained";
    }
}
