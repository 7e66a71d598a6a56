using System.Globalization;
using LoraScratch.Engine;
using LoraScratch.Engine.IO;
using LoraScratch.Engine.NN;

namespace LoraScratch.Lora.Adapters;

/// <summary>
/// A state dict in loralib's or the tutorials' convention: one file with A and B, and a trained
/// head, trained biases or the whole base model beside them. Its alpha stands in the metadata, or
/// is known to a program only.
/// </summary>
internal static class StateDict
{
    /// <summary>
    /// Metadata of our files: the one number that the tensors do not say; with .PATH behind it
    /// where a layer has another.
    /// </summary>
    public const string AlphaKey = "lora_alpha";

    /// <summary>Metadata of our files: the dropout that the adapter was trained with.</summary>
    public const string DropoutKey = "lora_dropout";

    /// <summary>The adapted layer within the tutorials' LinearWithLoRA.</summary>
    private const string WrappedLinear = ".linear.";

    /// <summary>Opens a state dict.</summary>
    /// <param name="path">A .safetensors file; its names tell the convention.</param>
    /// <param name="alpha">alpha of all layers; null: what the metadata says.</param>
    /// <exception cref="InputException">
    /// The file is missing or malformed, holds no low-rank matrices of one of the two conventions,
    /// or does not say a number that is needed.
    /// </exception>
    public static AdapterFile Open(string path, double? alpha)
    {
        var file = SafeTensorsFile.Open(path);
        try
        {
            var convention = ConventionOf(file);
            var (whole, leftOut) = Whole(file, convention);
            return new AdapterFile(file, convention)
            {
                Whole = whole,
                AlphaOf = Alphas(file, convention, alpha),
                Config = ConfigOf(LayersOf(file), whole.Keys, Dropout(file)),
                Warnings = leftOut.Count == 0 ? []
                    : [$"{path}: is the state of a whole model; its {leftOut.Count} base tensors, such as "
                        + $"'{leftOut[0]}', were left out."],
            };
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The name that a state dict has for a tensor that is stored whole.</summary>
    public static string NameOf(string path, AdapterConvention convention, PortableAdapter adapter) =>
        convention == AdapterConvention.Tutorial && adapter.Layers.Any(layer => layer.Path == ModuleOf(path))
            ? $"{ModuleOf(path)}{WrappedLinear}{NearMisses.LastPart(path)}"
            : path;

    /// <summary>The module of a parameter.</summary>
    public static string ModuleOf(string path) => path[..Math.Max(0, path.LastIndexOf('.'))];

    private static AdapterConvention ConventionOf(SafeTensorsFile file)
    {
        var conventions = file.Tensors.Keys.Where(name => AdapterConventions.Read(name) is not null)
            .GroupBy(name => AdapterConventions.Read(name)!.Value.Convention).ToList();
        return conventions switch
        {
            [{ Key: not AdapterConvention.Peft and var only }] => only,
            [] => throw new InputException($"{file.Path}: no tensor is named as a low-rank matrix: PATH.lora_A and "
                + "PATH.lora_B (loralib) or PATH.lora.A and PATH.lora.B (the tutorials) were expected."),
            [_] => throw new InputException($"{file.Path}: the names are PEFT's. Name the folder with "
                + $"{PeftAdapter.ConfigName}, which says the scale, and not the file in it."),
            _ => throw new InputException($"{file.Path}: the names are of several conventions "
                + $"({string.Join(", ", conventions.Select(group => $"{group.First()}: {group.Key.Name()}"))}); one "
                + "was expected."),
        };
    }

    /// <summary>What PEFT's config says besides rank and alpha, made up from the names.</summary>
    /// <param name="layers">Paths of the adapted layers.</param>
    /// <param name="whole">Paths of the parameters that are stored whole.</param>
    /// <param name="dropout">The dropout of the training.</param>
    private static PeftConfig ConfigOf(HashSet<string> layers, IReadOnlyCollection<string> whole, float dropout)
    {
        List<string> ModulesWith(string ending) =>
            [.. whole.Where(path => path.EndsWith(ending, StringComparison.Ordinal)).Select(ModuleOf)];
        var modules = ModulesWith(".weight");
        var biases = ModulesWith(".bias").Except(modules).ToList();
        var isClassifier = modules.Any(PeftHeads.IsOfClassifier);
        return new PeftConfig
        {
            TargetNames = [.. layers],
            Dropout = dropout,
            Bias = biases.Count == 0 ? LoRABias.None : biases.All(layers.Contains) ? LoRABias.LoRAOnly : LoRABias.All,
            // PEFT saves a head as the module that it knows, classifier, and not as the layers in it
            ModulesToSave = modules.Count == 0 ? null
                : [.. modules.Select(path => PeftHeads.IsOfClassifier(path) ? FirstPart(path) : path).Distinct()],
            TaskType = isClassifier ? PeftHeads.Classification : null,
        };
    }

    private static HashSet<string> LayersOf(SafeTensorsFile file) =>
        [.. file.Tensors.Keys.Select(AdapterConventions.Read).OfType<LowRankName>().Select(name => name.Path)];

    /// <summary>
    /// Heads and biases by their paths in the base model, and what belongs to the base instead.
    /// </summary>
    private static (Dictionary<string, TensorInfo> Whole, List<string> LeftOut) Whole(
        SafeTensorsFile file, AdapterConvention convention)
    {
        var adapted = LayersOf(file);
        var others = new Dictionary<string, TensorInfo>();
        foreach (var tensor in file.Tensors.Values.Where(tensor => AdapterConventions.Read(tensor.Name) is null))
        {
            var path = PathInModel(tensor.Name, convention, adapted);
            if (!others.TryAdd(path, tensor))
            {
                throw new InputException($"{file.Path}: '{others[path].Name}' and '{tensor.Name}' are the same "
                    + "parameter. Save the state dict again.");
            }
        }
        // The weight of an adapted layer never belongs to an adapter: then it is a whole model's state, whose encoder
        // is the base's. The head is what stands beside the encoder.
        var isWholeModel = adapted.Any(path => others.ContainsKey($"{path}.weight"));
        var trunks = adapted.Where(path => path.Contains('.')).Select(FirstPart).ToHashSet();
        List<string> leftOut = isWholeModel
            ? [.. others.Keys.Where(path => trunks.Contains(FirstPart(path)) || adapted.Contains(ModuleOf(path)))]
            : [];
        leftOut.ForEach(path => others.Remove(path));
        return (others, leftOut);
    }

    private static string PathInModel(string name, AdapterConvention convention, HashSet<string> adapted)
    {
        var at = convention == AdapterConvention.Tutorial
            ? name.LastIndexOf(WrappedLinear, StringComparison.Ordinal)
            : -1;
        return at >= 0 && adapted.Contains(name[..at]) ? $"{name[..at]}.{name[(at + WrappedLinear.Length)..]}" : name;
    }

    private static string FirstPart(string path) => path.Split('.')[0];

    /// <summary>How each layer's alpha is found.</summary>
    /// <exception cref="InputException">
    /// It is not known, is not above 0, or the file says another one.
    /// </exception>
    private static Func<string, double> Alphas(SafeTensorsFile file, AdapterConvention convention, double? given)
    {
        var stored = Number(file, AlphaKey);
        if (given is { } wanted && stored is { } other && wanted != other)
        {
            throw new InputException(string.Create(CultureInfo.InvariantCulture,
                $"alpha is {wanted}, but the metadata of {file.Path} says {AlphaKey} = {other}. Leave alpha out."));
        }
        var alpha = given ?? stored ?? throw new InputException($"{file.Path}: does not say its alpha: the tensors of "
            + $"{convention.Name()}'s convention hold A and B only. Give the number that the program had as alpha "
            + $"(s = {(convention == AdapterConvention.Tutorial ? "alpha" : "alpha/r")}).");
        Require(alpha > 0 && double.IsFinite(alpha), file, "alpha", alpha, "a number above 0");
        return path =>
        {
            var key = $"{AlphaKey}.{path}";
            var own = Number(file, key) ?? alpha;
            Require(own > 0, file, $"{key} in the metadata", own, "a number above 0");
            return own;
        };
    }

    /// <summary>The dropout of the training; 0 where the metadata does not say it.</summary>
    /// <exception cref="InputException">It is no probability below 1.</exception>
    private static float Dropout(SafeTensorsFile file)
    {
        var dropout = Number(file, DropoutKey) ?? 0;
        var isProbability = (float)dropout is >= 0 and < 1;
        Require(isProbability, file, $"{DropoutKey} in the metadata", dropout, "a probability in [0, 1)");
        return (float)dropout;
    }

    /// <summary>A number in the metadata, or null.</summary>
    /// <exception cref="InputException">It is no number.</exception>
    private static double? Number(SafeTensorsFile file, string key)
    {
        if (!file.Metadata.TryGetValue(key, out var text))
        {
            return null;
        }
        var isNumber = double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number);
        return isNumber && double.IsFinite(number)
            ? number
            : throw new InputException($"{file.Path}: {key} in the metadata is '{text}'; a number was expected.");
    }

    private static void Require(bool holds, SafeTensorsFile file, string what, double found, string expected)
    {
        if (!holds)
        {
            throw new InputException(string.Create(CultureInfo.InvariantCulture,
                $"{file.Path}: {what} is {found}; {expected} was expected."));
        }
    }
}
